"""Everything Slack may ask of us: verbs, shortcuts, forms, buttons, menus, and what we may do there.

The app manifest, `/incident help` and README's tables are made from this page or held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from tocsin.incidents.rules import is_one_edit_away
from tocsin.slack.listeners import declare, help, installation, suggest

Listener = Callable[..., Coroutine[Any, Any, None]]

LONGEST_NAME = 35
"""Characters in an app's name (Slack, app manifest reference: `display_information.name`)."""

COMMAND = "/incident"
COMMAND_DESCRIPTION = "Declare an incident"
COMMAND_USAGE = "[what is wrong] or help"


@dataclass(frozen=True)
class Verb:
    """The first word after `/incident`; the empty one takes all that is no verb."""

    usage: str
    does: str
    listener: Listener


@dataclass(frozen=True)
class ShortcutRoute:
    name: str
    type: Literal["global", "message"]
    description: str
    listener: Listener


VERBS: dict[str, Verb] = {
    "": Verb(
        "/incident [what is wrong]",
        "opens the declare form, with what you typed as the name",
        declare.open_declare,
    ),
    "help": Verb("/incident help", "says what can be done", help.say_help),
}

SHORTCUTS: dict[str, ShortcutRoute] = {
    "declare_from_message": ShortcutRoute(
        "Declare incident",
        "message",
        "Declare an incident from this message",
        declare.open_declare_from_message,
    ),
    "declare": ShortcutRoute(
        "Declare incident", "global", "Declare an incident", declare.open_declare_anywhere
    ),
}

VIEWS: dict[str, Listener] = {"declare": declare.submit_declare}

PRESSES: dict[str, Listener] = {
    "more_fields": declare.more_fields,
    "open_form": declare.open_unopened,
    "fix_and_send": declare.fix_and_send,
    "declare_another": declare.declare_another,
    "open_incident": help.just_acknowledge,
}

SUGGESTIONS: dict[str, Listener] = {
    "custom_field_entries": suggest.suggest_options,
    # The backend's own fields have whatever names it gives them.
    "": suggest.suggest_options,
}

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
    "users:read.email": "who in DevRev the lead is, by their e-mail address",
    "pins:write": "pinning the headline in the incident's channel",
}

EVENTS: dict[str, Listener] = {}
"""By the name that Slack subscribes us to; each listener takes the Happening and the Desk.

It answers once its work is done or safely begun: what it raises has Slack send the event again.
"""

INSTALL_EVENTS: dict[str, Listener] = {
    "app_uninstalled": installation.look_whether_gone,
    "tokens_revoked": installation.look_whether_gone,
}
"""What only an app that workspaces install by themselves must hear of."""

REDIRECTS = ("/slack/oauth_redirect", "/sign-in/done")
"""Where Slack may send people back to: after an install, and after a sign-in to the pages."""


def find_event(kind: str) -> Listener | None:
    return {**EVENTS, **INSTALL_EVENTS}.get(kind)


def find_verb(text: str) -> tuple[Verb, str, str]:
    """The verb, the rest of the text, and a question for above the form; unknown words are a name."""
    word, _, rest = text.strip().partition(" ")
    if word.lower() in VERBS and word:
        return VERBS[word.lower()], rest.strip(), ""
    meant = next((verb for verb in VERBS if verb and is_one_edit_away(word.lower(), verb)), None)
    notice = f"Did you mean `{COMMAND} {meant}`? Nothing is declared before you submit." if meant else ""
    return VERBS[""], text, notice


def help_lines() -> tuple[tuple[str, str], ...]:
    """Every way in, with what it does."""
    verbs = [(verb.usage, verb.does) for verb in VERBS.values()]
    doors = {"message": "on a message, under More actions", "global": "in the shortcuts menu"}
    ways = [(route.name, f"{doors[route.type]}: {route.description}") for route in SHORTCUTS.values()]
    return (*verbs, *ways)


def manifest(http: str | None = None, *, name: str = "Tocsin", org: bool = False) -> dict[str, Any]:
    """The Slack app manifest: Socket Mode, or HTTP with `http` as the address Slack can reach.

    `name` is what the app and its bot are called. With `org` an organization's admin can install it
    once for all workspaces (Slack, app manifest reference: `org_deploy_enabled`).
    """
    url = f"{http.rstrip('/')}/slack/events" if http else None
    command: dict[str, Any] = {
        "command": COMMAND,
        "description": COMMAND_DESCRIPTION,
        "usage_hint": COMMAND_USAGE,
        "should_escape": False,
    }
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url:
        command["url"] = url
        interactivity |= {"request_url": url, "message_menu_options_url": url}
    settings: dict[str, Any] = {
        "interactivity": interactivity,
        "org_deploy_enabled": org,
        "socket_mode_enabled": url is None,
        "token_rotation_enabled": False,
    }
    heard = [*EVENTS, *(INSTALL_EVENTS if url else ())]
    if heard:
        address = {"request_url": url} if url else {}
        settings["event_subscriptions"] = address | {"bot_events": sorted(heard)}
    redirects = {"redirect_urls": [f"{http.rstrip('/')}{path}" for path in REDIRECTS]} if http else {}
    return {
        "display_information": {
            "name": name,
            "description": "Opens and manages incidents",
            "background_color": "#8a1c1c",
        },
        "features": {
            "bot_user": {"display_name": name, "always_online": True},
            "shortcuts": [
                {
                    "name": route.name,
                    "type": route.type,
                    "callback_id": callback,
                    "description": route.description,
                }
                for callback, route in SHORTCUTS.items()
            ],
            "slash_commands": [command],
        },
        "oauth_config": {**redirects, "scopes": {"bot": list(SCOPES)}},
        "settings": settings,
    }
