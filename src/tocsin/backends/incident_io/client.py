"""One request to incident.io, and the one place where what may come back becomes an answer or an error."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from tocsin.actions.ports import Operator
from tocsin.backends import tls_context
from tocsin.backends.incident_io.doors import Door, Shut
from tocsin.backends.incident_io.pace import Pace
from tocsin.backends.incident_io.troubles import Rejected, asked_to_wait, told_wrong
from tocsin.incidents.errors import OutcomeUnknown, TocsinError, Unavailable
from tocsin.tracing import trace

TIMEOUT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0

OPTIONAL = frozenset({"/v3/incident_forms"})
"""What we can do without."""

Query = Sequence[tuple[str, str]]
Json = Mapping[str, Any]


class Client:
    """incident.io behind one key; connections are kept and shared. `url` is its base, `key` is a secret."""

    def __init__(
        self, url: str, key: str, *, seconds: float = TIMEOUT_SECONDS, operator: Operator | None = None
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
                    self._operator.sound(f"incident.io {kind}", shut.errand)
                raise
            except Rejected:
                self._let_in(kind)
                raise
            self._let_in(kind)
            return answer

    def _let_in(self, kind: str) -> None:
        self._key.is_open = self._doors[kind].is_open = True
        if self._operator is not None:
            self._operator.rest(f"incident.io {kind}")

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
