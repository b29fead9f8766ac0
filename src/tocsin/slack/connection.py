"""One connection of Socket Mode: what comes in on it is answered on it, and a dead one is found out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tocsin.slack.app import DELIVERY, answered
from tocsin.slack.desk import Delivery
from tocsin.workflows.retry import best_effort

PING_SECONDS, PONG_SECONDS = 3.0, 2.0
"""A connection that has silently died is noticed when a pong is two seconds late, so within five seconds."""

GLANCE_SECONDS = 0.1
STEADY_SECONDS = 5.0
"""A connection that goes sooner than this, and unannounced, counts as one more failure."""

LINGER_SECONDS = 60.0
"""How long a connection that was replaced is kept for Slack to end it.

What Slack sends while we hang up could not be answered where it was asked; Slack itself ends a connection
some ten seconds after its warning.
"""

ANSWER_SECONDS = 3.0
PLANNED = frozenset({"warning", "refresh_requested"})
"""Why Slack asks for a new connection every few hours, with nothing being wrong."""

Elsewhere = Callable[[str], Awaitable[bool]]
log = structlog.get_logger()


class Connection:
    """One WebSocket, from `hello` to its end."""

    def __init__(self, socket: ClientConnection, app: AsyncApp, elsewhere: Elsewhere) -> None:
        self._socket = socket
        self._app = app
        self._elsewhere = elsewhere
        self._in_hand: set[asyncio.Task[None]] = set()
        self._began = asyncio.get_running_loop().time()
        self.standing = False
        self.takes = True
        self.reason = ""
        """Why Slack wants it replaced: `warning`, `refresh_requested` or another word of its own."""
        self.changed = asyncio.Event()
        """Set when it came to stand, and again once it needs replacing."""
        self.hurry = asyncio.Event()
        """Set when it has been replaced, and Slack may not be waited for to end it."""
        self.life = asyncio.create_task(self._live())
        self.life.add_done_callback(lambda _: self.changed.set())

    @property
    def needs_replacing(self) -> bool:
        return bool(self.reason) or self.life.done()

    @property
    def was_short(self) -> bool:
        """Whether it went at once, and not because Slack asked for a new one."""
        lived = asyncio.get_running_loop().time() - self._began
        return lived < STEADY_SECONDS and self.reason not in PLANNED

    async def until(self, state: Callable[[], bool]) -> None:
        while not state():
            self.changed.clear()
            await self.changed.wait()

    async def _live(self) -> None:
        pinging = asyncio.create_task(self._ping())
        try:
            async for frame in self._socket:
                self._hear(frame)
        except ConnectionClosed:
            # How it ended makes no difference: it is replaced.
            return
        finally:
            pinging.cancel()
            self.standing = False

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            answered = asyncio.create_task(self._answered_ping())
            # When we were held up ourselves, time is up before what has come meanwhile is read.
            for patience in (PONG_SECONDS, GLANCE_SECONDS):
                await asyncio.wait({answered}, timeout=patience)
            if not answered.done():
                # A closing handshake would wait for somebody who is gone.
                self._socket.transport.abort()
                return

    async def _answered_ping(self) -> None:
        # A ping that cannot even be written is none: its connection is full of what nobody takes.
        with contextlib.suppress(ConnectionClosed):
            await (await self._socket.ping())

    def _hear(self, frame: str | bytes) -> None:
        try:
            said = json.loads(frame)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            log.warning("Slack sent what is no JSON object", size=len(frame))
        elif said.get("type") == "hello":
            self.standing = True
            self.changed.set()
        elif said.get("type") == "disconnect":
            self.reason = str(said.get("reason") or "unknown")
            self.changed.set()
        elif said.get("envelope_id") and isinstance(said.get("payload"), dict) and self.takes:
            task = asyncio.create_task(self.handle(said))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)

    async def handle(self, envelope: Mapping[str, Any]) -> None:
        """Have one payload answered; its delivery knows when the answer has been written."""
        async with best_effort("answer Slack"):
            delivery = Delivery()
            given = await answered(
                self._app,
                str(envelope["envelope_id"])[:64],
                mode="socket_mode",
                body=envelope["payload"],
                headers=_headers(envelope),
                context={DELIVERY: delivery},
            )
            answer = _answer(envelope, given)
            if answer is None:
                return
            if await self.send(answer) or await self._elsewhere(answer):
                delivery.written()
            else:
                log.warning("An answer could not be given: no connection to Slack is open.")

    async def send(self, answer: str) -> bool:
        """Whether it could be written."""
        try:
            await self._socket.send(answer)
        except ConnectionClosed:
            return False
        return True

    async def finish(self) -> None:
        """Give the answers that are due, and close."""
        if self._in_hand:
            await asyncio.wait(set(self._in_hand), timeout=ANSWER_SECONDS)
        await self._socket.close()
        await asyncio.wait({self.life})

    async def linger(self) -> None:
        """Serve on until Slack ends it; end it ourselves if Slack does not, or when in a hurry."""
        hurried = asyncio.create_task(self.hurry.wait())
        ends: set[asyncio.Task[Any]] = {self.life, hurried}
        await asyncio.wait(ends, timeout=LINGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await self.finish()


def _headers(envelope: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """As HTTP mode has them (Slack, Events API: retries)."""
    known = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    return {header: str(envelope[name]) for header, name in known.items() if envelope.get(name) is not None}


def _answer(envelope: Mapping[str, Any], answered: BoltResponse) -> str | None:
    """What goes back to Slack; None for what it had better send again, or tell the person about."""
    if answered.status != 200:
        log.warning("not answered", kind=envelope.get("type"), status=answered.status)
        return None
    answer: dict[str, Any] = {"envelope_id": envelope["envelope_id"]}
    if answered.body:
        kind = answered.headers.get("content-type", [""])[0]
        is_json = kind.startswith("application/json")
        answer["payload"] = json.loads(answered.body) if is_json else {"text": answered.body}
    return json.dumps(answer)
