"""Socket Mode: one-time tickets, hello, envelopes over any open connection, refresh and reconnect."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from slack_emulator.models import Json, Request

CONNECTION_LIMIT = 10
"""Open connections per app (Slack, Using Socket Mode: up to ten)."""

RESPONSES_ACCEPTED = {"slash_commands", "interactive"}

GRACE_SECONDS = 3.0
"""Seconds that a refreshed connection stays open for acknowledgements that are due on it."""

GONE = (RuntimeError, WebSocketDisconnect)
"""Exceptions raised on sending to a connection that the app has closed."""

TRANSPORT = "playground.transport"
"""Scope extension with the TCP transport of a WebSocket, if the server offers it."""


@dataclass(eq=False)
class Connection:
    app_id: str
    socket: WebSocket
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    retiring: bool = False
    frozen: bool = False
    due: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    """Acknowledgements due on this connection, by envelope_id: one over another connection does not count."""

    @property
    def transport(self) -> asyncio.Transport | None:
        found: asyncio.Transport | None = self.socket.scope.get("extensions", {}).get(TRANSPORT)
        return found

    async def sent(self, envelope: Json, reply: asyncio.Future[Json]) -> bool:
        """True if the envelope was written. A frozen connection pretends that it was."""
        self.due[envelope["envelope_id"]] = reply
        try:
            if not self.frozen:
                await self.socket.send_json(envelope)
        except GONE:
            del self.due[envelope["envelope_id"]]
            return False
        return True

    def retire(self) -> None:
        """Take no more payloads, and close once the acknowledgements that are due have come."""
        self.retiring = True
        if self.due:
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self.closing.set)
        else:
            self.closing.set()


class Sockets:
    """The open connections of every app, and the acknowledgements due on them."""

    def __init__(self) -> None:
        self._tickets: dict[str, str] = {}
        self._open: dict[str, list[Connection]] = {}
        self._news = asyncio.Event()
        self._refusals = 0
        self.greeted = 0
        """Number of connections that got a hello so far."""
        self.turned_away = 0
        """Number of connections refused so far: for a bad ticket, by `refuse_next`, or as one too many."""

    def ticket(self, app_id: str) -> str:
        """Return a ticket that is good for one connection."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = app_id
        return ticket

    def count(self, app_id: str) -> int:
        return len(self._open.get(app_id, []))

    def connections(self, app_id: str) -> list[Connection]:
        """Return the app's open connections, oldest first."""
        return list(self._open.get(app_id, []))

    async def until(self, state: Callable[[], bool], timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once `state()` is true; it is called whenever a connection is opened, closed or refused.

        Raises TimeoutError after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not state():
                await self._news.wait()

    async def connected(self, app_id: str, count: int = 1, timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once the app has that many connections. Raises TimeoutError after `timeout` seconds."""
        await self.until(lambda: self.count(app_id) >= count, timeout)

    async def disconnected(self, app_id: str, timeout: float = 120.0) -> None:  # noqa: ASYNC109
        """Return once the app has no connection. Raises TimeoutError after `timeout` seconds."""
        await self.until(lambda: self.count(app_id) == 0, timeout)

    def refuse_next(self, times: int) -> None:
        """Refuse that many of the next connections; their tickets are used up."""
        self._refusals = times

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection, from its ticket to its end."""
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
            # The app has ended: a connection that can no longer be closed is no error.
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
        """Send over any open connection; return the future of its acknowledgement.

        Returns None if no connection is open.
        """
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
        """Ignore acknowledgements of this envelope from now on: they are too late."""
        for connections in self._open.values():
            for connection in connections:
                connection.due.pop(envelope_id or "", None)

    async def refresh(
        self, app_id: str, reason: str = "refresh_requested", *, only: Iterable[Connection] | None = None
    ) -> list[Connection]:
        """Ask all connections, or only these, to reconnect; return those that could be asked.

        After `warning` they stay usable; after any other reason they close once all is acknowledged.
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
        """Return once none of these is open any more. Raises TimeoutError after `timeout` seconds."""
        waited = set(connections)
        await self.until(lambda: not any(waited & set(still) for still in self._open.values()), timeout)

    def drop(self, app_id: str) -> None:
        """Close every connection of the app without a warning."""
        for connection in self._open.get(app_id, []):
            connection.retiring = True
            connection.closing.set()

    def freeze(self, app_id: str) -> None:
        """Stop serving every connection without closing it: no payload, no pong, nothing read.

        The app must notice by itself; connections that it opens from now on work.
        """
        for connection in self._open.get(app_id, []):
            if connection.transport is None:
                raise RuntimeError("this server does not let its connections be frozen")
            connection.frozen = True
            connection.transport.pause_reading()

    def thaw(self, app_id: str) -> None:
        """Resume reading on frozen connections, which also detects those that the app has closed."""
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
