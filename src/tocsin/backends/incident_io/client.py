"""HTTP client of incident.io: rate limiter, circuit breaker, and mapping of errors."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import structlog

from tocsin import USER_AGENT
from tocsin.backends import tls_context
from tocsin.incidents.errors import OutcomeUnknown, TocsinError, Unavailable
from tocsin.incidents.model import FrozenModel
from tocsin.logs import trace
from tocsin.workflows.ports import Alerts, check_ownership, loop_time

log = structlog.get_logger()

# Circuit breaker: while incident.io refuses our key, a few requests are tried, then none for a pause.

CONCURRENT_REQUESTS = 5
"""Requests in flight until the first one is accepted; if all of them are refused, a pause follows."""

OPEN_SECONDS = 10.0
RETRY_SECONDS = (15.0, 45.0)


class AccessDenied(Unavailable):
    """Refusal of our key: incident.io answered 401 (`is_key`) or 403. It is retried within a minute."""

    is_key = False
    fix = ""
    """Fix for a missing permission, as a sentence for the operator; for a refused key see `operator`."""

    @classmethod
    def for_key(cls) -> AccessDenied:
        denied = cls(
            "incident.io refuses our API key.",
            retry_after=random.uniform(*RETRY_SECONDS),
            operator="incident.io refuses INCIDENT_IO_API_KEY (401). Make a key under Settings, API keys, "
            "set it, and start Tocsin again; what was declared meanwhile is saved and then sent.",
        )
        denied.is_key = True
        return denied

    @classmethod
    def for_permission(cls, request: str, said: str) -> AccessDenied:
        denied = cls(
            f"incident.io does not let our API key do this{f': {said}' if said else '.'}",
            retry_after=random.uniform(*RETRY_SECONDS),
        )
        denied.fix = (
            f"incident.io does not let INCIDENT_IO_API_KEY do this: {request} (403). Make a key with "
            "the rights in `tocsin docs incident_io`; what was declared meanwhile is saved and then sent."
        )
        return denied


@dataclass
class CircuitBreaker:
    """Circuit breaker of one kind of request, or of the API key itself."""

    is_closed: bool = False
    open_until: float = 0.0
    error: AccessDenied | None = None
    trials: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_REQUESTS))

    def check(self) -> None:
        left = self.open_until - loop_time()
        if self.error is not None and left > 0:
            again = AccessDenied(str(self.error), retry_after=left + 1, operator=self.error.operator)
            again.is_key = self.error.is_key
            raise again

    def trip(self, error: AccessDenied) -> None:
        self.is_closed, self.error, self.open_until = False, error, loop_time() + OPEN_SECONDS

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Let one request pass, a few at a time until the first is accepted.

        Raises AccessDenied during the pause.
        """
        self.check()
        if self.is_closed:
            yield
            return
        async with self.trials:
            self.check()
            yield


# Rate limiter: sends fewer requests than incident.io allows, and puts the creation of incidents first.

PER_MINUTE = 1080
"""Refill of the bucket; with `BURST` this makes 1180, and incident.io allows 1200 a key (Rate limits)."""

BURST = 100
RESERVED = 20
"""Tokens of the bucket that are reserved for creating incidents."""


class TokenBucket:
    """Token bucket that refills steadily; callers that find it empty wait in order of arrival."""

    def __init__(self, per_minute: float = PER_MINUTE, burst: float = BURST) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._tokens = burst
        self._refilled_at = loop_time()
        self._paused_until = 0.0
        self._queue = asyncio.Lock()

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait until a request may be sent; an urgent one skips the queue, the reserve and any pause."""
        if urgent:
            await self._take(0.0, 0.0)
            return
        async with self._queue:
            await self._take(min(RESERVED, self._burst / 2), self._paused_until)

    def pause(self, seconds: float) -> None:
        """Send only urgent requests for the given seconds, because incident.io asked for a pause."""
        self._paused_until = max(self._paused_until, loop_time() + seconds)

    async def _take(self, floor: float, paused_until: float) -> None:
        """Take one token, sleeping until the bucket holds more than `floor` and the pause is over."""
        now = loop_time()
        self._tokens = min(self._burst, self._tokens + (now - self._refilled_at) * self._rate)
        self._refilled_at = now
        wait = max(paused_until - now, (floor + 1 - self._tokens) / self._rate)
        self._tokens -= 1
        if wait > 0:
            await asyncio.sleep(wait)


# Errors in incident.io's answers, and the time it asks us to wait.

LONGEST_PAUSE = 300.0
DEFAULT_PAUSE = (15.0, 45.0)
"""Range of seconds to wait if the answer gives no time.

The limit of incidents an hour gives none; a few tries a minute do no harm.
"""


class FieldError(FrozenModel):
    """One error of a rejected request: the field as a dotted path with indexes, and a sentence."""

    path: str = ""
    message: str = ""


class ApiError(TocsinError):
    """incident.io rejected the request; sending it again unchanged will not help."""

    def __init__(self, status: int, errors: tuple[FieldError, ...], request_id: str = "") -> None:
        said = " ".join(w.message for w in errors) or f"incident.io refused it (HTTP {status})."
        super().__init__(with_request_id(said, request_id))
        self.status = status
        self.errors = errors
        self.request_id = request_id

    @classmethod
    def from_body(cls, status: int, body: Mapping[str, Any]) -> ApiError:
        return cls(status, tuple(_field_errors(body)), request_id_of(body))


def request_id_of(body: Mapping[str, Any]) -> str:
    """Return the id by which incident.io's support finds a request (incident.io, Errors: `request_id`)."""
    return str(body.get("request_id") or "")[:64]


def with_request_id(sentence: str, request_id: str) -> str:
    """Return the sentence with the id for incident.io's support behind it, if there is one."""
    return f"{sentence} (incident.io request {request_id})" if request_id else sentence


def _field_errors(body: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield the errors of an answer.

    Source: incident.io, Errors: `errors[].message` with `source.field`, or a JSON pointer in
    `source.pointer`.
    """
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            source = error.get("source")
            source = source if isinstance(source, dict) else {}
            field, pointer = str(source.get("field") or ""), str(source.get("pointer") or "")
            path = field if "." in field or not pointer else pointer
            yield FieldError(path=_dotted(path), message=_sentence(error.get("message")))
    if not errors and body.get("message"):
        yield FieldError(message=_sentence(body["message"]))


def _dotted(path: str) -> str:
    """Write an error's path with dots only.

    `/custom_field_entries/1/values` and `custom_field_entries[1].values` become
    `custom_field_entries.1.values`.
    """
    plain = re.sub(r"\[(\d+)\]", r".\1", path.replace("~1", "/").replace("/", "."))
    return plain.strip(".")


def _sentence(message: object) -> str:
    said = str(message or "").strip()
    return said if not said or said[-1] in ".!?" else f"{said}."


def join_messages(body: Mapping[str, Any]) -> str:
    """Join the error sentences of an answer, 300 characters at most; empty if it has none."""
    return " ".join(problem.message for problem in _field_errors(body) if problem.message)[:300]


def retry_after_of(headers: Mapping[str, str], body: Mapping[str, Any]) -> float:
    """Return the seconds until the next request, five minutes at most (incident.io, Rate limits).

    The header `Retry-After` takes precedence over `rate_limit.retry_after`. Both are seconds, an HTTP date
    (whose zone incident.io spells UTC) or RFC 3339. If neither can be read, the time is one of
    `DEFAULT_PAUSE`.
    """
    limit = body.get("rate_limit")
    for said in (headers.get("retry-after"), limit.get("retry_after") if isinstance(limit, dict) else None):
        seconds = None if said is None else _seconds(said)
        if seconds is not None:
            return min(max(seconds, 1.0), LONGEST_PAUSE)
    return random.uniform(*DEFAULT_PAUSE)


def _seconds(said: object) -> float | None:
    text = str(said).strip()
    try:
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    except ValueError:
        pass
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - datetime.now(UTC)).total_seconds()
    return None


# One request to incident.io, and the mapping of its response to an answer or an error.

TIMEOUT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0

OPTIONAL = frozenset({"/v3/incident_forms"})
"""Paths that the bot can do without: the operator is not alerted if the key has no permission for them."""

Query = Sequence[tuple[str, str]]
Json = Mapping[str, Any]


class Client:
    """Client for one API key, with a shared connection pool. `url` is the API's base; `key` is a secret."""

    def __init__(
        self, url: str, key: str, *, seconds: float = TIMEOUT_SECONDS, operator: Alerts | None = None
    ) -> None:
        """Alert `operator` once to each permission that the key lacks; resolve the alert once it has it."""
        self._operator = operator
        self._seconds = seconds
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "User-Agent": USER_AGENT,
            },
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            verify=tls_context(),
            trust_env=False,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=55.0),
        )
        self._limiter = TokenBucket()
        self._key_breaker = CircuitBreaker()
        self._breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)

    async def close(self) -> None:
        await self._http.aclose()

    async def fetch(self, path: str, query: Query = ()) -> Json:
        """Send a GET request. Raises Unavailable, and ApiError if incident.io rejects it."""
        return await self._send("GET", path, query=query)

    async def send(self, method: str, path: str, body: bytes, *, urgent: bool = False) -> Json:
        """Send a request that changes something.

        Raises as `fetch` does, and OutcomeUnknown if the change may have been made.
        """
        return await self._send(method, path, body=body, urgent=urgent)

    async def _send(
        self, method: str, path: str, *, query: Query = (), body: bytes | None = None, urgent: bool = False
    ) -> Json:
        kind = _kind(method, path)
        breaker = self._breakers[kind]
        async with self._key_breaker.guard(), breaker.guard():
            await self._limiter.acquire(urgent=urgent)
            try:
                answer = await self._request(method, path, query, body)
            except AccessDenied as denied:
                (self._key_breaker if denied.is_key else breaker).trip(denied)
                if self._operator is not None and denied.fix and path not in OPTIONAL:
                    self._operator.raise_alert(f"incident.io {kind}", denied.fix)
                raise
            except ApiError:
                self._close_breakers(kind)
                raise
            self._close_breakers(kind)
            return answer

    def _close_breakers(self, kind: str) -> None:
        self._key_breaker.is_closed = self._breakers[kind].is_closed = True
        if self._operator is not None:
            self._operator.resolve(f"incident.io {kind}")

    async def _request(self, method: str, path: str, query: Query, body: bytes | None) -> Json:
        changes = method != "GET"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if trace():
            # One trace id leads from an interaction in Slack to the request at incident.io.
            headers["X-Request-Id"] = trace()
        if changes:
            check_ownership()
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._http.request(
                    method, path, params=httpx.QueryParams(list(query)), content=body, headers=headers
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable("incident.io cannot be reached.") from error
        except (TimeoutError, httpx.HTTPError) as error:
            raise _lost(changes, "incident.io's answer was lost.") from error
        if response.is_success:
            return _read(response, changes)
        raise self._error(response, changes)

    def _error(self, response: httpx.Response, changes: bool) -> TocsinError:
        status, said = response.status_code, _object(response)
        if request_id := request_id_of(said):
            kind = _kind(response.request.method, response.request.url.path)
            log.warning("incident.io answered an error", kind=kind, status=status, request_id=request_id)
        if status == 401:
            return AccessDenied.for_key()
        if status == 403:
            return AccessDenied.for_permission(
                f"{response.request.method} {response.request.url.path}",
                with_request_id(join_messages(said), request_id_of(said)).strip(),
            )
        if status == 429:
            seconds = retry_after_of(response.headers, said)
            self._limiter.pause(seconds)
            return Unavailable("incident.io asks us to slow down.", retry_after=seconds)
        if status >= 500 or status == 408:
            return _lost(changes, "incident.io is having trouble.")
        if status < 400:
            return Unavailable(
                "incident.io answered with another address.",
                operator="INCIDENT_IO_URL is not where incident.io answers: it sends us elsewhere.",
            )
        return ApiError.from_body(status, said)


def _kind(method: str, path: str) -> str:
    """Return the kind of a request: a key has its permissions by kind.

    The number of segments is part of it, because creating an incident needs another permission than editing
    one.
    """
    segments = path.strip("/").split("/")
    return f"{method} {'/'.join(segments[:2])} {len(segments)}"


def _lost(changes: bool, sentence: str) -> Unavailable:
    """Return the error for a lost answer: OutcomeUnknown for a change, else Unavailable.

    A change is retried within 5 s, since it may have been made.
    """
    if changes:
        return OutcomeUnknown(sentence, retry_after=random.uniform(1.5, 4.0))
    return Unavailable(sentence)


def _read(response: httpx.Response, changes: bool) -> Json:
    if response.status_code == 204 or not response.content:
        return {}
    found = _object(response)
    if not found:
        raise _lost(changes, "incident.io's answer was not understood.")
    return found


def _object(response: httpx.Response) -> Json:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
