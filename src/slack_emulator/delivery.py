"""Delivery of payloads to the app by Socket Mode or signed HTTP, acknowledged within three seconds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import httpx

from slack_emulator.clock import Clock
from slack_emulator.models import InstalledApp, Json, Request
from slack_emulator.request_log import RequestLog
from slack_emulator.socket_mode import Sockets

ACK_SECONDS = 3.0
"""Seconds that an app has to acknowledge (Slack, Handling user interaction: three)."""

Kind = Literal["events_api", "slash_commands", "interactive"]


@dataclass
class Answer:
    """Result of a delivery.

    `error` is the code that Slack shows: operation_timeout, app_not_responding or dispatch_failed.
    """

    ok: bool
    response: Json | None = None
    error: str | None = None
    retry_reason: str | None = None
    no_retry: bool = False


class Delivery:
    def __init__(self, clock: Clock, sockets: Sockets, log: RequestLog) -> None:
        self._clock = clock
        self.sockets = sockets
        self._log = log
        self._http: httpx.AsyncClient | None = None

    async def deliver(
        self,
        app: InstalledApp,
        kind: Kind,
        payload: Json,
        method: str,
        *,
        retry: int = 0,
        reason: str | None = None,
    ) -> Answer:
        """Return once the app has acknowledged, or after three seconds by the workspace's clock."""
        entry = self._log.begin(
            Request("delivery", method, payload, self._clock.now(), app.app_id, retry_attempt=retry)
        )
        if app.manifest.socket_mode:
            answer = await self._by_socket(app, kind, entry, reason)
        else:
            answer = await self._by_http(app, kind, entry, reason)
        self._log.finish(entry, ok=answer.ok, error=answer.error, response=answer.response)
        return answer

    async def _by_socket(self, app: InstalledApp, kind: Kind, entry: Request, reason: str | None) -> Answer:
        reply = await self.sockets.send(app.app_id, kind, entry, reason)
        if reply is None:
            return Answer(False, error="app_not_responding", retry_reason="connection_failed")
        body = await self._within(reply)
        self.sockets.forget(entry.envelope_id)
        if body is None:
            return Answer(False, error="operation_timeout", retry_reason="timeout")
        return Answer(True, response=body)

    async def _within(self, reply: asyncio.Future[Json]) -> Json | None:
        deadline = asyncio.ensure_future(self._clock.sleep(ACK_SECONDS))
        waited: set[asyncio.Future[Any]] = {reply, deadline}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline.cancel()
        return reply.result() if reply.done() and not reply.cancelled() else None

    async def _by_http(self, app: InstalledApp, kind: Kind, entry: Request, reason: str | None) -> Answer:
        url = request_url(app, kind, entry.args)
        if not url:
            return Answer(False, error="dispatch_failed", retry_reason="connection_failed")
        body, content_type = http_body(kind, entry.args)
        headers = {"Content-Type": content_type}
        if reason is not None:
            headers |= {"X-Slack-Retry-Num": str(entry.retry_attempt), "X-Slack-Retry-Reason": reason}
        return await self._post(app, url, body, headers)

    async def _post(self, app: InstalledApp, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        headers = headers | signed(app, body, self._clock.date())
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=None, trust_env=False)
        sending = asyncio.ensure_future(self._http.post(url, content=body, headers=headers))
        deadline = asyncio.ensure_future(self._clock.sleep(ACK_SECONDS))
        waited: set[asyncio.Future[Any]] = {sending, deadline}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        deadline.cancel()
        if not sending.done():
            sending.cancel()
            return Answer(False, error="operation_timeout", retry_reason="http_timeout")
        if sending.exception() is not None:
            return Answer(False, error="dispatch_failed", retry_reason="connection_failed")
        return http_answer(sending.result())

    async def challenge(self, app: InstalledApp) -> bool:
        """True if the events URL echoes the challenge, as JSON or plain text (Slack, url_verification)."""
        if app.manifest.events_url is None:
            return False
        word = secrets.token_urlsafe(24)
        payload = {"type": "url_verification", "token": app.verification_token, "challenge": word}
        body, content_type = http_body("events_api", payload)
        answer = await self._post(app, app.manifest.events_url, body, {"Content-Type": content_type})
        return answer.ok and word in ((answer.response or {}).get(k) for k in ("challenge", "text"))

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()


def request_url(app: InstalledApp, kind: Kind, payload: Json) -> str | None:
    """Return the URL that the manifest declares for this payload."""
    manifest = app.manifest
    if kind == "events_api":
        return manifest.events_url
    if kind == "slash_commands":
        declared = manifest.command(str(payload["command"]))
        return declared.url if declared is not None else None
    if payload.get("type") == "block_suggestion":
        return manifest.options_url or manifest.interactivity_url
    return manifest.interactivity_url


def http_body(kind: Kind, payload: Json) -> tuple[bytes, str]:
    form = "application/x-www-form-urlencoded"
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    if kind == "slash_commands":
        return urlencode(payload).encode(), form
    return urlencode({"payload": json.dumps(payload)}).encode(), form


def signed(app: InstalledApp, body: bytes, now: float) -> dict[str, str]:
    """Return the signature headers.

    Slack, Verifying requests: v0= HMAC-SHA256 of version, timestamp and raw body.
    """
    stamp = str(int(now))
    digest = hmac.new(app.signing_secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + digest.hexdigest()}


def http_answer(response: httpx.Response) -> Answer:
    if response.status_code != 200:
        no_retry = response.headers.get("X-Slack-No-Retry") == "1"
        return Answer(False, error="dispatch_failed", retry_reason="http_error", no_retry=no_retry)
    text = response.text.strip()
    if not text:
        return Answer(True, response={})
    try:
        body = json.loads(text)
    except ValueError:
        return Answer(True, response={"text": text})
    return Answer(True, response=body if isinstance(body, dict) else {})
