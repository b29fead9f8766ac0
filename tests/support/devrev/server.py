"""The organisation on a port: tokens, rate limits, faults and errors as they come over the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from slack_emulator.faults import Fault
from support.devrev.methods import METHODS
from support.devrev.org import FakeOrg
from support.devrev.refusals import Refusal
from tocsin.server import listen, serving

LIMIT = 1000


class Cut(Exception):
    """The connection breaks off."""


class Door:
    """One organisation's door, as an application."""

    def __init__(self, org: FakeOrg) -> None:
        self.org = org

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, headers, body = await self._answer(scope, raw)
        sent = [(b"content-type", b"application/json"), *headers]
        if status == 0:
            # A body that is promised and does not come: the connection is dropped in the middle of it.
            promised = [*sent, (b"content-length", b"100000")]
            await send({"type": "http.response.start", "status": 200, "headers": promised})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            return
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, raw: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        method = str(scope["path"]).rpartition("/")[2]
        left = LIMIT - len(self.org.requests) % LIMIT
        headers = [(b"x-ratelimit-limit", b"%d" % LIMIT), (b"x-ratelimit-remaining", b"%d" % left)]
        fault = self.org.faults.next_for(method)
        try:
            status, told = await self._done(scope, method, raw, fault)
        except Cut:
            return 0, headers, b""
        except Refusal as refusal:
            status, told = refusal.status, dict(refusal.body)
            if self.org.bare_errors:
                told.pop("type", None)
        if status == 429:
            headers.append((b"retry-after", str(fault.retry_after if fault else 30).encode()))
        if fault is not None and fault.body is not None:
            return fault.status, headers, fault.body.encode()
        return status, headers, json.dumps(told).encode()

    async def _done(
        self, scope: Scope, method: str, raw: bytes, fault: Fault | None
    ) -> tuple[int, dict[str, Any]]:
        self._let_in(scope, method)
        body = self._read(raw)
        self.org.requests.append((method, body))
        self.org.asked_at.append((method, self.org.clock()))
        if fault is not None and fault.spoils and not fault.after_effect:
            raise self._spoiled(fault)
        answer = METHODS[method](self.org, body)
        if fault is not None and fault.until is not None:
            await fault.until.wait()
        if fault is not None and fault.spoils and fault.body is None:
            raise self._spoiled(fault)
        return answer

    def _let_in(self, scope: Scope, method: str) -> None:
        if scope["method"] != "POST" or method not in METHODS or method in self.org.missing:
            raise Refusal(404, None, "route not found")
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        if headers.get("authorization") != f"Bearer {self.org.token}":
            raise Refusal(401, "unauthenticated", "the token is missing or not valid")
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refusal(400, "parse_error", "the body is not JSON")
        if method in self.org.unreadable:
            raise Refusal(403, "forbidden", f"not allowed to use {method}")

    def _read(self, raw: bytes) -> Any:
        try:
            return json.loads(raw or b"{}")
        except ValueError:
            raise Refusal(400, "parse_error", "the body is not JSON") from None

    @staticmethod
    def _spoiled(fault: Fault) -> Exception:
        if fault.reset:
            return Cut()
        kinds = {
            429: "too_many_requests",
            500: "internal_error",
            503: "service_unavailable",
            403: "forbidden",
        }
        more = {"retry_after": 30} if fault.status == 429 else {}
        return Refusal(fault.status, kinds.get(fault.status, fault.error), "it failed", **more)


@asynccontextmanager
async def running_org(org: FakeOrg | None = None, port: int = 0) -> AsyncIterator[tuple[FakeOrg, str]]:
    """The organisation and its address, on a free port with `port=0`."""
    org = org or FakeOrg()
    listening = listen("127.0.0.1", port)
    org.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serving(Door(org), listening):
        yield org, org.url
