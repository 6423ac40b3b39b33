"""The OneBot layer of Euler without QQ below it, for our adapter to talk to: every call is
validated by its models, every event is made by them.

    peer_euler.py PORT

Commands come as JSON lines: {"say": [group, user, id, segments]}, {"joined": [group, user]},
{"asked": [group, user, flag]}, {"calls": true}; the answer to the last one is a line with every
call that was valid.
"""

import asyncio
import json
import sys
import time
from typing import Any

from euleronebot.hyperogger import Logger

Logger.create("euler", "CRITICAL")

from euleronebot.config import ForwardWebsocketConfig  # noqa: E402
from euleronebot.onebot import Adapter  # noqa: E402
from euleronebot.onebot.api import *  # noqa: E402,F403
from euleronebot.onebot.api_data import *  # noqa: E402,F403
from euleronebot.onebot.events import *  # noqa: E402,F403

SELF = 10001
calls: list[dict[str, Any]] = []


def member(group: int, user: int) -> GetGroupMemberInfoRsp:
    return GetGroupMemberInfoRsp(
        group_id=group, user_id=user, nickname="小新", card="", sex="unknown", age=0, area="",
        join_time=0, last_sent_time=0, level="1", role="member", title="",
    )


async def answer(adapter: Adapter) -> None:
    """Answers every call in the models of Euler."""
    while True:
        call = await adapter.api_calls.get()
        calls.append(json.loads(call.model_dump_json()))
        well: dict[str, Any] = {"status": "ok", "retcode": 0, "echo": call.echo}
        match call:
            case SendGroupMessage() | SendPrivateMessage() | SendMessage():
                sent = SendMsgRsp(message_id=len(calls))
                await adapter.report(SendGroupMessageResponse(data=sent, **well))
            case GetLoginInfo():
                login = GetLoginInfoRsp(user_id=SELF, nickname="机器人")
                await adapter.report(GetLoginInfoResponse(data=login, **well))
            case GetGroupMemberInfo():
                found = member(call.params.group_id, call.params.user_id)
                await adapter.report(GetGroupMemberInfoResponse(data=found, **well))
            case _:
                await adapter.report(DeleteMessageResponse(data=None, **well))


async def obey(adapter: Adapter, command: dict[str, Any]) -> None:
    head = {"time": int(time.time()), "self_id": SELF}
    if "say" in command:
        group, user, message_id, segments = command["say"]
        sender = GroupSender(
            user_id=user, nickname="小红", sex="unknown", age=0, card="", area="", level="1",
            role="member", title="",
        )
        await adapter.trigger(GroupMessageEvent(
            **head, message_id=message_id, user_id=user, message=segments, raw_message="",
            sender=sender, group_id=group,
        ))
    elif "joined" in command:
        group, user = command["joined"]
        await adapter.trigger(GroupIncreaseEvent(
            **head, sub_type="approve", group_id=group, operator_id=20001, user_id=user
        ))
    elif "asked" in command:
        group, user, flag = command["asked"]
        await adapter.trigger(GroupRequestEvent(
            **head, sub_type="add", group_id=group, user_id=user, comment="", flag=flag
        ))
    else:
        print(json.dumps(calls), flush=True)


async def main() -> None:
    adapter = Adapter([ForwardWebsocketConfig(url=f"ws://127.0.0.1:{sys.argv[1]}")])
    await adapter.setup()
    tasks = [asyncio.create_task(adapter.cycle()), asyncio.create_task(answer(adapter))]
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await obey(adapter, json.loads(line))
    for task in tasks:
        task.cancel()


asyncio.run(main())
