"""Payloads of twelve kinds as Slack sends them, and what a stranger might make of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from urllib.parse import urlencode

from support.bot import RunningBot

from slack_emulator.models import Message, View

Json = dict[str, Any]
Place = tuple[Any, Any]
"""A dict or list, and the key or index in it."""

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def deep(levels: int = 400) -> Any:
    found: Any = "bottom"
    for level in range(levels):
        found = {"a": found} if level % 2 else [found]
    return found


STRANGE: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: 0,
    lambda: -1.5e308,
    lambda: True,
    lambda: "",
    lambda: [],
    lambda: {},
    lambda: [None],
    lambda: {"": None},
    lambda: "x" * 100_000,
    lambda: list(range(5_000)),
    deep,
    lambda: "\ud800 lone",
    lambda: "\x00\u202e\u2066<!channel>",
    lambda: "👩‍🚒" * 500,
    lambda: "http://[",
    lambda: "javascript:alert(1)",
    lambda: "../../etc/passwd",
    lambda: "declare",
    lambda: 10**400,
)


def valid_payloads(bot: RunningBot, form: View, message: Message) -> dict[str, Json]:
    """One of each kind, every one as the playground or Slack's documentation has it."""
    workspace, app = bot.workspace, bot.slack.app
    ana, room = workspace.person_by_name("ana"), workspace.channel_by_name("general")
    made = workspace.payloads
    url = workspace.response_urls.mint(app, ana.id, room.id)
    trigger = workspace.views.trigger(app, ana.id)
    button = {"type": "button", "action_id": "more_fields", "block_id": "more_fields", "value": "more"}
    fix = {"type": "button", "action_id": "fix_and_send", "block_id": "refused", "value": "no-such-key"}
    where = made.view_container(app, form)
    event = {"type": "app_mention", "user": ana.id, "text": "<@U0TOCSIN> help", "channel": room.id}
    found = {
        "command": made.command(app, ana, room, "/incident", "it is slow", trigger, url),
        "message shortcut": made.message_shortcut(
            app, ana, "declare_from_message", room, message, trigger, url
        ),
        "global shortcut": made.global_shortcut(app, ana, "declare", trigger),
        "view_submission": made.submission(app, ana, form, trigger, []),
        "view_closed": made.closed(app, ana, form, True),
        "button in a modal": made.view_action(app, ana, form, [button], trigger),
        "button in a message": made.message_action(app, ana, message, [fix], {}, trigger, url),
        "block_suggestion": made.suggestion(app, ana, "f", "custom_field_entries.f", "a", where),
        "event_callback": {
            "type": "event_callback", "team_id": workspace.state.team.id, "api_app_id": app.app_id,
            "event": event, "event_id": "Ev1", "event_time": 1, "authorizations": [{"team_id": "T"}],
        },
        "url_verification": {"type": "url_verification", "token": "t", "challenge": "c" * 40},
        "ssl_check": {"ssl_check": "1", "token": "t"},
        "unknown": {"type": "workflow_step_edit", "callback_id": "x", "user": {"id": ana.id}},
    }  # fmt: skip
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def mutated(payload: Json, rng: Random) -> Json:
    """The payload with one to three things in it dropped, doubled or put in a strange value's place."""
    changed = copy.deepcopy(payload)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(changed))
        if not places:
            break
        inside, key = rng.choice(places)
        if rng.random() < 0.25:
            del inside[key]
        else:
            inside[key] = rng.choice(STRANGE)()
    return changed


def _places(value: Any) -> Iterator[Place]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys)[:50]:
        yield value, key
        # What is already as deep as that needs no further look.
        if not (isinstance(value[key], dict | list) and len(str(value[key])[:3000]) >= 3000 and key == "a"):
            yield from _places(value[key])


def as_http(kind: str, payload: Json) -> tuple[bytes, str]:
    """The body, and its content type."""
    if kind in {"event_callback", "url_verification"}:
        return json.dumps(payload).encode(), JSON
    if kind in {"command", "ssl_check"}:
        flat = {key: v if isinstance(v, str) else json.dumps(v) for key, v in payload.items()}
        return urlencode(flat, errors="surrogatepass").encode(), FORM
    return urlencode({"payload": json.dumps(payload)}).encode(), FORM


def spoilt(body: bytes, kind: str, rng: Random) -> tuple[bytes, str]:
    """A body that is no longer what its content type says."""
    cut = rng.randrange(len(body) + 1)
    return rng.choice(
        [
            (body[:cut], kind),
            (body[:cut] + b"\xff\xfe\x00" + body[cut:], kind),
            (body, JSON if kind == FORM else FORM),
            (body, "text/plain; charset=utf-7"),
            (b"", kind),
            (b"[" * 50_000, JSON),
            (b"payload=" + b"%7B%22a%22%3A" * 20_000, FORM),
            (b"payload=1&payload=2", FORM),
            (b"payload=null", FORM),
            (b'"just text"', JSON),
        ]
    )
