"""The server of the API: finds the endpoint of a request, checks its key, query and body, and answers."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from tocsin.incidents.api_keys import OPERATOR, ApiKey
from tocsin.incidents.errors import Refused, TocsinError
from tocsin.logs import traced
from tocsin.web.api import errors
from tocsin.web.api.description import DESCRIPTION, RateLimitDetail, describe
from tocsin.web.api.endpoints import ApiCall, ApiServices, Endpoint
from tocsin.web.api.errors import PREFIXES, ApiError, Problem
from tocsin.web.api.query import parse
from tocsin.web.api.rate_limit import RateLimit, Turn

log = structlog.get_logger()

MOST_BODY = 1 << 20
"""Bytes of a body; Alertmanager sends at most half of it."""

FindKey = Callable[[str, datetime], Awaitable[ApiKey | None]]
"""Returns the key that this secret is; None if there is none. Raises Unavailable."""

Count = Callable[[str, str, int], None]
"""Counts a request: the key's name, the endpoint, the status of its answer."""

ELSEWHERE = (
    "This Tocsin keeps its incidents at {product}, whose own API has them all. It serves this API only for "
    "incidents that it keeps itself (TOCSIN_BACKEND=local)."
)


@dataclass(frozen=True)
class _Way:
    """A path of the table and its endpoints by method."""

    pattern: re.Pattern[str]
    endpoints: Mapping[str, Endpoint]

    @property
    def methods(self) -> str:
        head = ["HEAD"] if "GET" in self.endpoints else []
        return ", ".join(sorted([*self.endpoints, *head, "OPTIONS"]))


@dataclass
class _Progress:
    """Facts of a request that its headers and its count need, as far as they are known."""

    request_id: str = field(default_factory=lambda: str(uuid4()))
    key: ApiKey | None = None
    endpoint: str = ""
    turn: Turn | None = None


class ApiServer:
    """The ASGI application under `/v1`, `/v2` and `/v3`."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        services: ApiServices | None,
        *,
        find_key: FindKey,
        operator_token: str,
        clock: Callable[[], datetime],
        limit: RateLimit,
        count: Count,
        product: str = "",
    ) -> None:
        """Without `services` every endpoint answers that `product` keeps the incidents."""
        self._ways = _ways(endpoints)
        self._description = describe(endpoints)
        self._services = services
        self._find_key = find_key
        self._operator_token = operator_token.encode()
        self._clock = clock
        self._limit = limit
        self._count = count
        self._product = product

    def routes(self) -> list[BaseRoute]:
        return [Mount(prefix.rstrip("/"), app=self) for prefix in PREFIXES]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        progress = _Progress()
        # Everything that follows from the request has its id as trace, also in workflows.
        with traced(progress.request_id):
            try:
                response = await self._respond(Request(scope, receive), progress)
            except Exception:
                log.error("a request to the API failed", endpoint=progress.endpoint)
                await self._send(errors.broken(progress.request_id), progress, scope, receive, send)
                raise
            await self._send(response, progress, scope, receive, send)

    async def _send(
        self, response: Response, progress: _Progress, scope: Scope, receive: Receive, send: Send
    ) -> None:
        response.headers["X-Request-Id"] = progress.request_id
        response.headers["Cache-Control"] = "no-store"
        if progress.turn is not None:
            response.headers.update(progress.turn.headers(self._clock().timestamp()))
        name = progress.key.name if progress.key is not None else ""
        self._count(name, progress.endpoint, response.status_code)
        await response(scope, receive, send)

    async def _respond(self, request: Request, progress: _Progress) -> Response:
        try:
            return await self._answer(request, progress)
        except TocsinError as error:
            refusal = errors.translate(error)
            return errors.answer_to(refusal, progress.request_id, _limited(progress, self._clock()))

    async def _answer(self, request: Request, progress: _Progress) -> Response:
        path = request.scope["path"]
        if path == DESCRIPTION and request.method in ("GET", "HEAD"):
            return Response(self._description, media_type="application/json")
        way, parameters = self._find(path)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": way.methods})
        endpoint = way.endpoints.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            sentence = f"{request.method} is not served here, but {way.methods}."
            problem = Problem("method_not_allowed", sentence)
            raise ApiError(405, problem, headers={"Allow": way.methods})
        progress.endpoint = f"{endpoint.method} {endpoint.path}"
        key = progress.key = await self._authenticate(request)
        turn = progress.turn = self._limit.take(key.id)
        if not turn.allowed:
            raise ApiError(429, Problem("too_many_requests", f"Too many requests: wait {turn.wait} s."))
        if turn.delay:
            await asyncio.sleep(turn.delay)
        _authorize(key, endpoint)
        if self._services is None:
            raise ApiError(501, Problem("not_served", ELSEWHERE.format(product=self._product)))
        call = ApiCall(key, self._services, progress.request_id, parameters)
        return await _answered(endpoint, call, request)

    def _find(self, path: str) -> tuple[_Way, dict[str, str]]:
        for way in self._ways:
            if match := way.pattern.fullmatch(path):
                return way, match.groupdict()
        raise ApiError(404, Problem("not_found", "There is no such endpoint."))

    async def _authenticate(self, request: Request) -> ApiKey:
        """Return the key of the request, from its one Authorization header and nowhere else."""
        given = request.headers.getlist("authorization")
        scheme, _, secret = (given[0] if len(given) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise _stranger("missing_authorization_material", "Send a key: “Authorization: Bearer KEY”.")
        secret = secret.strip()
        if self._operator_token and hmac.compare_digest(secret.encode(), self._operator_token):
            return OPERATOR
        key = await self._find_key(secret, self._clock())
        if key is None:
            raise _stranger("unauthenticated", "There is no such key, or it was revoked.")
        return key


def _ways(endpoints: Sequence[Endpoint]) -> list[_Way]:
    """Return the paths of the table, those without a parameter first: they win over `{id}`."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    ordered = sorted(by_path, key=lambda path: path.count("{"))
    return [_Way(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), by_path[path]) for path in ordered]


def _stranger(code: str, sentence: str) -> ApiError:
    return ApiError(401, Problem(code, sentence), headers={"WWW-Authenticate": "Bearer"})


def _authorize(key: ApiKey, endpoint: Endpoint) -> None:
    if not key.may(endpoint.scope):
        sentence = f"The key “{key.name}” may not do this: it lacks the scope “{endpoint.scope}”."
        raise ApiError(403, Problem("forbidden", sentence))


def _limited(progress: _Progress, now: datetime) -> dict[str, object]:
    """Return what the body of a 429 says of the limit (incident.io, Rate limits)."""
    turn, key = progress.turn, progress.key
    if turn is None or turn.allowed or key is None:
        return {}
    again = now + timedelta(seconds=turn.wait)
    limit = RateLimitDetail(
        name=key.name,
        limit=turn.limit,
        remaining=0,
        retry_after=f"{again.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    return {"rate_limit": limit.model_dump()}


async def _answered(endpoint: Endpoint, call: ApiCall, request: Request) -> Response:
    try:
        query = _query(endpoint.query, request) if endpoint.query is not None else None
        body = await _body(endpoint.body, request) if endpoint.body is not None else None
    except ValidationError as error:
        raise errors.unreadable(error) from None
    with_what_came = ApiCall(call.key, call.services, call.request_id, call.path, query, body)
    try:
        answer = await endpoint.handler(with_what_came)
    except Refused as refused:
        raise errors.translate(refused, body) from None
    if endpoint.answer is None or answer is None:
        return Response(status_code=endpoint.status_without_body)
    assert isinstance(answer, endpoint.answer)
    written = answer.model_dump_json(exclude_none=True)
    return Response(written, endpoint.status, media_type="application/json")


def _query(model: type[BaseModel], request: Request) -> BaseModel:
    return model.model_validate(parse(request.query_params.multi_items()))


async def _body(model: type[BaseModel], request: Request) -> BaseModel:
    """Return the body. Raises ValidationError, and ApiError for one that is too long or no JSON."""
    written = bytearray()
    try:
        async for chunk in request.stream():
            written += chunk
            if len(written) > MOST_BODY:
                raise ApiError(413, Problem("payload_too_large", f"A body has at most {MOST_BODY:,} bytes."))
    except ClientDisconnect:
        raise ApiError(400, Problem("incomplete", "The body did not come whole.")) from None
    try:
        # Bytes that are no text become U+FFFD, as at incident.io: a script's Latin-1 declares as well.
        return model.model_validate_json(written.decode(errors="replace"))
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise ApiError(400, Problem("invalid_json", "The body is no JSON.")) from None
        raise
