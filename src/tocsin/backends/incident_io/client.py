"""HTTP client of incident.io: rate limiter, circuit breaker, and errors mapped to ours."""

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

# While incident.io refuses our key, it is asked seldom: a few requests, then a pause, then a few again.

CONCURRENT_REQUESTS = 5
"""Requests in flight before the first is known to be let in: if all are refused, that is all for a while."""

CLOSED_SECONDS = 10.0
AGAIN_SECONDS = (15.0, 45.0)


class Shut(Unavailable):
    """incident.io answered 401 (`is_key`) or 403; asked again within a minute."""

    is_key = False
    errand = ""
    """What the operator must do about a right that is missing; of the key itself, `operator` says it."""

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
            f"incident.io does not let INCIDENT_IO_API_KEY do this: {request} (403). Make a key "
            "with the rights that README lists; what was declared meanwhile is saved and then sent."
        )
        return shut


@dataclass
class Door:
    """One kind of request, or, for all of them, the key itself."""

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
        """Go through; until it is known to be open, few at a time, and nobody while it is shut."""
        self.check()
        if self.is_open:
            yield
            return
        async with self.turns:
            self.check()
            yield


# How often incident.io is asked: less often than it allows, and what somebody waits for goes first.

PER_MINUTE = 1080
"""incident.io, Rate limits: 1200 requests a minute for each API key; with a full bucket this makes 1180."""

BURST = 100
KEPT_FREE = 20
"""Of those, what only an incident's creation may use."""


class Pace:
    """A bucket of permissions that fills steadily; whoever finds it empty waits, one behind the other."""

    def __init__(self, per_minute: float = PER_MINUTE, at_once: float = BURST) -> None:
        self._rate = per_minute / 60
        self._most = at_once
        self._left = at_once
        self._looked = loop_time()
        self._held_until = 0.0
        self._line = asyncio.Lock()

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait until a request may be sent."""
        if urgent:
            await self._take(0.0, 0.0)
            return
        async with self._line:
            await self._take(min(KEPT_FREE, self._most / 2), self._held_until)

    def hold(self, seconds: float) -> None:
        """Nothing but what is urgent is sent for so many seconds: incident.io asked for it."""
        self._held_until = max(self._held_until, loop_time() + seconds)

    async def _take(self, floor: float, held_until: float) -> None:
        """One permission, once there are more of them than `floor`."""
        now = loop_time()
        self._left = min(self._most, self._left + (now - self._looked) * self._rate)
        self._looked = now
        wait = max(held_until - now, (floor + 1 - self._left) / self._rate)
        self._left -= 1
        if wait > 0:
            await asyncio.sleep(wait)


# What incident.io says when it says no, and how long it asks us to wait.

LONGEST_PAUSE = 300.0
UNSAID_PAUSE = (15.0, 45.0)
"""A limit of incidents in an hour comes without a time; a few tries a minute do no harm."""


class Wrong(Frozen):
    """One thing that was wrong with what was sent: where, as dotted names and indexes, and a sentence."""

    path: str = ""
    said: str = ""


class Rejected(TocsinError):
    """incident.io refuses the request itself; sending it again as it is will not help."""

    def __init__(self, status: int, wrong: tuple[Wrong, ...]) -> None:
        super().__init__(" ".join(w.said for w in wrong) or f"incident.io refused it (HTTP {status}).")
        self.status = status
        self.wrong = wrong

    @classmethod
    def of(cls, status: int, body: Mapping[str, Any]) -> Rejected:
        return cls(status, tuple(_wrongs(body)))


def _wrongs(body: Mapping[str, Any]) -> Iterator[Wrong]:
    """incident.io, Errors: `errors[].message` with `source.field`, or a JSON pointer in `source.pointer`."""
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
    """`/custom_field_entries/1/values`, `custom_field_entries[1].values`: with dots, nothing before it."""
    plain = re.sub(r"\[(\d+)\]", r".\1", path.replace("~1", "/").replace("/", "."))
    return plain.strip(".")


def _sentence(message: object) -> str:
    said = str(message or "").strip()
    return said if not said or said[-1] in ".!?" else f"{said}."


def told_wrong(body: Mapping[str, Any]) -> str:
    """What an error says, in one line; nothing where it says nothing."""
    return " ".join(wrong.said for wrong in _wrongs(body) if wrong.said)[:300]


def asked_to_wait(headers: Mapping[str, str], body: Mapping[str, Any]) -> float:
    """Seconds until the next request, five minutes at most (incident.io, Rate limits).

    The header `Retry-After` counts most, then `rate_limit.retry_after`: seconds, an HTTP date (whose zone
    incident.io spells UTC) or RFC 3339. What cannot be read makes us wait for a moment of our own choice.
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


# One request to incident.io, and the one place where what may come back becomes an answer or an error.

TIMEOUT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0

OPTIONAL = frozenset({"/v3/incident_forms"})
"""What we can do without."""

Query = Sequence[tuple[str, str]]
Json = Mapping[str, Any]


class Client:
    """incident.io behind one key; connections are kept and shared. `url` is its base, `key` is a secret."""

    def __init__(
        self, url: str, key: str, *, seconds: float = TIMEOUT_SECONDS, operator: Alerts | None = None
    ) -> None:
        """`operator` is told of each right that the key lacks, once, and when it has it."""
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
        """Read something. Raises Unavailable, and Rejected when incident.io says no."""
        return await self._through("GET", path, query=query)

    async def send(self, method: str, path: str, body: bytes, *, urgent: bool = False) -> Json:
        """Change something. Raises as `fetch` does, and OutcomeUnknown when it may have been done."""
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
            # One id leads from a gesture in Slack to the request at incident.io.
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
    """What a key may be allowed or not: `POST /v2/incidents` is another right than editing one of them."""
    segments = path.strip("/").split("/")
    return f"{method} {'/'.join(segments[:2])} {len(segments)}"


def _lost(changes: bool, sentence: str) -> Unavailable:
    """An answer that did not come; what may have been done is asked for again within 5 s."""
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
