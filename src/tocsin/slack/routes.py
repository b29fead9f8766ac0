"""The table of everything that Slack may ask: commands, shortcuts, views, buttons, events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tocsin.slack.commands import COMMAND, COMMAND_DESCRIPTION, COMMAND_USAGE, VERBS, find_verb
from tocsin.slack.listeners import (
    choose,
    close,
    declare,
    events,
    export,
    find,
    followups,
    home,
    reminders,
    roles,
    timeline,
    update,
    workflow_step,
)
from tocsin.slack.listeners.verbs import CommandSpec, VerbSpec
from tocsin.slack.manifest import SCOPES, ManifestInput, app_manifest
from tocsin.slack.payloads import (
    BlockAction,
    BlockSuggestion,
    EventCallback,
    Payload,
    Shortcut,
    SlashCommand,
    ViewSubmission,
)
from tocsin.slack.views.workflow_step import DECLARE_STEP

# Everything Slack may ask of us: verbs, shortcuts, forms, buttons, menus, and what we may do there.
#
# The app manifest, `/incident help` and README's tables are made from this page or held against it.

Listener = Callable[..., Coroutine[Any, Any, None]]

LONGEST_NAME = 35
"""Characters in an app's name (Slack, app manifest reference: `display_information.name`)."""


@dataclass(frozen=True)
class ShortcutRoute:
    name: str
    type: Literal["global", "message"]
    description: str
    listener: Listener


SHORTCUTS: dict[str, ShortcutRoute] = {
    "declare_from_message": ShortcutRoute(
        "Declare incident",
        "message",
        "Declare an incident from this message",
        declare.open_declare_from_message,
    ),
    "add_to_timeline": ShortcutRoute(
        "Add to incident timeline",
        "message",
        "Keep this message in an incident's timeline",
        timeline.keep_from_message,
    ),
    "declare": ShortcutRoute(
        "Declare incident", "global", "Declare an incident", declare.open_declare_anywhere
    ),
}

VIEWS: dict[str, Listener] = {
    "declare": declare.submit_declare,
    "update": update.submit_update,
    "assign": roles.submit_assign,
    "describe": update.submit_describe,
    "close": close.submit_close,
    "merge": close.submit_merge,
    "note": timeline.submit_note,
    "follow_up": followups.submit_follow_up,
    "choose": choose.submit_choose,
}

ACTIONS: dict[str, Listener | VerbSpec] = {
    "more_fields": declare.more_fields,
    "open_form": declare.open_unopened,
    "fix_and_send": declare.fix_and_send,
    "declare_another": declare.declare_another,
    "declare_here": home.declare_here,
    "declare_named": choose.declare_named,
    "declare_instead": choose.declare_instead,
    "open_incident": home.acknowledge,
    "update_incident": update.UPDATE,
    "take_lead": roles.TAKE,
    "reopen_incident": close.REOPEN,
    "export_incident": export.EXPORT,
    "write_document": export.DOCUMENT,
    "keep_channel": close.keep_channel,
    "incident_menu": choose.press_menu,
    "complete_follow_up": followups.press_done,
    "give_update": reminders.give_update,
    "snooze_update": reminders.snooze,
    "take_over_update": reminders.take_over,
    "stop_updates": reminders.stop,
    "show_incident": find.press_show,
    "list_incidents": find.turn_page,
    "next_page": find.turn_page,
    "first_page": find.turn_page,
}

OPTIONS: dict[str, Listener] = {
    "custom_field_entries": declare.suggest_options,
    # The backend's own fields have whatever names it gives them.
    "": declare.suggest_options,
}

EVENTS: dict[str, Listener] = {
    "app_home_opened": home.show_home,
    "entity_details_requested": events.show_details,
    "function_executed": workflow_step.run_step,
    "link_shared": events.unfurl_links,
    "pin_added": timeline.on_reaction_or_pin,
    "pin_removed": timeline.on_reaction_or_pin,
    "reaction_added": timeline.on_reaction_or_pin,
    "reaction_removed": timeline.on_reaction_or_pin,
}
"""By the name that Slack subscribes us to; each listener takes the EventCallback and the WorkspaceContext.

It answers once its work is done or safely begun: what it raises has Slack send the event again.
"""

STEPS: dict[str, dict[str, Any]] = {workflow_step.DECLARE: DECLARE_STEP}
"""What people may put into a workflow (Slack, custom steps), by its callback id."""

STEP_EVENTS = {"function_executed"}

INSTALL_EVENTS: dict[str, Listener] = {
    "app_uninstalled": events.on_uninstalled,
    "tokens_revoked": events.on_uninstalled,
}
"""What only an app that workspaces install by themselves must hear of."""

REDIRECTS = ("/slack/oauth_redirect", "/sign-in/done")
"""Where Slack may send people back to: after an install, and after a sign-in to the pages."""


def find_event(kind: str) -> Listener | None:
    return EVENTS.get(kind) or INSTALL_EVENTS.get(kind)


def help_here() -> tuple[tuple[str, str], ...]:
    """Return what can be done to one incident."""
    return tuple((spec.usage, spec.does) for spec in VERBS.values() if isinstance(spec, VerbSpec))


def help_anywhere() -> tuple[tuple[str, str], ...]:
    """Return what can be done anywhere, with every way in."""
    verbs = [(spec.usage, spec.does) for spec in VERBS.values() if isinstance(spec, CommandSpec)]
    doors = {"message": "on a message, under More actions", "global": "in the shortcuts menu"}
    ways = [(route.name, f"{doors[route.type]}: {route.description}") for route in SHORTCUTS.values()]
    return (
        *verbs,
        *ways,
        *((step["title"], f"a step in Workflow Builder: {step['description']}") for step in STEPS.values()),
        ("Home", "in Tocsin's own tab: what is open, what is yours, and a button to declare"),
    )


def manifest(
    http: str | None = None,
    *,
    name: str = "Tocsin",
    org: bool = False,
    steps: bool = True,
    pages: str | None = None,
) -> dict[str, Any]:
    """The Slack app manifest, as `app_manifest` says; without `steps` it has none of Workflow Builder's."""
    events = {*EVENTS, *(INSTALL_EVENTS if http else ())} - (set() if steps else STEP_EVENTS)
    declared = ManifestInput(
        command={
            "command": COMMAND,
            "description": COMMAND_DESCRIPTION,
            "usage_hint": COMMAND_USAGE,
            "should_escape": True,
        },
        shortcuts=[
            {
                "name": route.name,
                "type": route.type,
                "callback_id": callback,
                "description": route.description,
            }
            for callback, route in SHORTCUTS.items()
        ],
        steps=STEPS if steps else {},
        scopes=SCOPES,
        events=events,
        redirects=REDIRECTS,
    )
    return app_manifest(declared, http=http, name=name, org=org, pages=pages)


# What each gesture counts as: one of the routes, whatever strangers may send.

UNKNOWN = "unknown"
DECLARE, OTHER = "declare", "other"
"""What the command without a verb counts as, and a field that the backend named."""


def every_route() -> Iterator[str]:
    """All that may be counted, so that there are never more series than routes."""
    yield from (f"command {word or DECLARE}" for word in VERBS)
    tables: dict[str, Mapping[str, object]] = {
        "shortcut": SHORTCUTS,
        "view": VIEWS,
        "press": ACTIONS,
        "suggestion": OPTIONS,
        "event": {**EVENTS, **INSTALL_EVENTS},
    }
    yield from (f"{kind} {name or OTHER}" for kind, table in tables.items() for name in table)
    yield UNKNOWN


def route_of(
    payload: Payload | EventCallback,
) -> str:
    """The route that this goes to; UNKNOWN where it goes to none."""
    kind, name, is_known = _found(payload)
    return f"{kind} {name}" if is_known else UNKNOWN


def _found(
    payload: Payload | EventCallback,
) -> tuple[str, str, bool]:
    match payload:
        case SlashCommand():
            first = find_verb(payload.text).first
            return "command", first.word if first else DECLARE, True
        case Shortcut():
            return "shortcut", payload.callback_id, payload.callback_id in SHORTCUTS
        case ViewSubmission():
            return "view", payload.view.callback_id, payload.view.callback_id in VIEWS
        case BlockAction():
            return "press", payload.action_id, payload.action_id in ACTIONS
        case BlockSuggestion():
            name = payload.action_id.partition(".")[0]
            return "suggestion", name if name and name in OPTIONS else OTHER, True
        case EventCallback():
            return "event", payload.kind, find_event(payload.kind) is not None
