"""Custom steps: what a workflow sends to the app, and how the app ends what it was asked to run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import DECLARED
from support.slack import refused

from slack_emulator.manifest import Manifest, manifest_errors
from slack_emulator.models import Refused
from slack_emulator.testing import Slack, running_slack

STEP = {
    "title": "Greet",
    "description": "Greets somebody",
    "input_parameters": {
        "who": {
            "type": "slack#/types/user_id",
            "title": "Who",
            "description": "Whom to greet",
            "is_required": True,
        },
        "loud": {"type": "boolean", "title": "Loud", "description": "Whether to shout"},
    },
    "output_parameters": {"said": {"type": "string", "title": "Said", "description": "What was said"}},
}


def declared(**settings: Any) -> dict[str, Any]:
    whole = deepcopy(DECLARED)
    whole["functions"] = {"greet": deepcopy(STEP)}
    whole["settings"] |= {"org_deploy_enabled": True, "function_runtime": "remote", **settings}
    whole["settings"]["event_subscriptions"]["bot_events"].append("function_executed")
    return whole


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with running_slack(Manifest.from_dict(declared()), clock=fitting_clock()) as running:
        yield running


async def test_a_step_that_runs_is_told_to_its_app_with_inputs_and_both_ids(
    slack: Slack,
) -> None:
    ana = slack.user_id("ana")
    run = slack.workspace.steps.begin(slack.app, "greet", {"who": ana, "loud": True})
    (heard, *_) = await slack.workspace.begun("event.function_executed")
    event = heard.args["event"]
    assert event["inputs"] == {"who": ana, "loud": True}
    assert (event["function_execution_id"], event["workflow_execution_id"]) == (run.id, run.workflow_id)
    assert event["function"]["callback_id"] == "greet"
    assert [one["name"] for one in event["function"]["input_parameters"]] == ["who", "loud"]
    assert event["bot_access_token"] == run.token


async def test_a_step_ends_once_with_outputs_as_declared(slack: Slack, client: AsyncWebClient) -> None:
    run = slack.workspace.steps.begin(slack.app, "greet", {"who": slack.user_id("ana")})
    with refused("parameter_validation_failed"):
        await client.functions_completeSuccess(function_execution_id=run.id, outputs={"unheard": "of"})
    with refused("parameter_validation_failed"):
        await client.functions_completeSuccess(function_execution_id=run.id, outputs={"said": 1})
    await client.functions_completeSuccess(function_execution_id=run.id, outputs={"said": "hello"})
    assert (run.state, run.outputs) == ("completed", {"said": "hello"})
    with refused("execution_not_in_running_state"):
        await client.functions_completeError(function_execution_id=run.id, error="too late")


async def test_a_step_fails_with_words(slack: Slack, client: AsyncWebClient) -> None:
    run = slack.workspace.steps.begin(slack.app, "greet", {"who": slack.user_id("ana")})
    with refused("invalid_arguments"):
        await client.functions_completeError(function_execution_id=run.id, error=" ")
    await client.functions_completeError(function_execution_id=run.id, error="Nobody is there.")
    assert (run.state, run.error) == ("failed", "Nobody is there.")
    with refused("function_execution_not_found"):
        await client.functions_completeError(function_execution_id="Fx0", error="Who?")


async def test_a_step_is_not_run_without_what_it_needs(slack: Slack) -> None:
    for inputs in ({}, {"who": "U0NOBODY"}, {"who": slack.user_id("ana"), "loud": "yes"}):
        with pytest.raises(Refused, match="parameter_validation_failed"):
            slack.workspace.steps.begin(slack.app, "greet", inputs)
    with pytest.raises(Refused, match="function_not_found"):
        slack.workspace.steps.begin(slack.app, "sing", {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"org_deploy_enabled": False}, "org_deploy_enabled"),
        ({"function_runtime": "slack"}, "function_runtime remote"),
        ({"event_subscriptions": {"bot_events": ["pin_added"]}}, "function_executed"),
    ],
)
def test_an_app_with_steps_must_be_ready_for_them(settings: dict[str, Any], said: str) -> None:
    whole = declared()
    assert manifest_errors(whole) == []
    whole["settings"] |= settings
    assert [line for line in manifest_errors(whole) if said in line]


def test_an_input_has_a_type_that_slack_knows_and_words_for_people() -> None:
    whole = declared()
    whole["functions"]["greet"]["input_parameters"]["who"] = {"type": "person", "title": "Who"}
    assert len(manifest_errors(whole)) == 2
