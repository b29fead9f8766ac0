"""Slack's payloads: what Slack may leave out may be null as well, wherever it stands."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tocsin.slack.payloads import BlockAction, EventCallback, Shortcut, SlashCommand, ViewSubmission

Json = dict[str, Any]

USER = {"id": "U0ANA", "name": "ana", "username": "ana", "team_id": "T1"}
VIEW = {
    "id": "V1",
    "type": "modal",
    "hash": "1.a",
    "callback_id": "declare",
    "private_metadata": "{}",
    "state": {"values": {"name": {"name": {"type": "plain_text_input", "value": None}}}},
    "root_view_id": "V1",
    "app_installed_team_id": "T1",
    "team_id": "T1",
}
ANYWHERE: Json = {"user": USER, "team": {"id": "T1", "domain": "acme"}, "enterprise": {"id": "E1"}}
EVENT = {
    "event_id": "Ev1",
    "event": {"type": "app_home_opened", "user": "U0ANA"},
    "team_id": "T1",
    "enterprise_id": "E1",
    "authorizations": [{"team_id": "T1", "enterprise_id": "E1"}],
    "is_ext_shared_channel": True,
}
MESSAGE = {"type": "message", "text": None, "ts": "1.2"}
PAYLOADS: dict[type[Any], Json] = {
    SlashCommand: {
        "command": "/incident",
        "text": "it is slow",
        "team_id": "T1",
        "enterprise_id": "E1",
        "channel_id": "C1",
        "user_id": "U0ANA",
        "user_name": "ana",
        "trigger_id": "1.2.x",
        "response_url": "https://hooks.slack.example/x",
    },
    Shortcut: ANYWHERE
    | {
        "callback_id": "declare_from_message",
        "message_ts": "1.2",
        "message": MESSAGE,
        "channel": {"id": "C1", "name": "general"},
    },
    BlockAction: ANYWHERE
    | {
        "actions": [{"action_id": "take", "block_id": "b", "value": "x", "selected_option": {"value": "y"}}],
        "container": {"type": "message", "message_ts": "1.2"},
        "view": VIEW,
    },
    ViewSubmission: ANYWHERE | {"view": VIEW},
    EventCallback: EVENT,
}
KEPT = {"event", "message", "values"}
"""Objects that are kept as Slack sent them."""
NEEDED = {"id", "user", "channel_id", "user_id", "trigger_id", "command", "callback_id", "event_id", "event"}
"""Fields that Slack always sends; `team_id` of a command and `view` of a submission are among them, too."""


def places(inside: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every field that Slack may leave out."""
    found = inside.items() if isinstance(inside, dict) else enumerate(inside)
    for key, value in found:
        if isinstance(key, str) and key not in NEEDED:
            yield (*path, key)
        if isinstance(value, dict | list) and key not in KEPT:
            yield from places(value, (*path, key))


@pytest.mark.parametrize("kind", PAYLOADS, ids=lambda kind: kind.__name__)
def test_a_field_that_slack_may_leave_out_may_be_null(kind: type[Any]) -> None:
    tried = 0
    for path in places(PAYLOADS[kind]):
        if (kind, *path) in {(SlashCommand, "team_id"), (ViewSubmission, "view")}:
            continue
        without, null = copy.deepcopy(PAYLOADS[kind]), copy.deepcopy(PAYLOADS[kind])
        for given in (without, null):
            *above, last = path
            inside: Any = given
            for key in above:
                inside = inside[key]
            if given is without:
                del inside[last]
            else:
                inside[last] = None
        assert kind.model_validate(null) == kind.model_validate(without), path
        tried += 1
    assert tried > 3


def test_a_message_is_kept_as_slack_sent_it() -> None:
    shortcut = Shortcut.model_validate(PAYLOADS[Shortcut])
    assert shortcut.message == MESSAGE
