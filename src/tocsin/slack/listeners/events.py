"""Listeners of the events `link_shared` and `app_uninstalled`, and the incident that a preview shows."""

from __future__ import annotations

import contextlib
import re

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
    for url, reference in _ours(_urls(event.get("links")), context)[:MOST_LINKS]:
        incident = await _readable(callback, reference, context)
        if incident is not None and not incident.is_private:
            shown[url] = incident
    if shown and await context.shared_channels.is_for_the_workspace_alone(ChannelId(channel)):
        team = callback.served_team
        await context.workflows.unfurl(
            context.workspace.team_id or team, ChannelId(channel), MessageTs(ts), shown
        )


async def opened_incident(callback: EventCallback, context: WorkspaceContext) -> Incident | None:
    """Return the incident whose preview the event's user opened; None if they may not see it."""
    event = callback.event
    links = event.get("links") or [event.get("link")]
    reference = reference_of(event.get("external_ref"), _urls(links), context)
    return await _readable(callback, reference, context) if reference else None


def reference_of(external_ref: object, urls: list[str], context: WorkspaceContext) -> str | None:
    """Return the id or reference of a Work Object of ours; Slack may leave out the `external_ref`."""
    known = external_ref.get("id") if isinstance(external_ref, dict) else None
    if known:
        return str(known)
    return next((reference for _, reference in _ours(urls, context)), None)


async def _readable(callback: EventCallback, reference: str, context: WorkspaceContext) -> Incident | None:
    """Return the incident; None if the event's user may not see it."""
    with contextlib.suppress(Refused):
        incident = await find_incident(context, reference, callback.user)
        await context.check_permission(callback, Verb.SHOW, incident)
        return incident
    return None


def _urls(links: object) -> list[str]:
    found = [link.get("url") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return [url for url in found if isinstance(url, str)]


def _ours(urls: list[str], context: WorkspaceContext) -> list[tuple[str, str]]:
    """Return the links to our pages, each with the incident's reference."""
    ours = [url for url in urls if context.pages and url.startswith(f"{context.pages}/")]
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
