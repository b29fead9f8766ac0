"""HTTP client of DevRev's API: one request for each call, and errors that tell if anything was done.

It replaces the vendor's package, which retries creates by itself and so makes two incidents of one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from tocsin import USER_AGENT
from tocsin.backends import tls_context
from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable
from tocsin.logs import trace
from tocsin.workflows.ports import check_ownership

CALL_SECONDS: Final = 10.0
"""Seconds to wait for an answer; after that the outcome of a create is unknown."""

LONGEST_PAUSE: Final = 300.0
"""Longest pause that DevRev may ask for: its window of requests is five minutes (Rate limits)."""

PAUSE: Final = 30.0
"""Seconds until a request that only the operator can fix is tried again."""

MOST_PAGES = 200
"""Most pages of one list that are read, in case the cursor never ends."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class DevRevRefused(Refused):
    """DevRev refused the request: `kind` is its error type, `field` the field it names.

    Error bodies come with and without `type` (Errors); without one, `kind` is the HTTP status in digits.
    """

    def __init__(self, sentence: str, *, status: int, kind: str, field: str = "", subtype: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind
        self.field = field
        self.subtype = subtype

    @property
    def is_missing(self) -> bool:
        return self.status == 404


class NotAllowed(Unavailable):
    """Our token lacks the permission, or the address has no such method; only the operator can fix it."""


class DevRevClient:
    """Client for one organisation, with one personal access token.

    Raises Unavailable if nothing was done, OutcomeUnknown if a change may have been made, and DevRevRefused
    if DevRev refuses the request. It never repeats a request.
    """

    def __init__(self, token: str, url: str, *, seconds: float = CALL_SECONDS) -> None:
        self.seconds = seconds
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            },
            timeout=httpx.Timeout(seconds, connect=min(seconds, 5.0)),
            verify=tls_context(),
            trust_env=False,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a method that changes nothing, such as `incidents.list`."""
        return await self._call(method, body or {}, changes=False)

    async def do(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that changes something, once."""
        return await self._call(method, body, changes=True)

    async def pages(self, method: str, body: Mapping[str, Any], name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of a list.

        A page may be empty without being the last: only the cursor ends the list. Stages and schemas name it
        `cursor`, all others `next_cursor` (Stages, List; Incidents, List).
        """
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            answer = await self.ask(method, {**body, "cursor": cursor} if cursor else body)
            for item in answer.get(name) or ():
                if isinstance(item, dict):
                    yield item
            before, cursor = cursor, answer.get("next_cursor") or answer.get("cursor")
            if not cursor or cursor == before:
                return

    async def _call(self, method: str, body: Mapping[str, Any], *, changes: bool) -> dict[str, Any]:
        unsure, written = OutcomeUnknown if changes else Unavailable, _written(body)
        if changes:
            check_ownership()
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._http.post(method, content=written, headers=_traced())
        except _NOT_SENT:
            raise Unavailable("DevRev cannot be reached.") from None
        except (TimeoutError, httpx.TimeoutException):
            raise unsure("DevRev did not answer in time.") from None
        except httpx.HTTPError as error:
            raise unsure(f"DevRev's answer was lost ({type(error).__name__}).") from None
        if answer.is_success:
            return _read(answer, unsure)
        raise _error_of(answer, unsure)


def _written(body: Mapping[str, Any]) -> bytes:
    """Encode a body as JSON in UTF-8. Raises Refused for text that cannot be encoded: half an emoji."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise Refused("There is a broken character in the text. Type it again.") from None


def _traced() -> dict[str, str]:
    """Return a header with the trace id, which leads from an interaction in Slack to DevRev's log."""
    return {"X-Request-Id": trace()} if trace() else {}


def _read(answer: httpx.Response, unsure: type[Unavailable]) -> dict[str, Any]:
    with suppress(ValueError):
        told = answer.json()
        if isinstance(told, dict):
            return told
    raise unsure("DevRev's answer could not be read.")


def _error_of(answer: httpx.Response, unsure: type[Unavailable]) -> Exception:
    status = answer.status_code
    said: Any = {}
    with suppress(ValueError):
        said = answer.json()
    said = said if isinstance(said, dict) else {}
    if status == 429:
        return Unavailable("DevRev asks us to slow down.", retry_after=_pause(answer, said))
    if refused := _for_operator(answer, said):
        return refused
    if status == 408 or status >= 500:
        return unsure(f"DevRev failed (HTTP {status}).")
    if status < 400:
        return Unavailable(f"DevRev answered with HTTP {status}, which is no answer. Check DEVREV_URL.", 30.0)
    field = str(said.get("field_name") or "")
    named = f", field {field}" if field else ""
    return DevRevRefused(
        f"DevRev refused it{_reason(said)}{named}.",
        status=status,
        kind=str(said.get("type") or status),
        field=field,
        subtype=str(said.get("subtype") or ""),
    )


def _for_operator(answer: httpx.Response, said: Mapping[str, Any]) -> Unavailable | None:
    """Return the error if only the operator can fix it, else None.

    The answer for an unknown route has no `type` (Errors).
    """
    status, method = answer.status_code, answer.request.url.path.rpartition("/")[2]
    if status == 401:
        todo = "Make a new personal access token there, set DEVREV_TOKEN, and start Tocsin again."
        return Unavailable(
            "DevRev does not accept our token.", PAUSE, operator=f"DevRev does not accept our token. {todo}"
        )
    if status == 403:
        todo = f"Give the person whose token it is the right to use {method}."
        said_so = f"DevRev does not allow our token to do this{_reason(said)}."
        return NotAllowed(said_so, PAUSE, operator=f"{said_so} {todo}")
    if status == 404 and not said.get("type"):
        said_so = f"There is no {method} at DEVREV_URL."
        return NotAllowed(said_so, PAUSE, operator=f"{said_so} Set it to where DevRev's beta API is.")
    return None


def _reason(said: Mapping[str, Any]) -> str:
    words = next((said[part] for part in ("message", "reason", "detail", "type") if said.get(part)), "")
    return f" ({str(words)[:300].rstrip('.')})" if words else ""


def _pause(answer: httpx.Response, said: Mapping[str, Any]) -> float:
    """Return the seconds to wait: header `Retry-After` or `retry_after` in the body (Rate limits; Errors)."""
    for given in (answer.headers.get("Retry-After"), said.get("retry_after")):
        with suppress(ValueError):
            return min(max(float(str(given)), 0.0), LONGEST_PAUSE)
    return 30.0
