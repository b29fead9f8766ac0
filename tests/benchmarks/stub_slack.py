"""A Slack that says yes to everything, at once or after a delay, and counts what it was asked.

`python -m benchmarks.stub_slack` prints its port. It is no judge of what is right, as the playground is; it
is only faster than whatever is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from benchmarks.wire import Exchange, one_request

TEAM, BOT = "T0000000001", "U0000000BOT"


@dataclass
class StubSlack:
    """What was asked, over how many connections, and how long each answer takes (seconds)."""

    delay: float = 0.0
    calls: list[tuple[str, float, float]] = field(default_factory=list)
    """Method, begin and end (seconds of this process)."""
    connections: int = 0
    """New ones that a method was called over."""
    made: int = 0
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, port: int = 0) -> asyncio.Server:
        return await asyncio.start_server(self._meet, "127.0.0.1", port, backlog=1024, limit=2**20)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = False
        try:
            while (request := await one_request(reader)) is not None:
                method = urlsplit(request.target).path.rpartition("/")[2]
                if "." in method:
                    self.connections += not known
                    known = True
                    began = time.monotonic()
                    if self.delay:
                        await asyncio.sleep(self.delay)
                    self.made += 1
                    self.calls.append((method, began, time.monotonic()))
                    self.called.set()
                    told = {"ok": True, **self._told(method, request)}
                else:
                    told = await self._aside(method, request)
                body = json.dumps(told).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                writer.write(f"{head}\r\n\r\n".encode() + body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _aside(self, word: str, request: Exchange) -> dict[str, object]:
        """What whoever measures asks, which is no method of Slack's."""
        wanted = dict(parse_qsl(urlsplit(request.target).query))
        while word == "until" and self._times(wanted["method"]) < int(wanted["times"]):
            self.called.clear()
            await self.called.wait()
        told: dict[str, object] = {"calls": list(self.calls), "connections": self.connections}
        if word == "forget":
            self.calls.clear()
            self.connections, self.delay = 0, float(wanted["delay"])
        return told

    def _times(self, method: str) -> int:
        return sum(called == method for called, _, _ in self.calls)

    def _told(self, method: str, request: Exchange) -> dict[str, object]:
        number = f"{self.made:010}"
        if method == "auth.test":
            return {"team_id": TEAM, "user_id": BOT, "bot_id": "B0000000BOT", "url": "https://x.slack.com/"}
        if method == "users.info":
            asked = dict(parse_qsl(urlsplit(request.target).query) + parse_qsl(request.body.decode()))
            member = {"deleted": False, "is_bot": False, "is_restricted": False, "is_ultra_restricted": False}
            return {"user": {"id": asked.get("user"), "team_id": TEAM, "name": "somebody", **member}}
        if method == "conversations.info":
            return {"channel": {"id": "C0000000001", "name": "general", "is_ext_shared": False}}
        if method == "views.open":
            return {"view": {"id": f"V{number}", "hash": "1.1"}}
        if method == "conversations.create":
            return {"channel": {"id": f"C{number}", "name": f"inc-{self.made}"}}
        if method == "chat.postMessage":
            return {"channel": "C0000000001", "ts": f"{self.made}.000100"}
        return {}


async def _for_ever(port: int) -> None:
    server = await StubSlack().serve(port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_for_ever(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
