"""Whatever an app sends, it is answered as Slack answers: HTTP 200 and a reason."""

from __future__ import annotations

import json
from typing import Any

import httpx

from slack_emulator.testing import Slack
from slack_emulator.web_api import METHODS

ODD: list[Any] = [
    "",
    "-1",
    "\u0000\u202e",
    "next:x",
    "[1, null, {}]",
    '{"type": "modal", "blocks": [{"type": "input"}]}',
    -1,
    [None, 1],
    {"blocks": {"a": 1}},
]


def plausible(slack: Slack) -> dict[str, Any]:
    return {
        "channel": slack.channel_id("general"),
        "channel_id": slack.channel_id("general"),
        "user": slack.user_id("ana"),
        "users": slack.user_id("ana"),
        "user_id": slack.user_id("ana"),
        "timestamp": "1.000000",
        "ts": "1.000000",
        "message_ts": "1.000000",
        "name": "inc",
        "text": "text",
        "title": "title",
        "type": "link",
        "link": "https://a.example",
        "topic": "topic",
        "purpose": "purpose",
        "view": {"type": "home", "blocks": []},
        "trigger_id": "1.2.a",
        "email": "ana@lumen.example",
        "bookmark_id": "Bk1",
        "usergroup": "S0ONCALL01",
        "bot": "B1",
        "file": "F1",
    }


async def test_odd_arguments_are_refused_and_break_nothing(slack: Slack) -> None:
    usual, broken = plausible(slack), []
    await slack.workspace.invite(slack.user_id("ana"), slack.channel_id("general"), slack.app.bot_user_id)
    async with httpx.AsyncClient(base_url=slack.api_url, trust_env=False, verify=False) as http:
        for name, method in METHODS.items():
            token = slack.app_token if name == "apps.connections.open" else slack.bot_token
            headers = {"Authorization": f"Bearer {token}"}
            fields = [*method.arguments.model_fields]
            for place, field in enumerate(fields):
                # A third of them for each argument, so that each is tried on many.
                for odd in ODD[place % 3 :: 3]:
                    given = {f: usual[f] for f in fields if f in usual} | {field: odd}
                    answer = await http.post(name, json=given, headers=headers)
                    if answer.status_code != 200 or "ok" not in answer.json():
                        broken.append((name, json.dumps(given)))
    assert broken == []
