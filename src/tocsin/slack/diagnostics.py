"""Checks of Slack's side for `tocsin doctor`: tokens, scopes, addresses, channels."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Form
from tocsin.slack import routes
from tocsin.slack.commands import COMMAND
from tocsin.slack.manifest import OPTIONAL_SCOPES, SCOPES
from tocsin.slack.views.samples import messages, modals
from tocsin.slack.web_api import Answer, request
from tocsin.workflows.ports import CheckResult

# Questions to Slack.


@dataclass(frozen=True)
class TokenAccess:
    """Identity and scopes of a bot token, and the time at Slack (aware, to the second)."""

    team: str
    team_id: str
    bot: str
    scopes: frozenset[str] | None
    at: datetime | None


async def fetch_access(client: AsyncWebClient) -> TokenAccess:
    """Return the access of the client's token.

    Slack, auth.test: granted scopes are in the `x-oauth-scopes` header. Raises Unavailable if Slack cannot be
    asked and SlackRefused if it refuses the token.
    """
    headers: dict[str, str] = {}

    async def auth_test() -> Any:
        answer = await client.auth_test()
        headers.update({name.lower(): value for name, value in answer.headers.items()})
        return answer

    identity = await request(auth_test)
    granted = headers.get("x-oauth-scopes")
    return TokenAccess(
        team=str(identity.get("team") or identity.get("team_id") or ""),
        team_id=str(identity.get("team_id") or ""),
        bot=str(identity.get("user") or identity.get("user_id") or ""),
        scopes=None if granted is None else frozenset(filter(None, map(str.strip, granted.split(",")))),
        at=_moment(headers),
    )


async def fetch_socket_address(client: AsyncWebClient, app_token: str) -> str:
    """Return a URL for Socket Mode, which is not used (Slack, apps.connections.open).

    Raises Unavailable and SlackRefused, as `fetch_access` does.
    """

    async def apps_connections_open() -> Any:
        return await client.apps_connections_open(app_token=app_token)

    return str((await request(apps_connections_open)).get("url") or "")


async def fetch_channel(client: AsyncWebClient, channel: str) -> Answer:
    """Return a channel as the bot sees it (Slack, conversations.info takes an id, no name).

    Raises Unavailable and SlackRefused, as `fetch_access` does.
    """
    answer = await request(client.conversations_info, channel=channel)
    found: Answer = answer.get("channel") or {}
    return found


def _moment(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None


# Checks of the app: scopes, commands, the connection, forms and cards.

HELLO_SECONDS = 10.0
NOT_OFFERED = frozenset({"unknown_method", "not_allowed_token_type", "method_not_supported", "missing_scope"})
AGAIN = "Paste `tocsin manifest` into the app's manifest, and install the app again."
APPS = "https://api.slack.com/apps"


def scopes(access: TokenAccess) -> Iterator[CheckResult]:
    """Check the granted scopes; the finding on a missing one says what will not work.

    A missing optional scope is an admin's choice, and no failure.
    """
    if access.scopes is None:
        said = "Slack did not say which were granted."
        yield CheckResult(name="Scopes", ok=False, said=said, fix="Check SLACK_API_URL.")
        return
    missing = [scope for scope in SCOPES if scope not in access.scopes]
    if not missing:
        yield CheckResult(name="Scopes", ok=True, said=f"all {len(SCOPES)} are granted.")
    for scope in missing:
        is_optional = scope in OPTIONAL_SCOPES
        kind = "the optional scope " if is_optional else ""
        said = f"{kind}{scope} is not granted; it is for {SCOPES[scope]}."
        yield CheckResult(name="Scopes", ok=is_optional, said=said, fix="" if is_optional else AGAIN)


def commands(access: TokenAccess) -> CheckResult:
    """Check the command as far as possible: Slack lists an app's commands only to its managers."""
    name = "Commands and shortcuts"
    if access.scopes is not None and "commands" not in access.scopes:
        said = f"Slack offers nobody {COMMAND}, nor a shortcut: the scope `commands` is not granted."
        return CheckResult(name=name, ok=False, said=said, fix=AGAIN)
    listed = ", ".join([COMMAND, *(f"“{route.name}”" for route in routes.SHORTCUTS.values())])
    said = (
        f"the app may have them. Whether it has {listed}, Slack tells at {APPS} alone; or type the command."
    )
    return CheckResult(name=name, ok=True, said=said)


async def examine_socket(client: AsyncWebClient, app_token: str, *, running: bool) -> CheckResult:
    """Check that Socket Mode opens, up to Slack's `hello`.

    Beside a `running` bot no connection is opened: Slack might send it a payload that the bot should get.
    """
    name = "SLACK_APP_TOKEN"
    try:
        address = await fetch_socket_address(client, app_token)
        if running:
            said = "Slack takes it; the running bot holds the connections (see /readyz)."
            return CheckResult(name=name, ok=True, said=said)
        await _hello(address)
    except SlackRefused as refusal:
        fix = "Make an app-level token with connections:write under Basic Information; turn Socket Mode on."
        return CheckResult(name=name, ok=False, said=f"Slack refuses it ({refusal.code}).", fix=fix)
    except Unavailable as error:
        return CheckResult(name=name, ok=False, said=str(error), fix="Check the network and SLACK_API_URL.")
    except (OSError, TimeoutError, ValueError, WebSocketException) as error:
        said = f"Slack takes it, but no connection opens ({type(error).__name__})."
        fix = "Let WebSockets (wss) out to Slack: a proxy or a firewall may stop them."
        return CheckResult(name=name, ok=False, said=said, fix=fix)
    return CheckResult(name=name, ok=True, said="a Socket Mode connection opens.")


async def _hello(address: str) -> None:
    """Raise OSError, TimeoutError, ValueError or WebSocketException if Slack does not send `hello`."""
    silent = logging.getLogger("tocsin.socket")
    async with asyncio.timeout(HELLO_SECONDS), connect(address, proxy=None, logger=silent) as socket:
        said = json.loads(await socket.recv())
        if not isinstance(said, dict) or said.get("type") != "hello":
            raise ValueError("no hello")


async def examine_forms(client: AsyncWebClient, form: Form) -> Sequence[CheckResult]:
    """Check that Slack takes every form and card, filled to the limit (Slack, blocks.validate)."""
    name = "Forms and cards"
    looked_at, wrong = 0, []
    try:
        for what, given in _everything(form):
            try:
                await request(client.blocks_validate, **given)
            except SlackRefused as refusal:
                if refusal.code in NOT_OFFERED:
                    return [
                        CheckResult(name=name, ok=True, said="not looked at: Slack does not offer it here.")
                    ]
                wrong.append(CheckResult(name=name, ok=False, said=_complaint(what, refusal), fix=_MEND))
            looked_at += 1
    except Unavailable as error:
        return [CheckResult(name=name, ok=False, said=str(error), fix="Try again in a moment.")]
    return wrong or [CheckResult(name=name, ok=True, said=f"Slack takes all {looked_at} of them.")]


_MEND = "If TOCSIN_CONFIG names it, shorten it there; else tell who maintains Tocsin."


def _everything(form: Form) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((what, {"view": view}) for what, view in modals(form))
    yield from (
        (what, {"blocks": blocks})
        for what, blocks in messages(form, (*routes.help_here(), *routes.help_anywhere()))
    )


def _complaint(what: str, refusal: SlackRefused) -> str:
    told = refusal.details.get("response_metadata")
    places = told.get("messages") if isinstance(told, dict) else None
    first = str(places[0]) if isinstance(places, list) and places else refusal.code
    return f"Slack does not take {what}: {first}."


# Checks of the channels and user groups in the configuration: they exist, and only the organisation reads
# them.

LATER = "Try again in a moment."


async def examine_channel(client: AsyncWebClient, name: str, channel: str) -> CheckResult:
    """Check that the bot can post to the channel that the setting `name` names."""
    try:
        found = await fetch_channel(client, channel)
    except SlackRefused as refusal:
        said = f"the bot cannot see {channel} ({refusal.code})."
        fix = "Give the channel's id (it begins with C), and invite the bot there if it is private."
        return CheckResult(name=name, ok=False, said=said, fix=fix)
    except Unavailable as error:
        return CheckResult(name=name, ok=False, said=str(error), fix=LATER)
    shown = f"#{found.get('name')}"
    if found.get("is_archived"):
        return CheckResult(name=name, ok=False, said=f"{shown} is archived.", fix="Choose another channel.")
    if found.get("is_ext_shared") or found.get("is_pending_ext_shared"):
        said = f"people of another organization read {shown}."
        return CheckResult(name=name, ok=False, said=said, fix="Choose a channel of your own.")
    return CheckResult(name=name, ok=True, said=f"{shown} can be reached.")


async def examine_groups(client: AsyncWebClient, groups: Iterable[str]) -> list[CheckResult]:
    """Check that each user group, given by id or `@handle`, exists and has members.

    Slack, usergroups.list: disabled groups are not listed.
    """
    wanted = list(groups)
    if not wanted:
        return []
    name = "TOCSIN_CONFIG user groups"
    try:
        answer = await request(client.usergroups_list, include_count=True)
    except SlackRefused as refusal:
        fix = "Give the app the scope usergroups:read, and install it again."
        said = f"Slack does not tell of them ({refusal.code})."
        return [CheckResult(name=name, ok=False, said=said, fix=fix)]
    except Unavailable as error:
        return [CheckResult(name=name, ok=False, said=str(error), fix=LATER)]
    known = {}
    for group in answer.get("usergroups") or ():
        known[str(group.get("id"))] = known[f"@{group.get('handle')}"] = group
    return list(_findings(wanted, known, name))


def _findings(
    wanted: Iterable[str], known: Mapping[str, Mapping[str, object]], name: str
) -> Iterator[CheckResult]:
    for called in wanted:
        group = known.get(called)
        if group is None:
            said = f"{called} is no user group of this workspace."
            fix = "Give its id (it begins with S) or its handle, as under More, User groups in Slack."
            yield CheckResult(name=name, ok=False, said=said, fix=fix)
        elif str(group.get("user_count")) == "0":
            said = f"nobody is in @{group.get('handle')}."
            yield CheckResult(name=name, ok=False, said=said, fix="Add somebody, or name another group.")
        else:
            yield CheckResult(name=name, ok=True, said=f"@{group.get('handle')} is there.")
