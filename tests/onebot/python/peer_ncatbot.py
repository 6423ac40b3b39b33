"""NapCat as ncatbot plays it, for our adapter to talk to.

    peer_ncatbot.py PORT

Commands come as JSON lines: {"say": [group, user, segments]}, {"whisper": [user, segments]},
{"event": {…}}, {"calls": true}; the answer to the last one is a line with every call.
"""

import asyncio
import json
import sys

from ncatbot.utils.testing.mock_server import NapCatMockServer
from ncatbot.utils.testing.mock_server.templates import get_standard_data


async def main() -> None:
    server = NapCatMockServer(
        host="127.0.0.1", port=int(sys.argv[1]), initial_data=get_standard_data()
    )
    await server.start()
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        if "say" in command:
            await server.inject_group_message(*command["say"])
        elif "whisper" in command:
            await server.inject_private_message(*command["whisper"])
        elif "event" in command:
            await server.inject_event(command["event"])
        else:
            print(json.dumps(server.get_call_history()), flush=True)


asyncio.run(main())
