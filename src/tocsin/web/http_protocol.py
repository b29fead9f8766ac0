"""HTTP server protocol with limits on time and connections, and strict framing.

uvicorn limits the time that an idle connection is kept, and nothing before a request has arrived whole. These
limits hold before a signature can be checked.
"""

from __future__ import annotations

import asyncio
import re
import resource
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tocsin.web.middleware import RAW_HEADERS

HEAD_SECONDS: Final = 10.0
"""Seconds for receiving a request's head, or a body that the application no longer reads."""

WRITE_SECONDS: Final = 30.0
"""Seconds for which a client may read nothing of its response."""

MOST_CONNECTIONS: Final = 512

AT_WORK: Final = 3

END_AT_SHUTDOWN: Final = "tocsin.end_at_shutdown"
"""Key that an application sets in the scope of a request whose response has no end of its own."""

_LOOSE = re.compile(rb"(?<!\r)\n|\n[ \t]")
"""A line that ends without a carriage return, or continues in the next one (RFC 9112, 2.2 and 5.2)."""


def most_connections() -> int:
    """Return the limit of connections: at most half of the files that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft // 2)


class StrictConnection(h11.Connection):
    """Parser that refuses requests with two lengths, folded lines or bare line feeds.

    A proxy may read such a request differently (request smuggling).
    """

    def next_event(self) -> Any:
        # The head is checked once it is whole, so that one sent byte by byte is not checked again for each
        # byte.
        before = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            head = before[: len(before) - len(self.trailing_data[0])]
            names = {name for name, _ in event.headers}
            twice = b"content-length" in names or event.http_version < b"1.1"
            if _LOOSE.search(head) or (b"transfer-encoding" in names and twice):
                raise h11.RemoteProtocolError("ambiguous framing")
        return event


class LimitedProtocol(H11Protocol):
    """One connection. A timer runs whenever no request is in progress."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = StrictConnection(h11.SERVER)
        self.waits_since = self.loop.time()
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """True while no request is in progress: none has arrived yet, or the last one is answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def rank(self) -> int:
        """Return the cost of closing this connection: 0 while idle, most while a request is being handled.

        A response without an end costs little: the browser asks for it again.
        """
        still_sends = self.conn.their_state is h11.SEND_BODY
        if self.waits:
            return 0
        if still_sends or END_AT_SHUTDOWN in self.cycle.scope:
            return 1
        return 2 if self._write_timer is not None else AT_WORK

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self not in self.connections:
            return
        # uvicorn stops its timer of an idle connection at the first byte.
        if self.waits:
            self._start_head_timer()
        else:
            self._stop_head_timer()

    def shutdown(self) -> None:
        """Begin to end the connection, as the server stops: at once if its response has no end of its own."""
        super().shutdown()
        if not self.waits and END_AT_SHUTDOWN in self.cycle.scope:
            self.transport.close()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_head_timer()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self.waits_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._end_late_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _end_late_head(self) -> None:
        self._refuse(408 if self.conn.trailing_data[0] else None)

    def _refuse(self, status: int | None) -> None:
        """Send the status if no response has begun, and close the connection."""
        if self.transport.is_closing():
            return
        if status is not None and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [*RAW_HEADERS, (b"content-length", b"0"), (b"connection", b"close")]
            reason = HTTPStatus(status).phrase.encode()
            said = h11.Response(status_code=status, headers=headers, reason=reason)
            self.transport.write(self.conn.send(said) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.close()

    def _make_room(self) -> None:
        """Close one connection: an idle one first, then one still sending, then one that does not read.

        Among equals it is the one that has waited longest.
        """
        others = [
            other
            for other in self.connections
            if isinstance(other, LimitedProtocol) and other is not self and not other.transport.is_closing()
        ]
        if idle := [other for other in others if other.rank < AT_WORK]:
            min(idle, key=lambda other: (other.rank, other.waits_since)).transport.abort()
