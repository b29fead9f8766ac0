"""Methods and events of Slack's: each is there, or it is said that it is not."""

from __future__ import annotations

import ast
import inspect
import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from measures import nodes_of
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient
from support.manifests import DECLARED
from support.refusals import refused

import slack_emulator
from slack_emulator.coverage import readme_tables
from slack_emulator.events import SENT_EVENTS, unsent_events
from slack_emulator.manifest import Manifest
from slack_emulator.scopes import SCOPES_OF_EVENT, SCOPES_OF_METHOD
from slack_emulator.testing import Slack
from slack_emulator.web_api import METHODS
from slack_emulator.web_api.slack_methods import SLACK_METHODS

PACKAGE = Path(slack_emulator.__path__[0])
HELPERS = {"api_call", "chat_stream", "files_upload_v2", "close", "set_base_url"}
"""Methods of the SDK's client that are no method of Slack's, or several."""


@pytest.fixture
def slack_manifest() -> Manifest:
    return Manifest.from_dict(DECLARED)


@pytest.fixture
def client(slack: Slack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


async def error_of_each(client: AsyncWebClient) -> dict[str, str]:
    """Call every method that Slack's SDK has, with senseless arguments: what each was refused with."""
    errors = {}
    for name, function in inspect.getmembers(client, inspect.iscoroutinefunction):
        if name.startswith("_") or name in HELPERS:
            continue
        named = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        needed = [p.name for p in named if p.default is p.empty]
        errors[name] = await error_of_one(function, needed) or await error_of_one(
            function, [p.name for p in named]
        )
    return errors


async def error_of_one(function: Any, arguments: list[str]) -> str:
    """What Slack answers; "" if it takes the call, or if the SDK itself does not make it."""
    try:
        await function(**dict.fromkeys(arguments, "x"))
    except SlackApiError as refusal:
        return str(refusal.response["error"])
    except (SlackRequestError, AttributeError, TypeError, ValueError, OSError):
        pass
    return ""


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
async def test_every_method_of_slacks_sdk_is_there_or_answered_as_not_there(
    slack: Slack, client: AsyncWebClient
) -> None:
    errors = await error_of_each(client)
    called = {request.method for request in slack.calls()}
    assert len(called) > len(errors) - 10
    assert called <= SLACK_METHODS
    assert [name for name, error in errors.items() if error == "unknown_method"] == []
    lacking = {request.method for request in slack.calls() if request.error == "not_in_emulator"}
    assert lacking.isdisjoint(METHODS)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
async def test_a_method_that_is_not_there_is_named_and_logged_once(
    client: AsyncWebClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "slack_emulator"):
        for _ in range(2):
            body = await refused(client.api_call("stars.add"))
    assert body["error"] == "not_in_emulator"
    assert "stars.add" in body["response_metadata"]["messages"][0]
    assert [record.getMessage() for record in caplog.records if "stars.add" in record.getMessage()] == [
        "slack_emulator does not have Slack's method stars.add: see the table in its README."
    ]


def test_the_table_of_slacks_methods_has_all_of_ours() -> None:
    assert set(METHODS) | set(SCOPES_OF_METHOD) <= SLACK_METHODS


def test_every_event_that_is_said_to_be_sent_is_sent_somewhere() -> None:
    texts = {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("scopes.py", "limits.py")
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    kinds = {f"{kind}_{what}" for kind in ("reaction", "pin") for what in ("added", "removed")}
    assert sorted(SENT_EVENTS - texts - kinds) == []
    assert sorted(SENT_EVENTS - set(SCOPES_OF_EVENT)) == []


def test_events_that_are_never_sent_are_named() -> None:
    declared: dict[str, Any] = deepcopy(DECLARED)
    subscriptions = declared["settings"]["event_subscriptions"]
    subscriptions["bot_events"] += ["team_join", "channel_left"]
    subscriptions["user_events"] = ["star_added"]
    assert unsent_events(Manifest.from_dict(declared)) == ["team_join", "star_added (for users)"]


def test_the_readme_has_the_tables() -> None:
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    for heading, table in readme_tables().items():
        assert f"{heading}\n\n{table}\n" in readme, f"write it anew: slack-emulator coverage ({heading})"
