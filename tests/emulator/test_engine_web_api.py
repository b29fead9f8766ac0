"""The Web API: tokens, scopes, arguments, errors, and planned faults."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import manifest
from support.refusals import error_of, refused

from slack_emulator.faults import Fault
from slack_emulator.testing import Slack, running_slack


async def test_arguments_count_from_query_form_and_json_alike(slack: Slack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    given = {"channel": slack.channel_id("general"), "include_num_members": "true"}
    url = f"{slack.api_url}conversations.info"
    async with httpx.AsyncClient(headers=headers, trust_env=False, verify=False) as http:
        answers = [
            await http.get(url, params=given),
            await http.post(url, params=given),
            await http.post(url, data=given),
            await http.post(url, json=given),
            await http.post(url, data=given | {"team_id": "T1", "include_num_members": "1"}),
        ]
    assert [a.json()["channel"]["num_members"] for a in answers] == [6] * 5


async def test_structured_arguments_come_as_json_text_in_a_form(slack: Slack) -> None:
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    form = {"user_id": slack.user_id("ana"), "view": json.dumps(view), "token": slack.bot_token}
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = (await http.post(f"{slack.api_url}views.publish", data=form)).json()
    assert answer["ok"], answer


async def test_a_token_counts_in_header_query_and_form_but_not_in_json(slack: Slack) -> None:
    url, token = f"{slack.api_url}auth.test", {"token": slack.bot_token}
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answers = [
            await http.post(url, params=token),
            await http.post(url, data=token),
            await http.post(url, json=token),
            await http.post(url, data={"token": "xoxb-no"}),
        ]
    assert [a.json().get("error") for a in answers] == [None, None, "not_authed", "invalid_auth"]
    assert {a.status_code for a in answers} == {200}


async def test_an_unknown_method_is_told_so(slack: Slack, client: AsyncWebClient) -> None:
    assert await error_of(client.api_call("chat.shout")) == "unknown_method"


async def test_a_missing_argument_is_named(slack: Slack, client: AsyncWebClient) -> None:
    body = await refused(client.api_call("conversations.info", json={}))
    assert body["error"] == "invalid_arguments"
    assert body["response_metadata"]["messages"] == ["[ERROR] missing required field: channel"]


@pytest.mark.parametrize("private", [False, True])
async def test_a_missing_scope_says_what_is_needed_for_that_kind_of_channel(private: bool) -> None:
    without = ("channels:manage", "groups:write")
    async with running_slack(manifest(without_scopes=without), clock=fitting_clock()) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        body = await refused(client.conversations_create(name="inc", is_private=private))
    assert body["error"] == "missing_scope"
    assert body["needed"] == ("groups:write" if private else "channels:manage")
    assert "chat:write" in body["provided"].split(",")


async def test_the_app_token_only_opens_connections(slack: Slack, client: AsyncWebClient) -> None:
    with_app_token = AsyncWebClient(token=slack.app_token, base_url=slack.api_url)
    assert await error_of(with_app_token.users_list()) == "not_allowed_token_type"
    opening = client.apps_connections_open(app_token=slack.bot_token)
    assert await error_of(opening) == "not_allowed_token_type"


async def test_connections_are_opened_by_post_with_the_token_in_the_header(slack: Slack) -> None:
    url = f"{slack.api_url}apps.connections.open"
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        got = await http.get(url, headers={"Authorization": f"Bearer {slack.app_token}"})
        in_form = await http.post(url, data={"token": slack.app_token})
    assert not got.json()["ok"]
    assert not in_form.json()["ok"]


async def test_a_planned_429_says_when_to_come_back(slack: Slack, client: AsyncWebClient) -> None:
    slack.workspace.faults.plan("users.list", Fault(retry_after=7))
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = await http.post(f"{slack.api_url}users.list", data={"token": slack.bot_token})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json() == {"ok": False, "error": "ratelimited"}
    assert (await client.users_list())["ok"]


async def test_a_planned_reset_after_the_effect_loses_the_answer_only(slack: Slack) -> None:
    slack.workspace.faults.plan("conversations.create", Fault(reset=True, after_effect=True))
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        form = {"token": slack.bot_token, "name": "inc-1"}
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(f"{slack.api_url}conversations.create", data=form)
    assert slack.workspace.channel_by_name("inc-1").name == "inc-1"


async def test_a_planned_wait_holds_the_answer_back(slack: Slack, client: AsyncWebClient) -> None:
    gate = asyncio.Event()
    slack.workspace.faults.plan("users.list", Fault(until=gate))
    asking = asyncio.create_task(client.users_list())
    await slack.workspace.begun("users.list")
    assert not asking.done()
    gate.set()
    assert (await asking)["ok"]


async def test_every_call_is_written_down_in_order(slack: Slack, client: AsyncWebClient) -> None:
    await client.conversations_create(name="inc-2")
    await error_of(client.conversations_create(name="inc-2"))
    made = [r for r in slack.workspace.requests if r.direction == "call"]
    calls = [(r.method, r.ok, r.error, r.args["name"]) for r in made]
    assert calls == [
        ("conversations.create", True, None, "inc-2"),
        ("conversations.create", False, "name_taken", "inc-2"),
    ]
