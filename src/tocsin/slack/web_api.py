"""Slack Web API client: rate limits, timeouts, and mapping of errors. Repeats a call only after a 429."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from pydantic_core import to_json
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tocsin import USER_AGENT
from tocsin.incidents.errors import OutcomeUnknown, SlackRefused, TocsinError, Unavailable, Withheld
from tocsin.slack.disclosure import SAYING_NOTHING, Disclosure
from tocsin.slack.rate_limiter import Priority, RateLimiter
from tocsin.workflows.command import behalf
from tocsin.workflows.ports import check_ownership, loop_time

# Slack's error codes in words, with the person who can mend the cause.

TOKEN_ERRORS = frozenset(
    {
        "account_inactive",
        "app_uninstalled",
        "invalid_auth",
        "not_authed",
        "org_login_required",
        "token_expired",
        "token_revoked",
    }
)
"""Slack refuses our token: nothing can be done or said until the operator mends that."""

UNREADABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
"""The message itself is at fault, and a plain one may pass (Slack, chat.postMessage)."""

_GONE = "Slack does not show that channel to Tocsin; invite Tocsin there, or check the channel's id"
_POLICY = "this workspace does not allow apps to do that; a workspace owner can change it"
_INSTALL = "Tocsin's Slack app lacks a permission{scope}; a workspace admin can install it again"
_MEANINGS = {
    "cant_invite": "Slack does not let Tocsin invite them",
    "channel_not_found": _GONE,
    "ekm_access_denied": _POLICY,
    "expired_trigger_id": "Slack waits three seconds for a form, and it took longer",
    "invalid_trigger_id": "Slack waits three seconds for a form, and it took longer",
    "is_archived": "the channel is archived; somebody can unarchive it",
    "method_not_supported_for_channel_type": "that kind of conversation does not allow it",
    "missing_scope": _INSTALL,
    "no_permission": _POLICY,
    "not_allowed_token_type": _INSTALL,
    "not_in_channel": "Tocsin is not in that channel; invite it there",
    "org_user_not_in_team": "they are in another workspace of the organization",
    "restricted_action": _POLICY,
    "restricted_action_read_only_channel": "only some people may post in that channel",
    "restricted_action_thread_only_channel": "that channel allows posts in threads only",
    "team_access_not_granted": _POLICY,
    "thread_not_found": "the message is gone",
    "too_many_bookmarks": "the channel has as many bookmarks as Slack allows",
    "too_many_pins": "the channel has as many pins as Slack allows",
    "user_is_restricted": "guests may not do that",
    "user_not_found": "Slack does not know that person",
}


def meaning(code: str, body: Mapping[str, Any]) -> str:
    """Return the reason why Slack refused, without a full stop; empty for a code that has no words here."""
    needed = str(body.get("needed") or "")
    return _MEANINGS.get(code, "").format(scope=f" ({needed})" if needed else "")


# The client.
#
# The SDK does not repeat calls: it would post twice if an answer is lost. The caller decides what may be
# repeated, and is told if the call may have arrived.

TIMEOUT_SECONDS = 10.0
LONGEST_PAUSE = 300.0
AGAIN_AFTER = 0.2
"""Seconds after which a modal that did not open is tried again."""
TRIGGER_SECONDS = 2.0
"""Seconds within which that is worth trying; some of the trigger's three are over before the call."""
SPENT = frozenset({"exchanged_trigger_id", "expired_trigger_id", "invalid_trigger_id"})
"""Slack's refusals of a trigger that was used, or whose time is over (Slack, views.open)."""
LIMITED_AS_A_WHOLE = frozenset({"conversations_history", "conversations_replies"})
"""Methods that are limited for a workspace as a whole, to one a minute for some apps (Slack, rate limits)."""
BUSY = frozenset({"ratelimited", "rate_limited"})
BROKEN = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)

Answer = Mapping[str, Any]
Method = Callable[..., Coroutine[Any, Any, Any]]
CountCall = Callable[[str, str], None]
"""Callback for each call: Slack's method name, and `ok`, `limited`, `refused`, `unavailable` or `lost`."""


def open_session(seconds: float = TIMEOUT_SECONDS) -> aiohttp.ClientSession:
    """Open the one session of the process, so that all calls to Slack share their connections."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    return aiohttp.ClientSession(timeout=timeout, json_serialize=as_json, trust_env=False)


def as_json(sent: Any) -> str:
    """Return the JSON that is sent to Slack; for a form this is five times as fast as Python's own `json`."""
    try:
        return to_json(sent).decode()
    except ValueError:
        # Half a surrogate pair has no UTF-8; Python's own `json` escapes it.
        return json.dumps(sent)


def web_client(session: aiohttp.ClientSession, *, token: str | None, base_url: str) -> AsyncWebClient:
    base = base_url if base_url.endswith("/") else f"{base_url}/"
    # Without a level of its own, the SDK takes its logger to be at DEBUG, and formats each request and
    # response in full before they are dropped.
    (quiet := logging.getLogger("slack_sdk.web.async_client")).setLevel(logging.WARNING)
    client = AsyncWebClient(
        token=token,
        base_url=base,
        session=session,
        retry_handlers=[],
        logger=quiet,
        user_agent_prefix=USER_AGENT,
    )
    # The SDK takes a proxy from the environment if it is given none (AsyncBaseClient, `proxy`).
    client.proxy = None
    return client


CheckDisclosure = Callable[[Disclosure], Awaitable[None]]
"""Callable that asks the gate. Raises Withheld and Unavailable."""


async def _refuse_all(about: Disclosure) -> None:
    """Refuse every disclosure of an incident."""
    if about.incidents:
        raise Withheld("Nobody is known here who may read it.")


class WebApi:
    """Client for all calls of one workspace; `noted` is told how each ended.

    Nothing about an incident is sent until the gate is set.
    """

    def __init__(self, count: CountCall = lambda method, outcome: None) -> None:
        self._limiter = RateLimiter()
        self._count = count
        self.gate: CheckDisclosure = _refuse_all
        self.problem = ""
        """Reason why Slack refuses every call of the bot; empty if it does not."""
        self.closed = ""
        """Reason why Slack is not called at all; empty if it is."""

    async def call(
        self,
        method: Method,
        priority: Priority = Priority.BACKGROUND,
        *,
        about: Disclosure | None = None,
        **arguments: Any,
    ) -> Answer:
        """Make one call when its turn comes, and again after each 429.

        `about` is what it discloses; the gate is asked when the turn has come. Raises the errors of `once`,
        but Unavailable if Slack refuses our token: a declaration waits until the operator has mended that,
        instead of being given up.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        bucket = (method.__name__, None if method.__name__ in LIMITED_AS_A_WHOLE else given.get("channel"))
        turn = self._limiter.enqueue(bucket, priority, user=behalf().person)
        try:
            while True:
                async with turn:
                    return await self.call_now(method, about=about, **given)
        except SlackRefused as refusal:
            if refusal.code not in TOKEN_ERRORS:
                raise
            self.problem = f"Slack refuses the bot token ({refusal.code})."
            raise Unavailable(self.problem) from refusal

    async def call_now(self, method: Method, *, about: Disclosure | None = None, **arguments: Any) -> Answer:
        """Make one call now, if its readers may see what it discloses (`about`).

        Raises Unavailable, OutcomeUnknown or SlackRefused, and Withheld if they may not see it.
        """
        if self.closed:
            raise Unavailable(self.closed)
        await self.check_disclosure(about, name_of(method))
        check_ownership()
        try:
            answer = await request(method, **arguments)
        except TocsinError as error:
            self._count(name_of(method), outcome_of(error))
            raise
        self._count(name_of(method), "ok")
        self.problem = ""
        return answer

    async def call_with_trigger(self, method: Method, *, about: Disclosure, **arguments: Any) -> Answer:
        """Make one call with a trigger, and once more if it failed in passing. Raises as `call_now` does.

        A trigger works once, within three seconds (Slack, views.open): so the second try opens no second
        modal, and where it comes too late, or after the first one that had arrived, the first failure holds.
        """
        begun = loop_time()
        try:
            return await self.call_now(method, about=about, **arguments)
        except Unavailable as error:
            failed, pause = error, error.retry_after or AGAIN_AFTER
            if self.closed or loop_time() + pause > begun + TRIGGER_SECONDS:
                raise
        await asyncio.sleep(pause)
        try:
            return await self.call_now(method, about=about, **arguments)
        except SlackRefused as refusal:
            if refusal.code in SPENT:
                raise failed from refusal
            raise

    async def check_disclosure(self, about: Disclosure | None, method: str) -> None:
        """Ask the gate. Raises Withheld and Unavailable, or TypeError if a needed disclosure is missing."""
        if about is None:
            if method not in SAYING_NOTHING:
                raise TypeError(f"{method} may carry something of an incident, and does not say so")
            return
        try:
            await self.gate(about)
        except Unavailable as error:
            # The backend's `retry_after` must not be taken for a limit of Slack's.
            raise Unavailable(str(error)) from error


def name_of(method: Method) -> str:
    """Return Slack's name of a method, which the SDK writes with underscores instead of dots."""
    return method.__name__.replace("_", ".")


def method_of(client: AsyncWebClient, name: str) -> Method:
    """Return a method of Slack's that the SDK has no function for, by its name with dots."""

    async def call(**arguments: Any) -> Any:
        return await client.api_call(name, json=arguments)

    call.__name__ = name.replace(".", "_")
    return call


def outcome_of(error: TocsinError) -> str:
    if isinstance(error, OutcomeUnknown):
        return "lost"
    if isinstance(error, Unavailable):
        return "unavailable" if error.retry_after is None else "limited"
    return "refused"


async def request(method: Method, **arguments: Any) -> Answer:
    """Make one call, once. Raises Unavailable, OutcomeUnknown or SlackRefused."""
    try:
        answer = await method(**arguments)
    except SlackApiError as error:
        raise _error_of(name_of(method), error) from error
    except aiohttp.ClientConnectorError as error:
        raise Unavailable("Slack cannot be reached.") from error
    # The SDK expects a JSON object, and raises one of these for anything else.
    except (TimeoutError, aiohttp.ClientError, ValueError, AttributeError, TypeError) as error:
        raise OutcomeUnknown("Slack's answer was lost.") from error
    if not isinstance(answer.data, dict):
        raise OutcomeUnknown("Slack's answer was not understood.")
    return answer.data


def require(answer: Answer, *path: str) -> str:
    """Return a value that Slack's answer must have. Raises OutcomeUnknown if it is missing."""
    found: Any = answer
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found:
        raise OutcomeUnknown("Slack's answer was not understood.")
    return found


def _error_of(method: str, error: SlackApiError) -> SlackRefused | Unavailable:
    response: Any = error.response
    # If the body is not JSON, this is aiohttp's response, which has `status` instead.
    status = getattr(response, "status_code", None) or getattr(response, "status", None) or 200
    body = getattr(response, "data", response)
    body = body if isinstance(body, dict) else {}
    code = str(body.get("error") or "")
    if status == 429 or code in BUSY:
        headers = {str(k).lower(): v for k, v in dict(getattr(response, "headers", None) or {}).items()}
        return Unavailable("Slack asks us to slow down.", retry_after=_seconds(headers.get("retry-after")))
    if status >= 500 or code in BROKEN or not code:
        return OutcomeUnknown("Slack is having trouble.")
    return SlackRefused(method, code, body, meaning(code, body))


def _seconds(asked_for: Any) -> float:
    """Return the seconds to pause: as Slack says, within limits, or one if it says nothing usable."""
    try:
        seconds = float(asked_for)
    except (TypeError, ValueError):
        return 1.0
    return min(max(seconds, 1.0), LONGEST_PAUSE) if math.isfinite(seconds) else LONGEST_PAUSE
