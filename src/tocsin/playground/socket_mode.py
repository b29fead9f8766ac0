"""Socket Mode: one-shot tickets, hello, envelopes over any open connection, refresh and reconnect."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from tocsin.playground.model import Json, Request

CONNECTION_LIMIT = 10
"""Slack, Using Socket Mode: up to ten open connections per app."""

RESPONSES_ACCEPTED = {"slash_commands", "interactive"}


@dataclass(eq=False)
class Connection:
    app_id: str
    socket: WebSocket
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    retiring: bool = False


class Sockets:
    """The open connections of every app, and the acknowledgements waited for."""

    def __init__(self) -> None:
        self._tickets: dict[str, str] = {}
        self._open: dict[str, list[Connection]] = {}
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._news = asyncio.Event()
        self._refusals = 0

    def ticket(self, app_id: str) -> str:
        """Good for one connection."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = app_id
        return ticket

    def count(self, app_id: str) -> int:
        return len(self._open.get(app_id, []))

    async def connected(self, app_id: str, count: int = 1, timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Return once the app holds that many connections; TimeoutError after `timeout` real seconds."""
        async with asyncio.timeout(timeout):
            while self.count(app_id) < count:
                await self._news.wait()

    async def disconnected(self, app_id: str, timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Return once the app holds no connection; TimeoutError after `timeout` real seconds."""
        async with asyncio.timeout(timeout):
            while self.count(app_id) > 0:
                await self._news.wait()

    def refuse_next(self, times: int) -> None:
        """Turn away that many of the next connections, their tickets used up."""
        self._refusals = times

    async def serve(self, socket: WebSocket) -> None:
        """One connection's life, from its ticket to its end."""
        app_id = self._tickets.pop(socket.query_params.get("ticket", ""), None)
        if app_id is None or self._refusals > 0:
            self._refusals = max(0, self._refusals - 1)
            await socket.close(code=1008)
            return
        await socket.accept()
        if self.count(app_id) >= CONNECTION_LIMIT:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return
        connection = Connection(app_id, socket)
        self._open.setdefault(app_id, []).append(connection)
        await socket.send_json(self._hello(app_id))
        self._tell()
        try:
            await self._converse(connection)
        finally:
            self._open[app_id].remove(connection)
            self._tell()

    def _hello(self, app_id: str) -> Json:
        return {
            "type": "hello",
            "num_connections": self.count(app_id),
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": app_id},
        }

    async def _converse(self, connection: Connection) -> None:
        listening = asyncio.ensure_future(self._listen(connection.socket))
        closing = asyncio.ensure_future(connection.closing.wait())
        try:
            await asyncio.wait({listening, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await connection.socket.close(code=1001)
        finally:
            listening.cancel()
            closing.cancel()
            await asyncio.gather(listening, closing, return_exceptions=True)

    async def _listen(self, socket: WebSocket) -> None:
        try:
            while True:
                self._acknowledged(await socket.receive_text())
        except WebSocketDisconnect:
            return

    def _acknowledged(self, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        reply = self._waiting.pop(str(body.get("envelope_id")), None)
        if reply is not None and not reply.done():
            payload = body.get("payload")
            reply.set_result(payload if isinstance(payload, dict) else {})

    async def send(
        self, app_id: str, kind: str, entry: Request, reason: str | None
    ) -> asyncio.Future[Json] | None:
        """Send over any open connection; the future is the acknowledgement. None without a connection."""
        connections = [c for c in self._open.get(app_id, []) if not c.retiring]
        if not connections:
            return None
        entry.envelope_id = secrets.token_hex(16)
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[entry.envelope_id] = reply
        envelope: Json = {
            "envelope_id": entry.envelope_id,
            "type": kind,
            "payload": entry.args,
            "accepts_response_payload": kind in RESPONSES_ACCEPTED,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": entry.retry_attempt, "retry_reason": reason or ""}
        try:
            await random.choice(connections).socket.send_json(envelope)
        except (RuntimeError, WebSocketDisconnect):
            return reply
        return reply

    def forget(self, envelope_id: str | None) -> None:
        """What is acknowledged from now on came too late."""
        self._waiting.pop(envelope_id or "", None)

    async def refresh(self, app_id: str, reason: str = "refresh_requested") -> None:
        """Ask every connection to reconnect; after `warning` it stays usable, else it closes."""
        for connection in list(self._open.get(app_id, [])):
            await connection.socket.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}
            )
            if reason != "warning":
                connection.retiring = True
                connection.closing.set()

    def drop(self, app_id: str) -> None:
        """Close every connection without a word."""
        for connection in self._open.get(app_id, []):
            connection.retiring = True
            connection.closing.set()

    def close(self) -> None:
        for app_id in self._open:
            self.drop(app_id)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
