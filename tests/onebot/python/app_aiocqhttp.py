"""An application on aiocqhttp, to show that the simulator is an implementation that others accept.

    app_aiocqhttp.py PORT TOKEN
"""

import sys

from aiocqhttp import CQHttp, Event, Message, MessageSegment

bot = CQHttp(access_token=sys.argv[2])


@bot.on_message("group")
async def group(event: Event) -> None:
    # Words, whether they came as segments or with CQ codes.
    text = Message(event.message).extract_plain_text()
    if text == "早":
        answer = MessageSegment.reply(event.message_id) + MessageSegment.at(event.user_id)
        await bot.send_group_msg(group_id=event.group_id, message=answer + " 早上好")
    elif text == "都有谁":
        members = await bot.get_group_member_list(group_id=event.group_id)
        await bot.send(event, f"{len(members)} 人")


@bot.on_message("private")
async def private(event: Event) -> None:
    login = await bot.get_login_info()
    await bot.send(event, login["nickname"])


@bot.on_notice("group_increase")
async def joined(event: Event) -> None:
    await bot.send_group_msg(group_id=event.group_id, message="欢迎")


@bot.on_request("group.add")
async def asked(event: Event) -> None:
    await bot.set_group_add_request(flag=event.flag, sub_type=event.sub_type, approve=True)


bot.run(host="127.0.0.1", port=int(sys.argv[1]))
