"""Routes of all of Slack's payloads: commands, shortcuts, views, actions, options and events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tocsin.slack.commands import COMMAND, COMMAND_DESCRIPTION, COMMAND_USAGE, VERBS, find_verb
from tocsin.slack.listeners import (
    access,
    change_step,
    choose,
    close,
    comments,
    declare,
    events,
    export,
    fields,
    find,
    follow,
    followups,
    home,
    invite,
    issues,
    nudges,
    page,
    reminders,
    roles,
    self_test,
    timeline,
    times,
    triage,
    update,
    workflow_step,
)
from tocsin.slack.listeners.verbs import CommandSpec, VerbSpec
from tocsin.slack.manifest import OPTIONAL_SCOPES, SCOPES, ManifestInput, app_manifest
from tocsin.slack.payloads import (
    BlockAction,
    BlockSuggestion,
    EventCallback,
    Payload,
    Shortcut,
    SlashCommand,
    ViewSubmission,
)
from tocsin.slack.views.workflow_step import CLOSE_STEP, DECLARE_STEP, UPDATE_STEP

# The tables from payload to listener. The app manifest and `/incident help` are generated from them, and
# tests compare the documentation's tables with them.

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
    "people": invite.submit_people,
    "describe": update.submit_describe,
    "fields": fields.submit_fields,
    "close": close.submit_close,
    "merge": close.submit_merge,
    "accept": triage.submit_accept,
    "note": timeline.submit_note,
    "times": times.submit_times,
    "follow_up": followups.submit_follow_up,
    "issue": issues.submit_issue,
    "snooze": nudges.submit_snooze,
    "page": page.submit_page,
    "choose": choose.submit_choose,
}
"""Listeners of our own forms, by callback id."""

COMMENT_VIEWS: dict[str, Listener] = {comments.POSTED: comments.submit_comment}
"""Listeners of the views in which people write comments, by the callback id that Slack gives them."""

ACTIONS: dict[str, Listener | VerbSpec] = {
    "more_fields": declare.more_fields,
    "open_form": declare.open_unopened,
    "fix_and_send": declare.fix_and_send,
    "declare_another": declare.declare_another,
    "declare_here": home.declare_here,
    "run_test": self_test.press_test,
    "declare_named": choose.declare_named,
    "declare_instead": choose.declare_instead,
    "open_incident": home.acknowledge,
    "join_call": home.acknowledge,
    "update_incident": update.UPDATE,
    "take_lead": roles.TAKE,
    "invite_people": invite.INVITE,
    "follow_incident": follow.FOLLOW,
    "catch_up": follow.CATCH_UP,
    "change_fields": fields.FIELDS,
    "reopen_incident": close.REOPEN,
    "accept_incident": triage.ACCEPT,
    "decline_incident": close.DECLINE,
    "merge_incident": close.MERGE,
    "export_incident": export.EXPORT,
    "write_document": export.DOCUMENT,
    "keep_channel": close.keep_channel,
    "incident_menu": choose.press_menu,
    "ask_for_access": access.ask_for_access,
    "allow_access": access.allow_access,
    "decline_access": access.decline_access,
    "complete_follow_up": followups.press_done,
    "take_follow_up": followups.press_take,
    "open_issue": home.acknowledge,
    "link_issue": issues.press_link_issue,
    "page_incident": page.PAGE,
    "acknowledge_page": page.press_acknowledge,
    "give_update": reminders.give_update,
    "snooze_update": reminders.snooze,
    "take_over_update": reminders.take_over,
    "stop_updates": reminders.stop,
    **dict.fromkeys(nudges.ACTED, nudges.press_nudge),
    "snooze_nudges": nudges.press_snooze,
    "show_incident": find.press_show,
    "list_incidents": find.turn_page,
    "next_page": find.turn_page,
    "first_page": find.turn_page,
}

OPTIONS: dict[str, Listener] = {
    "custom_field_entries": declare.suggest_options,
    # Fields of the backend's own, whose names only the backend knows.
    "": declare.suggest_options,
}

EVENTS: dict[str, Listener] = {
    "app_home_opened": home.show_home,
    "entity_comments_requested": comments.show_comments,
    "entity_details_requested": comments.show_details,
    "function_executed": workflow_step.run_step,
    "member_joined_channel": access.on_member_joined,
    "link_shared": events.unfurl_links,
    "pin_added": timeline.on_reaction_or_pin,
    "pin_removed": timeline.on_reaction_or_pin,
    "reaction_added": timeline.on_reaction_or_pin,
    "reaction_removed": timeline.on_reaction_or_pin,
}
"""Listeners by the name of the event's subscription; each takes the EventCallback and the WorkspaceContext.

A listener returns once its work is done or safely started. If it raises, Slack sends the event again.
"""

STEPS: dict[str, dict[str, Any]] = {
    workflow_step.DECLARE: DECLARE_STEP,
    change_step.UPDATE: UPDATE_STEP,
    change_step.CLOSE: CLOSE_STEP,
}
"""Steps for Workflow Builder (Slack, custom steps), by callback id."""

STEP_EVENTS = {"function_executed"}

INSTALL_EVENTS: dict[str, Listener] = {
    "app_uninstalled": events.on_uninstalled,
    "tokens_revoked": events.on_uninstalled,
}
"""Events that only an app with OAuth installation needs."""

REDIRECTS = ("/slack/oauth_redirect", "/sign-in/done")
"""Paths to which Slack may redirect people: after an installation, and after a sign-in to the pages."""


def find_event(kind: str) -> Listener | None:
    return EVENTS.get(kind) or INSTALL_EVENTS.get(kind)


def find_view(callback: str) -> Listener | None:
    return VIEWS.get(callback) or COMMENT_VIEWS.get(callback)


def help_here() -> tuple[tuple[str, str], ...]:
    """Return usage and description of each verb about one incident."""
    return tuple((spec.usage, spec.does) for spec in VERBS.values() if isinstance(spec, VerbSpec))


def help_anywhere() -> tuple[tuple[str, str], ...]:
    """Return usage and description of everything that works anywhere: verbs, shortcuts, steps and Home."""
    verbs = [(spec.usage, spec.does) for spec in VERBS.values() if isinstance(spec, CommandSpec)]
    doors = {"message": "on a message, under More actions", "global": "in the shortcuts menu"}
    ways = [(route.name, f"{doors[route.type]}: {route.description}") for route in SHORTCUTS.values()]
    return (
        *verbs,
        *ways,
        *((step["title"], f"a step in Workflow Builder: {step['description']}") for step in STEPS.values()),
        ("Comments", "in what a link to an incident shows: its notes and updates, and a place to write one"),
        ("Home", "in Tocsin's own tab: what is open, what is yours, and a button to declare"),
    )


def manifest(
    http: str | None = None,
    *,
    name: str = "Tocsin",
    org: bool = False,
    steps: bool = True,
    pages: str | None = None,
    tracker: str | None = None,
) -> dict[str, Any]:
    """Return the Slack app manifest, built by `app_manifest`; without `steps` it has no custom steps."""
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
        optional_scopes=OPTIONAL_SCOPES,
        events=events,
        redirects=REDIRECTS,
    )
    return app_manifest(declared, http=http, name=name, org=org, pages=pages, tracker=tracker)


# Route labels of the metrics: always one of the routes, whatever other people send.

UNKNOWN = "unknown"
DECLARE, OTHER = "declare", "other"
"""Labels of the command without a verb, and of options for a field that the backend named."""


def every_route() -> Iterator[str]:
    """Yield every route label, so that the metrics have no more series than that."""
    yield from (f"command {word or DECLARE}" for word in VERBS)
    tables: dict[str, Mapping[str, object]] = {
        "shortcut": SHORTCUTS,
        "view": {**VIEWS, **COMMENT_VIEWS},
        "press": ACTIONS,
        "suggestion": OPTIONS,
        "event": {**EVENTS, **INSTALL_EVENTS},
    }
    yield from (f"{kind} {name or OTHER}" for kind, table in tables.items() for name in table)
    yield UNKNOWN


def route_of(
    payload: Payload | EventCallback,
) -> str:
    """Return the route label of a payload; UNKNOWN if it has no route."""
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
            return "view", payload.view.callback_id, find_view(payload.view.callback_id) is not None
        case BlockAction():
            return "press", payload.action_id, payload.action_id in ACTIONS
        case BlockSuggestion():
            name = payload.action_id.partition(".")[0]
            return "suggestion", name if name and name in OPTIONS else OTHER, True
        case EventCallback():
            return "event", payload.kind, find_event(payload.kind) is not None
