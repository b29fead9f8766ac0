"""The app manifest, and the scopes that it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# The manifest, made from the tables of what the app does.

PREVIEWED = "slack#/entities/incident"
"""Type of an incident among Slack's Work Objects."""

APP_HOME = {
    "home_tab_enabled": True,
    "messages_tab_enabled": True,
    "messages_tab_read_only_enabled": False,
}
"""Both tabs: Home for open incidents, Messages for what Tocsin writes to one person."""


@dataclass(frozen=True)
class ManifestInput:
    """Features of the app, in the manifest's own terms."""

    command: Mapping[str, Any]
    shortcuts: Iterable[Mapping[str, Any]]
    steps: Mapping[str, Mapping[str, Any]]
    scopes: Iterable[str]
    optional_scopes: Iterable[str]
    events: Iterable[str]
    redirects: Iterable[str]


def app_manifest(
    features: ManifestInput, *, http: str | None, name: str, org: bool, pages: str | None, tracker: str | None
) -> dict[str, Any]:
    """Build the manifest for Socket Mode, or for HTTP with `http` as the URL that Slack can reach.

    `pages` is the URL of the incidents' pages, so that links to them are shown in Slack; `tracker` is the
    host of the issue tracker, so that Slack tells of links to issues in replies to follow-ups. With `org`, an
    organization's admin can install the app once for all workspaces (Slack, app manifest reference:
    `org_deploy_enabled`), which Slack also asks of an app with steps (Slack, custom steps).
    """
    url = f"{http.rstrip('/')}/slack/events" if http else None
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url:
        interactivity |= {"request_url": url, "message_menu_options_url": url}
    settings: dict[str, Any] = {
        "interactivity": interactivity,
        "org_deploy_enabled": org or bool(features.steps),
        "socket_mode_enabled": url is None,
        "token_rotation_enabled": False,
        **({"function_runtime": "remote"} if features.steps else {}),
    }
    heard = {"bot_events": sorted(features.events)}
    settings["event_subscriptions"] = ({"request_url": url} if url else {}) | heard
    redirects = (
        {"redirect_urls": [f"{http.rstrip('/')}{path}" for path in features.redirects]} if http else {}
    )
    return {
        "display_information": {
            "name": name,
            "description": "Opens and manages incidents",
            "background_color": "#8a1c1c",
        },
        "features": {
            "app_home": APP_HOME,
            "bot_user": {"display_name": name, "always_online": True},
            "shortcuts": [dict(one) for one in features.shortcuts],
            "slash_commands": [{**features.command, **({"url": url} if url else {})}],
            **_linked(pages or http, tracker),
        },
        "oauth_config": {
            **redirects,
            "scopes": {"bot": list(features.scopes), "bot_optional": list(features.optional_scopes)},
        },
        "settings": settings,
        **(
            {"functions": {callback: dict(step) for callback, step in features.steps.items()}}
            if features.steps
            else {}
        ),
    }


def _linked(pages: str | None, tracker: str | None) -> dict[str, Any]:
    """Return the features for hearing of links to our pages, which are shown as incidents, and to issues.

    Source: Slack, unfurl domains; Work Object Previews.
    """
    host = urlsplit(pages or "").hostname
    domains = [domain for domain in (host, tracker) if domain]
    shown = {"rich_previews": {"is_active": True, "entity_types": [PREVIEWED]}} if host else {}
    return {**({"unfurl_domains": list(dict.fromkeys(domains))} if domains else {}), **shown}


# Scopes of the bot, with the reason for each.

SCOPES: dict[str, str] = {
    "commands": "the /incident command and the shortcuts",
    "chat:write": "cards, and messages to who declared",
    "chat:write.public": "cards in public channels where the bot is not a member",
    "channels:manage": "the channels of public incidents: create, invite, topic, purpose",
    "groups:write": "the channels of private incidents",
    "channels:read": "finding its own channel again after a lost answer",
    "groups:read": "the same for private incidents",
    "channels:join": "looking in a public channel for its own post after a lost answer",
    "channels:history": "finding its own post again after a lost answer, so that none is made twice",
    "groups:history": "the same in private channels",
    "im:history": "the same in direct messages",
    "im:write": "direct messages to who declared",
    "bookmarks:write": "the bookmark with the incident's permalink",
    "bookmarks:read": "not adding that bookmark twice",
    "users:read": "people's names, and whether they are members, guests or strangers",
    "usergroups:read": "who is in the user groups that your rules name",
    "users:read.email": "who in DevRev the lead is, and whom API keys mean, by their e-mail address",
    "files:write": "exports, pictures of phases, and documents where a canvas cannot be",
    "canvases:write": "post-incident documents as canvases",
    "pins:write": "pinning the card in the incident's channel",
    "pins:read": "keeping what people pin in an incident's timeline",
    "links:read": "hearing of links to incidents' pages",
    "links:write": "showing the incident below such a link",
    "reactions:read": "keeping what people mark with 📌 in an incident's timeline",
}

OPTIONAL_SCOPES = (
    "usergroups:read",
    "users:read.email",
    "files:write",
    "canvases:write",
    "pins:read",
    "links:read",
    "links:write",
    "reactions:read",
)
"""Scopes that an admin may leave out (Slack, optional scopes); only what each is for does not work then."""
