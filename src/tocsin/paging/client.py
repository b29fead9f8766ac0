"""HTTP client of a paging service: one address, no redirects, and failures as sentences without the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from tocsin import USER_AGENT
from tocsin.backends import tls_context
from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable
from tocsin.incidents.validation import clean_text
from tocsin.workflows.ports import check_ownership

TIMEOUT_SECONDS = 10.0
LONGEST_PAUSE = 300.0
LONGEST_ANSWER = 100_000
"""Characters of an answer that are read; a service's answer has a few hundred."""

SENTENCE_LIMIT = 300


class PagingClient:
    """Client for one key of one service; `service` is its name for people, `secret` its key."""

    def __init__(self, service: str, url: str, secret: str, headers: Mapping[str, str] | None = None) -> None:
        self.service = service
        self.host = urlsplit(url).hostname or ""
        self._url = url.rstrip("/")
        self._secret = secret
        self._http = httpx.AsyncClient(
            headers={"Accept": "application/json", "User-Agent": USER_AGENT, **(headers or {})},
            timeout=httpx.Timeout(TIMEOUT_SECONDS),
            verify=tls_context(),
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a request that may be repeated: its body carries a deduplication key.

        Raises Unavailable for 429, 408, 5xx and lost answers, and Refused with the service's sentence for any
        other answer but success.
        """
        check_ownership()
        await self._request(
            "POST", path, content=body, headers={"Content-Type": "application/json"} | dict(headers or {})
        )

    async def fetch(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return the answer to a question; None if the service knows nothing of it. Raises as `post`."""
        response = await self._request("GET", path, params=dict(query))
        answer = None if response is None else _json(response)
        return answer if isinstance(answer, dict) else None

    async def _request(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._http.request(method, f"{self._url}{path}", **given)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"{self.service} cannot be reached.") from error
        except (TimeoutError, httpx.HTTPError) as error:
            raise OutcomeUnknown(f"{self.service} did not answer.") from error
        status = response.status_code
        if response.is_success:
            return response
        if status in {408, 429} or status >= 500:
            raise Unavailable(f"{self.service} answered {status}.", retry_after=_pause(response))
        if status == 404 and method == "GET":
            return None
        raise Refused(self._sentence(response))

    def _sentence(self, response: httpx.Response) -> str:
        """Return the refusal with what the service says, without the key."""
        status = response.status_code
        if response.is_redirect:
            return f"{self.service} answered with a redirect ({status}), which is not followed."
        said = " ".join(clean_text(_said(_json(response))).replace(self._secret, "…").split())
        said = said[:SENTENCE_LIMIT].rstrip(".")
        return f"{self.service} refused it ({status}){f': {said}' if said else ''}."


def _pause(response: httpx.Response) -> float | None:
    """Return the seconds that the service asks to wait, five minutes at most; None if it gives none."""
    said = response.headers.get("retry-after", "")
    return min(float(said), LONGEST_PAUSE) if said.isdecimal() else None


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.text[:LONGEST_ANSWER])
    except ValueError:
        return None


def _said(answer: Any) -> str:
    """Return the sentences of an error: PagerDuty's have `message` and `errors`, Opsgenie's `message`."""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error")
    if isinstance(error, dict):
        return _said(error)
    errors = answer.get("errors")
    details = errors.values() if isinstance(errors, dict) else errors if isinstance(errors, list) else ()
    return ": ".join([str(answer.get("message") or ""), *(str(one) for one in details)]).strip(": ")
