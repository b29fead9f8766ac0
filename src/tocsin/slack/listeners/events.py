"""Listeners of the events `link_shared`, `entity_details_requested` and `app_uninstalled`."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, MessageTs
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.issues import link_from_reply
from tocsin.slack.listeners.targets import find_incident
from tocsin.slack.payloads import EventCallback

# Previews below links to incidents, shown only if all readers of the message may see the incident.

MOST_LINKS = 5
"""Most previews below one message."""

_REFERENCE = re.compile(r"/incidents/([A-Za-z0-9_-]{1,64})/?(?:[?#].*)?", re.DOTALL)


async def unfurl_links(callback: EventCallback, context: WorkspaceContext) -> None:
    """Unfurl links to our pages (Slack, link_shared); links to issues are kept with follow-ups.

    No preview is shown:
    - of a private incident, not even in its own channel, whose members may not all have a part in it;
    - in a channel that is or may be shared with another organisation, or that the bot cannot see;
    - for a sender who may not read the page;
    - before the message is sent, since Slack does not tell its channel; it sends the event again then.
    """
    await link_from_reply(callback, context)
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
    """Show the details of the incident whose preview a person opened (Slack, entity_details_requested)."""
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
    """Return the incident; None if the event's user may not see it."""
    with contextlib.suppress(Refused):
        incident = await find_incident(context, reference, callback.user)
        await context.check_permission(callback, Verb.SHOW, incident)
        return incident
    return None


def _ours(event: dict[str, Any], context: WorkspaceContext) -> list[tuple[str, str]]:
    """Return the event's links to our pages, each with the incident's reference."""
    links = event.get("links") or [event.get("link")]
    found = [link.get("url") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    ours = [
        url for url in found if isinstance(url, str) and context.pages and url.startswith(f"{context.pages}/")
    ]
    matches = [(url, _REFERENCE.fullmatch(url.removeprefix(context.pages))) for url in dict.fromkeys(ours)]
    return [(url, match[1]) for url, match in matches if match]


# Uninstallation.


async def on_uninstalled(callback: EventCallback, context: WorkspaceContext) -> None:
    """Handle `app_uninstalled`, or `tokens_revoked` with a bot token (Slack, Events API).

    Events may come late, repeatedly, or after a new installation, so Slack is asked for the present state.
    """
    tokens = callback.event.get("tokens")
    if callback.kind == "app_uninstalled" or (isinstance(tokens, dict) and tokens.get("bot")):
        await context.check_uninstalled()
