"""Listeners of events: links shared, entity details asked for, the app uninstalled."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, MessageTs
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.targets import find_incident
from tocsin.slack.payloads import EventCallback

# Links to incidents: shown below the message where everybody who reads it may know of the incident.

MOST_LINKS = 5
"""Links of one message that are shown."""

_REFERENCE = re.compile(r"/incidents/([A-Za-z0-9_-]{1,64})/?(?:[?#].*)?", re.DOTALL)


async def unfurl_links(callback: EventCallback, context: WorkspaceContext) -> None:
    """Unfurl links to our pages (Slack, link_shared).

    Nothing is shown of a private incident, wherever it is: not even in its own channel need everybody have a
    part in it. Nor in a channel that another organisation reads or may read, or that Slack does not let us
    see; nor for somebody who could not read the page. Nor before a message is sent, since Slack does not say
    where it will go: once it is sent we are told again.
    """
    event = callback.event
    channel, ts = event.get("channel"), event.get("message_ts")
    if event.get("source") == "composer" or callback.is_ext_shared_channel or callback.user is None:
        return
    if not isinstance(channel, str) or not isinstance(ts, str):
        return
    shown: dict[str, Incident] = {}
    for url, reference in _ours(event, context)[:MOST_LINKS]:
        incident = await _readable(callback, reference, context)
        if incident is not None and not incident.is_private:
            shown[url] = incident
    if shown and await context.shared_channels.is_for_the_workspace_alone(ChannelId(channel)):
        team = callback.served_team
        await context.workflows.unfurl(
            context.workspace.team_id or team, ChannelId(channel), MessageTs(ts), shown
        )


async def show_details(callback: EventCallback, context: WorkspaceContext) -> None:
    """Present the incident that a person opened below a link (Slack, entity_details_requested)."""
    event = callback.event
    trigger, ref = event.get("trigger_id"), event.get("external_ref")
    if not isinstance(trigger, str):
        return
    known = ref.get("id") if isinstance(ref, dict) else None
    named = [str(known)] if known else [reference for _, reference in _ours(event, context)]
    incident = await _readable(callback, named[0], context) if named else None
    context.tasks.begin(
        "show what a link leads to", context.workspace.present(trigger, incident, callback.user)
    )


async def _readable(callback: EventCallback, reference: str, context: WorkspaceContext) -> Incident | None:
    """The incident, if this person may read it."""
    with contextlib.suppress(Refused):
        incident = await find_incident(context, reference, callback.user)
        await context.check_permission(callback, Verb.SHOW, incident)
        return incident
    return None


def _ours(event: dict[str, Any], context: WorkspaceContext) -> list[tuple[str, str]]:
    """Links that lead to one of our pages, each with the reference in it."""
    links = event.get("links") or [event.get("link")]
    found = [link.get("url") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    ours = [
        url for url in found if isinstance(url, str) and context.pages and url.startswith(f"{context.pages}/")
    ]
    matches = [(url, _REFERENCE.fullmatch(url.removeprefix(context.pages))) for url in dict.fromkeys(ours)]
    return [(url, match[1]) for url, match in matches if match]


# Tocsin may have been uninstalled.


async def on_uninstalled(callback: EventCallback, context: WorkspaceContext) -> None:
    """`app_uninstalled`, or a bot token in `tokens_revoked` (Slack, Events API).

    Events come late and more than once, also after Tocsin was installed again: so Slack is asked.
    """
    tokens = callback.event.get("tokens")
    if callback.kind == "app_uninstalled" or (isinstance(tokens, dict) and tokens.get("bot")):
        await context.check_uninstalled()
