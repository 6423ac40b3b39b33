"""An application on NoneBot2, to show that the simulator is an implementation that others accept.

    app_nonebot.py PORT TOKEN

Does something for each kind of event, each time with calls whose answers it needs.
"""

import sys

import nonebot
from nonebot import on_message, on_notice, on_request
from nonebot.adapters.onebot.v11 import (
    Adapter,
    Bot,
    GroupIncreaseNoticeEvent,
    GroupMessageEvent,
    GroupRequestEvent,
    MessageSegment,
    PokeNotifyEvent,
    PrivateMessageEvent,
)

nonebot.init(
    driver="~fastapi",
    host="127.0.0.1",
    port=int(sys.argv[1]),
    onebot_access_token=sys.argv[2],
    log_level="ERROR",
)
nonebot.get_driver().register_adapter(Adapter)

messages, notices, requests = on_message(), on_notice(), on_request()


@messages.handle()
async def group(bot: Bot, event: GroupMessageEvent) -> None:
    text = event.get_plaintext().strip()
    if text == "早":
        assert event.sender.role == "member" and event.sender.nickname == "小红"
        answer = MessageSegment.reply(event.message_id) + MessageSegment.at(event.user_id)
        sent = await bot.send_group_msg(group_id=event.group_id, message=answer + " 早上好")
        assert isinstance(sent["message_id"], int)
    elif text == "都有谁":
        members = await bot.get_group_member_list(group_id=event.group_id)
        owner = [member["nickname"] for member in members if member["role"] == "owner"]
        await bot.send(event, f"{len(members)} 人，群主 {owner[0]}")
    elif text == "广告":
        await bot.delete_msg(message_id=event.message_id)
        await bot.set_group_ban(group_id=event.group_id, user_id=event.user_id, duration=600)
    elif event.to_me:
        await bot.send(event, "叫我？" + str(event.reply.message_id if event.reply else ""))


@messages.handle()
async def private(bot: Bot, event: PrivateMessageEvent) -> None:
    status = await bot.get_status()
    await bot.send(event, "在线" if status["online"] and status["good"] else "离线")


@notices.handle()
async def joined(bot: Bot, event: GroupIncreaseNoticeEvent) -> None:
    info = await bot.get_group_member_info(group_id=event.group_id, user_id=event.user_id)
    await bot.send_group_msg(group_id=event.group_id, message="欢迎 " + info["nickname"])


@notices.handle()
async def poked(bot: Bot, event: PokeNotifyEvent) -> None:
    await bot.send_group_msg(group_id=event.group_id, message="别戳了")


@requests.handle()
async def asked(bot: Bot, event: GroupRequestEvent) -> None:
    await event.approve(bot)


nonebot.run()
