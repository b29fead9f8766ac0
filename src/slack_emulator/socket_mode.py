"""Socket Mode: one-shot tickets, hello, envelopes over any open connection, refresh and reconnect."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from slack_emulator.model import Json, Request

CONNECTION_LIMIT = 10
"""Slack, Using Socket Mode: up to ten open connections per app."""

RESPONSES_ACCEPTED = {"slash_commands", "interactive"}

GRACE_SECONDS = 3.0
"""How long a connection that was refreshed stays for the answers that are due on it."""

GONE = (RuntimeError, WebSocketDisconnect)
"""The exceptions of sending to a connection that is there no more."""

TRANSPORT = "playground.transport"
"""The extension of a WebSocket's scope by which its TCP connection is reached, where the server has it."""


@dataclass(eq=False)
class Connection:
    app_id: str
    socket: WebSocket
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    retiring: bool = False
    frozen: bool = False
    due: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    """The acknowledgements waited for here, by envelope: one that comes over another connection is none."""

    @property
    def transport(self) -> asyncio.Transport | None:
        found: asyncio.Transport | None = self.socket.scope.get("extensions", {}).get(TRANSPORT)
        return found

    async def sent(self, envelope: Json, reply: asyncio.Future[Json]) -> bool:
        """Whether it could be written; a frozen connection looks as if it could."""
        self.due[envelope["envelope_id"]] = reply
        try:
            if not self.frozen:
                await self.socket.send_json(envelope)
        except GONE:
            del self.due[envelope["envelope_id"]]
            return False
        return True

    def retire(self) -> None:
        """Take no more payloads, and close once the answers that are due have come."""
        self.retiring = True
        if self.due:
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self.closing.set)
        else:
            self.closing.set()


class Sockets:
    """The open connections of every app, and the acknowledgements waited for."""

    def __init__(self) -> None:
        self._tickets: dict[str, str] = {}
        self._open: dict[str, list[Connection]] = {}
        self._news = asyncio.Event()
        self._refusals = 0
        self.greeted = 0
        """How many connections stood, up to now."""
        self.turned_away = 0
        """How many connections were refused: for their ticket, by `refuse_next`, or as one too many."""

    def ticket(self, app_id: str) -> str:
        """Good for one connection."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = app_id
        return ticket

    def count(self, app_id: str) -> int:
        return len(self._open.get(app_id, []))

    def connections(self, app_id: str) -> list[Connection]:
        """Those that are open, the oldest first."""
        return list(self._open.get(app_id, []))

    async def until(self, state: Callable[[], bool], timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once that is so, asked whenever connections came, went or were refused.

        TimeoutError after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not state():
                await self._news.wait()

    async def connected(self, app_id: str, count: int = 1, timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once the app holds that many connections; TimeoutError after `timeout` seconds."""
        await self.until(lambda: self.count(app_id) >= count, timeout)

    async def disconnected(self, app_id: str, timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once the app holds no connection; TimeoutError after `timeout` seconds."""
        await self.until(lambda: self.count(app_id) == 0, timeout)

    def refuse_next(self, times: int) -> None:
        """Turn away that many of the next connections, their tickets used up."""
        self._refusals = times

    async def serve(self, socket: WebSocket) -> None:
        """One connection's life, from its ticket to its end."""
        app_id = self._tickets.pop(socket.query_params.get("ticket", ""), None)
        if app_id is None or self._refusals > 0:
            self._refusals = max(0, self._refusals - 1)
            self._turn_away()
            await socket.close(code=1008)
            return
        await socket.accept()
        if self.count(app_id) >= CONNECTION_LIMIT:
            self._turn_away()
            with suppress(*GONE):
                await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
                await socket.close()
            return
        connection = Connection(app_id, socket)
        self._open.setdefault(app_id, []).append(connection)
        try:
            await socket.send_json(self._hello(app_id))
            self.greeted += 1
            self._tell()
            await self._converse(connection)
        except GONE:
            # The app was ended: that a connection cannot be closed any more is nothing to report.
            return
        finally:
            self._open[app_id].remove(connection)
            self._tell()

    def _turn_away(self) -> None:
        self.turned_away += 1
        self._tell()

    def _hello(self, app_id: str) -> Json:
        return {
            "type": "hello",
            "num_connections": self.count(app_id),
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": app_id},
        }

    async def _converse(self, connection: Connection) -> None:
        listening = asyncio.ensure_future(self._listen(connection))
        closing = asyncio.ensure_future(connection.closing.wait())
        try:
            await asyncio.wait({listening, closing}, return_when=asyncio.FIRST_COMPLETED)
            if connection.frozen and connection.transport is not None:
                connection.transport.abort()
            elif not listening.done():
                await connection.socket.close(code=1001)
        finally:
            listening.cancel()
            closing.cancel()
            await asyncio.gather(listening, closing, return_exceptions=True)

    async def _listen(self, connection: Connection) -> None:
        try:
            while True:
                self._acknowledged(connection, await connection.socket.receive_text())
        except WebSocketDisconnect:
            return

    def _acknowledged(self, connection: Connection, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        reply = connection.due.pop(str(body.get("envelope_id")), None)
        if reply is not None and not reply.done():
            payload = body.get("payload")
            reply.set_result(payload if isinstance(payload, dict) else {})
        if connection.retiring and not connection.due:
            connection.closing.set()

    async def send(
        self, app_id: str, kind: str, entry: Request, reason: str | None
    ) -> asyncio.Future[Json] | None:
        """Send over any open connection; the future is the acknowledgement. None without a connection."""
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        entry.envelope_id = secrets.token_hex(16)
        envelope: Json = {
            "envelope_id": entry.envelope_id,
            "type": kind,
            "payload": entry.args,
            "accepts_response_payload": kind in RESPONSES_ACCEPTED,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": entry.retry_attempt, "retry_reason": reason or ""}
        connections = [c for c in self._open.get(app_id, []) if not c.retiring]
        random.shuffle(connections)
        for connection in connections:
            if await connection.sent(envelope, reply):
                return reply
        return None

    def forget(self, envelope_id: str | None) -> None:
        """What is acknowledged from now on came too late."""
        for connections in self._open.values():
            for connection in connections:
                connection.due.pop(envelope_id or "", None)

    async def refresh(
        self, app_id: str, reason: str = "refresh_requested", *, only: Iterable[Connection] | None = None
    ) -> list[Connection]:
        """Ask every connection, or only these, to reconnect; returns those that could be asked.

        After `warning` they stay usable; after any other reason they close once all is answered.
        """
        asked = self.connections(app_id) if only is None else list(only)
        told = []
        for connection in asked:
            with suppress(*GONE):
                await connection.socket.send_json(
                    {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}
                )
                told.append(connection)
            if reason != "warning":
                connection.retire()
        return told

    async def left(self, connections: Iterable[Connection], timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once none of these is open any more; TimeoutError after `timeout` seconds."""
        waited = set(connections)
        await self.until(lambda: not any(waited & set(still) for still in self._open.values()), timeout)

    def drop(self, app_id: str) -> None:
        """Close every connection without a word."""
        for connection in self._open.get(app_id, []):
            connection.retiring = True
            connection.closing.set()

    def freeze(self, app_id: str) -> None:
        """Fall silent on every connection without closing it: no payload, no pong, nothing read.

        The app finds out by itself; connections that it opens from now on are well.
        """
        for connection in self._open.get(app_id, []):
            if connection.transport is None:
                raise RuntimeError("this server does not let its connections be frozen")
            connection.frozen = True
            connection.transport.pause_reading()

    def thaw(self, app_id: str) -> None:
        """Read again what frozen connections have sent, and find out that they are gone if they are."""
        for connection in self._open.get(app_id, []):
            if connection.frozen and connection.transport is not None:
                connection.frozen = False
                connection.transport.resume_reading()

    def close(self) -> None:
        for app_id in self._open:
            self.drop(app_id)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
