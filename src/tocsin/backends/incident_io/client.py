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

from tocsin.backends import tls_context
from tocsin.incidents.errors import OutcomeUnknown, TocsinError, Unavailable
from tocsin.incidents.model import Frozen
from tocsin.logs import trace
from tocsin.workflows.ports import Alerts, loop_time

# Circuit breaker: while incident.io refuses our key, a few requests are tried, then none for a pause.

CONCURRENT_REQUESTS = 5
"""Requests in flight until the first one is accepted; if all of them are refused, a pause follows."""

CLOSED_SECONDS = 10.0
AGAIN_SECONDS = (15.0, 45.0)


class Shut(Unavailable):
    """Refusal of our key: incident.io answered 401 (`is_key`) or 403. It is retried within a minute."""

    is_key = False
    errand = ""
    """Fix for a missing permission, as a sentence for the operator; for a refused key see `operator`."""

    @classmethod
    def of_key(cls) -> Shut:
        shut = cls(
            "incident.io refuses our API key.",
            retry_after=random.uniform(*AGAIN_SECONDS),
            operator="incident.io refuses INCIDENT_IO_API_KEY (401). Make a key under Settings, API keys, "
            "set it, and start Tocsin again; what was declared meanwhile is saved and then sent.",
        )
        shut.is_key = True
        return shut

    @classmethod
    def of_right(cls, request: str, said: str) -> Shut:
        shut = cls(
            f"incident.io does not let our API key do this{f': {said}' if said else '.'}",
            retry_after=random.uniform(*AGAIN_SECONDS),
        )
        shut.errand = (
            f"incident.io does not let INCIDENT_IO_API_KEY do this: {request} (403). Make a key with "
            "the rights in `tocsin docs incident_io`; what was declared meanwhile is saved and then sent."
        )
        return shut


@dataclass
class Door:
    """Circuit breaker of one kind of request, or of the API key itself."""

    is_open: bool = False
    closed_until: float = 0.0
    why: Shut | None = None
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_REQUESTS))

    def check(self) -> None:
        left = self.closed_until - loop_time()
        if self.why is not None and left > 0:
            again = Shut(str(self.why), retry_after=left + 1, operator=self.why.operator)
            again.is_key = self.why.is_key
            raise again

    def shut(self, why: Shut) -> None:
        self.is_open, self.why, self.closed_until = False, why, loop_time() + CLOSED_SECONDS

    @asynccontextmanager
    async def through(self) -> AsyncIterator[None]:
        """Let one request pass, a few at a time until the first is accepted. Raises Shut during the pause."""
        self.check()
        if self.is_open:
            yield
            return
        async with self.turns:
            self.check()
            yield


# Rate limiter: sends fewer requests than incident.io allows, and puts the creation of incidents first.

PER_MINUTE = 1080
"""Refill of the bucket; with `BURST` this makes 1180, and incident.io allows 1200 a key (Rate limits)."""

BURST = 100
KEPT_FREE = 20
"""Tokens of the bucket that are reserved for creating incidents."""


class Pace:
    """Token bucket that refills steadily; callers that find it empty wait in order of arrival."""

    def __init__(self, per_minute: float = PER_MINUTE, at_once: float = BURST) -> None:
        self._rate = per_minute / 60
        self._most = at_once
        self._left = at_once
        self._looked = loop_time()
        self._held_until = 0.0
        self._line = asyncio.Lock()

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait until a request may be sent; an urgent one skips the queue, the reserve and any pause."""
        if urgent:
            await self._take(0.0, 0.0)
            return
        async with self._line:
            await self._take(min(KEPT_FREE, self._most / 2), self._held_until)

    def hold(self, seconds: float) -> None:
        """Send only urgent requests for the given seconds, because incident.io asked for a pause."""
        self._held_until = max(self._held_until, loop_time() + seconds)

    async def _take(self, floor: float, held_until: float) -> None:
        """Take one token, sleeping until the bucket holds more than `floor` and the pause is over."""
        now = loop_time()
        self._left = min(self._most, self._left + (now - self._looked) * self._rate)
        self._looked = now
        wait = max(held_until - now, (floor + 1 - self._left) / self._rate)
        self._left -= 1
        if wait > 0:
            await asyncio.sleep(wait)


# Errors in incident.io's answers, and the time it asks us to wait.

LONGEST_PAUSE = 300.0
UNSAID_PAUSE = (15.0, 45.0)
"""Range of seconds to wait if the answer gives no time.

The limit of incidents an hour gives none; a few tries a minute do no harm.
"""


class Wrong(Frozen):
    """One error of a rejected request: the field as a dotted path with indexes, and a sentence."""

    path: str = ""
    said: str = ""


class Rejected(TocsinError):
    """incident.io rejected the request; sending it again unchanged will not help."""

    def __init__(self, status: int, wrong: tuple[Wrong, ...]) -> None:
        super().__init__(" ".join(w.said for w in wrong) or f"incident.io refused it (HTTP {status}).")
        self.status = status
        self.wrong = wrong

    @classmethod
    def of(cls, status: int, body: Mapping[str, Any]) -> Rejected:
        return cls(status, tuple(_wrongs(body)))


def _wrongs(body: Mapping[str, Any]) -> Iterator[Wrong]:
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
            yield Wrong(path=_dotted(path), said=_sentence(error.get("message")))
    if not errors and body.get("message"):
        yield Wrong(said=_sentence(body["message"]))


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


def told_wrong(body: Mapping[str, Any]) -> str:
    """Join the error sentences of an answer, 300 characters at most; empty if it has none."""
    return " ".join(wrong.said for wrong in _wrongs(body) if wrong.said)[:300]


def asked_to_wait(headers: Mapping[str, str], body: Mapping[str, Any]) -> float:
    """Return the seconds until the next request, five minutes at most (incident.io, Rate limits).

    The header `Retry-After` takes precedence over `rate_limit.retry_after`. Both are seconds, an HTTP date
    (whose zone incident.io spells UTC) or RFC 3339. If neither can be read, the time is one of
    `UNSAID_PAUSE`.
    """
    limit = body.get("rate_limit")
    for said in (headers.get("retry-after"), limit.get("retry_after") if isinstance(limit, dict) else None):
        seconds = None if said is None else _seconds(said)
        if seconds is not None:
            return min(max(seconds, 1.0), LONGEST_PAUSE)
    return random.uniform(*UNSAID_PAUSE)


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
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            verify=tls_context(),
            trust_env=False,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=55.0),
        )
        self._pace = Pace()
        self._key = Door()
        self._doors: defaultdict[str, Door] = defaultdict(Door)

    async def close(self) -> None:
        await self._http.aclose()

    async def fetch(self, path: str, query: Query = ()) -> Json:
        """Send a GET request. Raises Unavailable, and Rejected if incident.io rejects it."""
        return await self._through("GET", path, query=query)

    async def send(self, method: str, path: str, body: bytes, *, urgent: bool = False) -> Json:
        """Send a request that changes something.

        Raises as `fetch` does, and OutcomeUnknown if the change may have been made.
        """
        return await self._through(method, path, body=body, urgent=urgent)

    async def _through(
        self, method: str, path: str, *, query: Query = (), body: bytes | None = None, urgent: bool = False
    ) -> Json:
        kind = _kind(method, path)
        door = self._doors[kind]
        async with self._key.through(), door.through():
            await self._pace.turn(urgent=urgent)
            try:
                answer = await self._asked(method, path, query, body)
            except Shut as shut:
                (self._key if shut.is_key else door).shut(shut)
                if self._operator is not None and shut.errand and path not in OPTIONAL:
                    self._operator.raise_alert(f"incident.io {kind}", shut.errand)
                raise
            except Rejected:
                self._let_in(kind)
                raise
            self._let_in(kind)
            return answer

    def _let_in(self, kind: str) -> None:
        self._key.is_open = self._doors[kind].is_open = True
        if self._operator is not None:
            self._operator.resolve(f"incident.io {kind}")

    async def _asked(self, method: str, path: str, query: Query, body: bytes | None) -> Json:
        changes = method != "GET"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if trace():
            # One trace id leads from an interaction in Slack to the request at incident.io.
            headers["X-Request-Id"] = trace()
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
        if status == 401:
            return Shut.of_key()
        if status == 403:
            return Shut.of_right(f"{response.request.method} {response.request.url.path}", told_wrong(said))
        if status == 429:
            seconds = asked_to_wait(response.headers, said)
            self._pace.hold(seconds)
            return Unavailable("incident.io asks us to slow down.", retry_after=seconds)
        if status >= 500 or status == 408:
            return _lost(changes, "incident.io is having trouble.")
        if status < 400:
            return Unavailable(
                "incident.io answered with another address.",
                operator="INCIDENT_IO_URL is not where incident.io answers: it sends us elsewhere.",
            )
        return Rejected.of(status, said)


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
