"""App manifests that tests install."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from slack_emulator.manifest import Manifest

DECLARED: dict[str, Any] = {
    "display_information": {"name": "Pager"},
    "features": {
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
        "bot_user": {"display_name": "Pager", "always_online": True},
        "slash_commands": [
            {"command": "/page", "description": "Page someone", "should_escape": True},
            {"command": "/raw", "description": "As typed"},
        ],
        "shortcuts": [
            {"name": "Page", "type": "global", "callback_id": "page", "description": "Page someone"},
            {"name": "Page", "type": "message", "callback_id": "page_about", "description": "About this"},
        ],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "app_mentions:read",
                "bookmarks:read",
                "bookmarks:write",
                "channels:history",
                "channels:join",
                "channels:manage",
                "channels:read",
                "chat:write",
                "commands",
                "canvases:write",
                "emoji:read",
                "files:read",
                "files:write",
                "groups:history",
                "groups:read",
                "groups:write",
                "im:history",
                "im:read",
                "im:write",
                "mpim:read",
                "mpim:write",
                "pins:read",
                "pins:write",
                "reactions:read",
                "reactions:write",
                "team:read",
                "usergroups:read",
                "users:read",
                "users.profile:read",
                "users:read.email",
                "users:write",
            ]
        }
    },
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                "app_home_opened",
                "app_mention",
                "channel_created",
                "member_joined_channel",
                "message.channels",
                "message.groups",
                "message.im",
                "pin_added",
                "reaction_added",
            ]
        },
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
        "org_deploy_enabled": False,
        "token_rotation_enabled": False,
    },
}


def manifest(*, without_scopes: tuple[str, ...] = (), without_events: tuple[str, ...] = ()) -> Manifest:
    """The usual one, less some scopes and the events that need them."""
    declared = deepcopy(DECLARED)
    scopes = declared["oauth_config"]["scopes"]
    scopes["bot"] = [s for s in scopes["bot"] if s not in without_scopes]
    events = declared["settings"]["event_subscriptions"]
    events["bot_events"] = [e for e in events["bot_events"] if e not in without_events]
    return Manifest.from_dict(declared)
