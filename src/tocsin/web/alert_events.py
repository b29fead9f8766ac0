"""The address at which monitoring systems leave their alerts: incident.io's, and their own bodies."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin.incidents.alert_payloads import AlertSource, answer_key, path_of, read_alerts
from tocsin.incidents.alerts import AlertEvent
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.web.api.errors import ApiError, Problem, answer_to, translate
from tocsin.web.sns import SnsMessages
from tocsin.workflows.ports import Clock

MOST_BODY = 512 * 1024
"""Bytes of a body: Alertmanager sends no more to an `incidentio_config`."""

BODY_SECONDS = 10.0
PATH = path_of("{source}")
ACCEPTED = "Event accepted for processing"
NO_ALERT = "Nothing in it is an alert"

TakeIn = Callable[[AlertSource, Sequence[AlertEvent]], Awaitable[None]]
"""Stores events durably. Raises Unavailable: nothing is stored then."""


class AlertEvents:
    """The endpoint of all sources (incident.io, Alert Events V2, Create HTTP)."""

    def __init__(
        self, sources: Sequence[AlertSource], take_in: TakeIn, sns: SnsMessages | None, clock: Clock
    ) -> None:
        """`sns` checks what is said to be Amazon's; None if no source is."""
        self._sources = {source.id: source for source in sources}
        self._take_in = take_in
        self._sns = sns
        self._clock = clock

    @property
    def route(self) -> Route:
        return Route(PATH, self.answer, methods=["POST"])

    async def answer(self, request: Request) -> Response:
        """Answer 202 once what was sent is durable; else an error in incident.io's form.

        An unknown source and a wrong token get the same 401. The body is read after the token is known.
        """
        request_id = str(uuid4())
        try:
            source = self._authenticate(request)
            body = await _body(request)
            said = await self._accept(source, body)
        except TocsinError as error:
            refusal = translate(error)
            response = answer_to(refusal, request_id)
            if refusal.status in (400, 401, 413):
                # What is left of the body is not read.
                response.headers["Connection"] = "close"
        else:
            response = JSONResponse(said, 202)
        response.headers["X-Request-Id"] = request_id
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _accept(self, source: AlertSource, body: Any) -> dict[str, str]:
        if source.kind == "cloudwatch" and isinstance(body, dict) and self._sns is not None:
            await self._sns.verify(body, self._clock())
            if body["Type"] != "Notification":
                return await _subscribe(body, self._sns)
        try:
            events = read_alerts(source.kind, body, source.template)
            key = answer_key(body, events)
        except RecursionError:
            raise Refused("The body is nested too deeply.") from None
        await self._take_in(source, events)
        message = ACCEPTED if events else NO_ALERT
        return {"status": "success", "message": message, "deduplication_key": key}

    def _authenticate(self, request: Request) -> AlertSource:
        source = self._sources.get(request.path_params["source"])
        given, wanted = _token(request), source.token if source is not None else ""
        is_right = hmac.compare_digest(given.encode(), wanted.encode())
        if source is None or not wanted or not is_right:
            sentence = "There is no such source of alerts, or this is not its token."
            problem = Problem("unauthenticated", sentence)
            raise ApiError(401, problem, headers={"WWW-Authenticate": "Bearer"})
        return source


async def _subscribe(body: dict[str, Any], sns: SnsMessages) -> dict[str, str]:
    """Confirm a subscription; that one ended needs no answer."""
    message = NO_ALERT
    if body["Type"] == "SubscriptionConfirmation":
        await sns.confirm(body)
        message = "The subscription is confirmed"
    return {"status": "success", "message": message, "deduplication_key": ""}


def _token(request: Request) -> str:
    """Return the token of the request: Bearer, the password of Basic, or the query's; empty for none."""
    given = request.headers.getlist("authorization")
    scheme, _, rest = (given[0] if len(given) == 1 else "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    asked = request.query_params.getlist("token")
    return asked[0] if len(asked) == 1 else ""


async def _body(request: Request) -> Any:
    """Return the body's JSON. Raises ApiError: too large (413), not whole in time (400), no JSON (422).

    Bytes that are no text become U+FFFD, as at incident.io: plugins of Icinga and Nagios forward what a check
    prints, in whatever encoding, and an alert must not be lost for it.
    """
    written = bytearray()
    too_large = ApiError(413, Problem("payload_too_large", f"A body has at most {MOST_BODY:,} bytes."))
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MOST_BODY:
        raise too_large
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                written += chunk
                if len(written) > MOST_BODY:
                    raise too_large
    except (TimeoutError, ClientDisconnect):
        raise ApiError(400, Problem("incomplete", "The body did not arrive whole.")) from None
    try:
        return json.loads(written.decode(json.detect_encoding(bytes(written)), "replace"))
    except (ValueError, RecursionError):
        raise ApiError(422, Problem("invalid_json", "The body is no JSON.")) from None
