"""What only Slack can tell of our setting up: scopes, the way in, and whether it takes our forms."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.incidents.model import Form
from tocsin.slack import routes
from tocsin.slack.access import Access, fetch_socket_address
from tocsin.slack.calls import asked
from tocsin.slack.scopes import SCOPES
from tocsin.slack.views.samples import messages, modals
from tocsin.workflows.ports import Finding

HELLO_SECONDS = 10.0
NOT_OFFERED = frozenset({"unknown_method", "not_allowed_token_type", "method_not_supported", "missing_scope"})
AGAIN = "Paste `tocsin manifest` into the app's manifest, and install the app again."
APPS = "https://api.slack.com/apps"


def scopes(access: Access) -> Iterator[Finding]:
    """What was granted, and for each scope that was not, what will not work."""
    if access.scopes is None:
        said = "Slack did not say which were granted."
        yield Finding(name="Scopes", ok=False, said=said, fix="Check SLACK_API_URL.")
        return
    missing = [scope for scope in SCOPES if scope not in access.scopes]
    if not missing:
        yield Finding(name="Scopes", ok=True, said=f"all {len(SCOPES)} are granted.")
    for scope in missing:
        said = f"{scope} is not granted; it is for {SCOPES[scope]}."
        yield Finding(name="Scopes", ok=False, said=said, fix=AGAIN)


def commands(access: Access) -> Finding:
    """As far as Slack tells: it names an app's commands to nobody but those who manage the app."""
    name = "Commands and shortcuts"
    if access.scopes is not None and "commands" not in access.scopes:
        said = f"Slack offers nobody {routes.COMMAND}, nor a shortcut: the scope `commands` is not granted."
        return Finding(name=name, ok=False, said=said, fix=AGAIN)
    listed = ", ".join([routes.COMMAND, *(f"“{route.name}”" for route in routes.SHORTCUTS.values())])
    said = (
        f"the app may have them. Whether it has {listed}, Slack tells at {APPS} alone; or type the command."
    )
    return Finding(name=name, ok=True, said=said)


async def examine_socket(client: AsyncWebClient, app_token: str, *, running: bool) -> Finding:
    """Whether Socket Mode opens, up to Slack's `hello`.

    Beside a `running` bot no connection is opened: Slack might send it what somebody does just then.
    """
    name = "SLACK_APP_TOKEN"
    try:
        address = await fetch_socket_address(client, app_token)
        if running:
            said = "Slack takes it; the running bot holds the connections (see /readyz)."
            return Finding(name=name, ok=True, said=said)
        await _hello(address)
    except SlackRefused as refusal:
        fix = "Make an app-level token with connections:write under Basic Information; turn Socket Mode on."
        return Finding(name=name, ok=False, said=f"Slack refuses it ({refusal.code}).", fix=fix)
    except Unavailable as error:
        return Finding(name=name, ok=False, said=str(error), fix="Check the network and SLACK_API_URL.")
    except (OSError, TimeoutError, ValueError, WebSocketException) as error:
        said = f"Slack takes it, but no connection opens ({type(error).__name__})."
        fix = "Let WebSockets (wss) out to Slack: a proxy or a firewall may stop them."
        return Finding(name=name, ok=False, said=said, fix=fix)
    return Finding(name=name, ok=True, said="a Socket Mode connection opens.")


async def _hello(address: str) -> None:
    """Raises OSError, TimeoutError, ValueError or WebSocketException where Slack does not greet us."""
    silent = logging.getLogger("tocsin.socket")
    async with asyncio.timeout(HELLO_SECONDS), connect(address, proxy=None, logger=silent) as socket:
        said = json.loads(await socket.recv())
        if not isinstance(said, dict) or said.get("type") != "hello":
            raise ValueError("no hello")


async def examine_forms(client: AsyncWebClient, form: Form) -> Sequence[Finding]:
    """Whether Slack takes every form and card of ours, filled to the brim (Slack, blocks.validate)."""
    name = "Forms and cards"
    looked_at, wrong = 0, []
    try:
        for what, given in _everything(form):
            try:
                await asked(client.blocks_validate, **given)
            except SlackRefused as refusal:
                if refusal.code in NOT_OFFERED:
                    return [Finding(name=name, ok=True, said="not looked at: Slack does not offer it here.")]
                wrong.append(Finding(name=name, ok=False, said=_complaint(what, refusal), fix=_MEND))
            looked_at += 1
    except Unavailable as error:
        return [Finding(name=name, ok=False, said=str(error), fix="Try again in a moment.")]
    return wrong or [Finding(name=name, ok=True, said=f"Slack takes all {looked_at} of them.")]


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
