"""The API over HTTP: bearer, JSON, cursors, limits, and whatever may go wrong at the wire."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from support.incident_io.account import Account
from support.incident_io.endpoints import ROUTES
from tocsin.server import listen, serving

Json = dict[str, Any]


def problem(status: int, kind: str, said: str, **more: Any) -> JSONResponse:
    """An error as the documents show it (Errors)."""
    body = {"type": kind, "status": status, "request_id": "00000000-0000-0000-0000-000000000000"}
    return JSONResponse({**body, "errors": [{"code": kind, "message": said}], **more}, status_code=status)


@dataclass(frozen=True)
class Fault:
    """What happens to one request: an answer of its own, or a lost one after the work is done or not."""

    answer: Callable[[], Response] | None = None
    does: bool = False
    """The work is done before the answer is lost."""
    hangs: bool = False
    waits: Callable[[], Awaitable[None]] | None = None
    """Waited for when the work is done, or before it is not."""
    spares: bool = False
    """The true answer comes after all, only late."""


def failing(status: int, **headers: str) -> Fault:
    return Fault(lambda: JSONResponse({}, status_code=status, headers=headers))


LOST = Fault(does=True)
NEVER_CAME = Fault(does=False)


@dataclass(frozen=True)
class Heard:
    """A request that came in."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: Json
    raw: bytes
    at: float
    trace: str = ""
    """The id that a client gives a request, to find it again in both logs."""


@dataclass
class IncidentIoServer:
    """The stand-in: its account, what it was asked, and what is to go wrong."""

    account: Account = field(default_factory=Account)
    heard: list[Heard] = field(default_factory=list)
    faults: dict[tuple[str, str], deque[Fault]] = field(default_factory=dict)
    down: Fault | None = None
    url: str = ""
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def fail(self, method: str, path: str, *faults: Fault) -> None:
        """Have the next requests of this kind go wrong, one each; `path` is how it begins."""
        self.faults.setdefault((method, path), deque()).extend(faults)

    def asked(self, method: str, path: str) -> list[Heard]:
        return [h for h in self.heard if h.method == method and h.path.startswith(path)]

    async def until_asked(self, method: str, path: str, times: int = 1, seconds: float = 20.0) -> list[Heard]:
        """Once so many requests of this kind have come."""
        async with asyncio.timeout(seconds), self.came:
            await self.came.wait_for(lambda: len(self.asked(method, path)) >= times)
        return self.asked(method, path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        request = Request(scope, receive)
        raw = await request.body()
        await self._note(request, raw)
        fault = self.down or self._fault(request)
        if fault is None:
            await self._answer(request, raw, send)
            return
        if fault.does:
            await self._answer(request, raw, _nowhere)
        if fault.waits is not None:
            await fault.waits()
        if fault.hangs:
            await asyncio.Event().wait()
        if fault.spares:
            await self._answer(request, raw, send)
        elif fault.answer is not None:
            await fault.answer()(scope, receive, send)
        else:
            await _cut(send)

    async def _note(self, request: Request, raw: bytes) -> None:
        body = {}
        if raw:
            try:
                body = json.loads(raw)
            except ValueError:
                body = {}
        at, trace = asyncio.get_running_loop().time(), request.headers.get("x-request-id", "")
        query = list(request.query_params.multi_items())
        self.heard.append(Heard(request.method, request.url.path, query, body, raw, at, trace))
        async with self.came:
            self.came.notify_all()

    def _fault(self, request: Request) -> Fault | None:
        for (method, path), waiting in self.faults.items():
            if waiting and request.method == method and request.url.path.startswith(path):
                return waiting.popleft()
        return None

    async def _answer(self, request: Request, raw: bytes, send: Send) -> None:
        refused = self._stranger(request, raw)
        if refused is not None:
            await refused(request.scope, request.receive, send)
            return
        app = Starlette(routes=ROUTES)
        app.state.account = self.account
        await app(request.scope, _given(raw), send)

    def _stranger(self, request: Request, raw: bytes) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {self.account.key}":
            return problem(401, "authentication_error", "No authorization material provided in request")
        if raw and request.headers.get("content-type") != "application/json":
            return problem(415, "invalid_request_error", "Send application/json")
        return None


def _given(raw: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive


async def _nowhere(message: Message) -> None:
    """What the client never gets to read."""


async def _cut(send: Send) -> None:
    """An answer that breaks off: the connection is closed before it is whole."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionResetError("cut off on purpose")


@asynccontextmanager
async def running_incident_io(
    account: Account | None = None, port: int = 0
) -> AsyncIterator[IncidentIoServer]:
    """The stand-in on a free port, or on this one."""
    server = IncidentIoServer(account or Account())
    listening = listen("127.0.0.1", port)
    server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serving(server, listening):
        yield server
