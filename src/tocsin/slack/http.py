"""HTTP receiver: checks Slack's requests before Bolt sees them.

The signature is that of Slack's "Verifying requests": HMAC-SHA256 over `v0:{timestamp}:{body}`, at most five
minutes old. Of refused requests nothing is logged but their number: with a wrong secret or a wrong clock all
are refused, and the operator would not know why the bot is silent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import structlog
from slack_bolt.app.async_app import AsyncApp
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tocsin.slack.app import ACK_TRACKER, dispatch
from tocsin.slack.context import AckTracker

log = structlog.get_logger()

EVENTS = "/slack/events"
LARGEST_BODY = 1024 * 1024
BODY_SECONDS = 3.0
"""Seconds for a body to arrive; Slack has given up by then."""

SMALL_BODY = 64 * 1024
"""Bytes of a body that is read however much else arrives; nearly all that Slack sends is smaller."""

MOST_HELD = 16 * 1024 * 1024
"""Bytes that all bodies together may have while they arrive."""

OLDEST_SECONDS = 300
AHEAD_SECONDS = 60
"""Seconds that Slack's clock may be ahead of ours."""

WARNING_SECONDS = 60.0
"""Seconds from one warning of requests without Slack's signature to the next."""

TIME, SIGNATURE = "x-slack-request-timestamp", "x-slack-signature"
_TIMESTAMP = re.compile(r"[0-9]{9,11}")
_OBJECTS = ("user", "team", "enterprise", "channel", "view", "message", "container", "event")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class HttpReceiver:
    """Receiver of payloads at `POST /slack/events`."""

    def __init__(
        self,
        app: AsyncApp,
        signing_secret: str,
        *,
        now: Callable[[], float] = time.time,
        turned_away: Callable[[int], None] = lambda status: None,
    ) -> None:
        """Create the receiver; `turned_away` is told the status of each request that no listener sees."""
        self._app = app
        self._turned_away = turned_away
        self._secret = signing_secret.encode()
        self._now = now
        self._unsigned, self._warned_at = 0, 0.0
        self._held = 0
        self.is_open = False
        """True once payloads are taken; before, Slack is told to come again."""

    async def open(self) -> None:
        """Take payloads from now on."""
        self.is_open = True

    async def close(self) -> None:
        """Do nothing: the server closes the connections."""

    @property
    def route(self) -> Route:
        return Route(EVENTS, self.answer, methods=["POST"])

    async def answer(self, request: Request) -> Response:
        """Answer a request, after checking its size, speed, signature and shape.

        The status is 413 if the body is too large, 408 if it is too slow, 503 if too much else arrives, 401
        if Slack did not sign it, 400 if Slack does not send such a shape. A body is not read if its headers
        are not those of a signed request, or announce that it is too large.
        """
        if not self.is_open:
            return PlainTextResponse("not yet", 503, headers={"Retry-After": "1"})
        signature = self._signature(request)
        if signature is None:
            return self._refused_unsigned()
        if _length(request) > LARGEST_BODY:
            return self._refused(413, "too large")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(request)
        except TimeoutError:
            return self._refused(408, "too slow")
        except ClientDisconnect:
            return self._refused(400, "broken off")
        except _Overloaded:
            return self._refused(503, "too much at once")
        if body is None:
            return self._refused(413, "too large")
        if not self._is_signed(body, *signature):
            return self._refused_unsigned()
        kinds = request.headers.getlist("content-type")
        payload = _payload(body, kinds[0]) if len(kinds) == 1 else None
        if payload is None:
            return self._refused(400, "malformed")
        return await self._answered(payload)

    def _refused(self, status: int, word: str) -> Response:
        """Return a refusal; it closes the connection if the body may be only half read."""
        self._turned_away(status)
        closing = {"connection": "close"} if status in (408, 413, 503) else None
        return PlainTextResponse(word, status, headers=closing)

    def _refused_unsigned(self) -> Response:
        """Return a refusal of what Slack did not sign; warn the operator of them once a minute."""
        self._unsigned += 1
        if abs(self._now() - self._warned_at) >= WARNING_SECONDS:
            log.warning(
                "refuses requests that Slack has not signed: check SLACK_SIGNING_SECRET and this machine's"
                " clock with `tocsin doctor`, unless a stranger sends them",
                requests=self._unsigned,
            )
            self._unsigned, self._warned_at = 0, self._now()
        return self._refused(401, "not signed by Slack")

    async def _answered(self, payload: dict[str, Any]) -> Response:
        tracker = AckTracker()
        # Parsed already, as in Socket Mode: otherwise Bolt would parse it a second time.
        given = await dispatch(self._app, mode="socket_mode", body=payload, context={ACK_TRACKER: tracker})
        if given.status == 404:
            return self._refused(400, "malformed")
        return Response(
            given.body,
            given.status,
            headers=dict(given.first_headers_without_set_cookie()),
            background=BackgroundTask(_written, tracker),
        )

    def _signature(self, request: Request) -> tuple[str, str] | None:
        """Return timestamp and signature if they have the shape of Slack's, and the timestamp is recent."""
        times, signatures = (request.headers.getlist(name) for name in (TIME, SIGNATURE))
        if len(times) != 1 or len(signatures) != 1:
            return None
        if not _TIMESTAMP.fullmatch(times[0]) or not _SIGNATURE.fullmatch(signatures[0]):
            return None
        is_recent = -AHEAD_SECONDS <= self._now() - int(times[0]) <= OLDEST_SECONDS
        return (times[0], signatures[0]) if is_recent else None

    def _is_signed(self, body: bytes, at: str, signature: str) -> bool:
        signed = hmac.new(self._secret, b"v0:" + at.encode() + b":" + body, hashlib.sha256)
        return hmac.compare_digest(f"v0={signed.hexdigest()}", signature)

    async def _body(self, request: Request) -> bytes | None:
        """Return the body; None if it is too large. Raises _Crowded if it is large and much else arrives."""
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                self._held += len(chunk)
                if len(body) > LARGEST_BODY:
                    return None
                if len(body) > SMALL_BODY and self._held > MOST_HELD:
                    raise _Overloaded
            return bytes(body)
        finally:
            self._held -= len(body)


class _Overloaded(Exception):
    """Raised if all bodies that are arriving are too large together."""


def _length(request: Request) -> int:
    """Return the announced length of the body, 0 without one. The server has checked that it is a number."""
    return int(request.headers.get("content-length") or 0)


async def _written(tracker: AckTracker) -> None:
    tracker.written()


def _payload(body: bytes, content_type: str) -> dict[str, Any] | None:
    """Return the body's payload if its shape is one that Slack sends: JSON, a form, or a form with JSON."""
    try:
        text = body.decode()
        if content_type.startswith("application/json"):
            return _shaped(json.loads(text))
        pairs = parse_qsl(text, strict_parsing=True, keep_blank_values=True)
        form = dict(pairs)
        if "payload" in form:
            once = sum(name == "payload" for name, _ in pairs) == 1
            return _shaped(json.loads(form["payload"])) if once else None
        return form if "command" in form or "ssl_check" in form else None
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None


def _shaped(payload: object) -> dict[str, Any] | None:
    """Return the payload if Bolt can read it: Bolt takes these parts for objects without checking."""
    return payload if isinstance(payload, dict) and _is_shaped(payload) else None


def _is_shaped(payload: dict[str, Any]) -> bool:
    if not isinstance(payload.get("type"), str):
        return False
    if payload["type"] == "url_verification" and not isinstance(payload.get("challenge"), str):
        return False
    actions = payload.get("actions") or []
    parts = [payload.get(name) for name in _OBJECTS] + (actions if isinstance(actions, list) else [actions])
    return all(part is None or isinstance(part, dict) for part in parts)
