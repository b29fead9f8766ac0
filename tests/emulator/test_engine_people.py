"""Who is in the workspace, as an app may ask; and every method has someone who asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.refusals import error_of, refused

from slack_emulator.testing import Slack
from slack_emulator.web_api import METHODS


async def test_the_app_learns_who_it_is(slack: Slack, client: AsyncWebClient) -> None:
    itself = await client.auth_test()
    assert (itself["user_id"], itself["bot_id"]) == (slack.app.bot_user_id, slack.app.bot_id)
    assert itself["team_id"] == (await client.team_info())["team"]["id"]
    assert "chat:write" in itself.headers["x-oauth-scopes"]
    assert (await client.bots_info(bot=slack.app.bot_id))["bot"]["app_id"] == slack.app.app_id
    assert await error_of(client.bots_info(bot="B1")) == "bot_not_found"


async def test_api_test_echoes(client: AsyncWebClient) -> None:
    assert (await client.api_test(foo="bar"))["args"]["foo"] == "bar"
    assert await error_of(client.api_test(error="my_error")) == "my_error"


async def test_people_are_found_by_id_and_address(slack: Slack, client: AsyncWebClient) -> None:
    found = await client.users_lookupByEmail(email="ANA@lumen.example")
    assert found["user"]["id"] == slack.user_id("ana")
    assert found["user"]["is_owner"] is True
    assert (await client.users_info(user=slack.user_id("gus")))["user"]["is_restricted"] is True
    assert (await client.users_info(user=slack.user_id("tom")))["user"]["deleted"] is True
    assert await error_of(client.users_info(user="U1")) == "user_not_found"
    assert await error_of(client.users_lookupByEmail(email="tom@lumen.example")) == "users_not_found"
    everyone = (await client.users_list())["members"]
    assert {"ana", "tom", "gus", "pager"} <= {person["name"] for person in everyone}


async def test_a_profile_has_names_and_status(slack: Slack, client: AsyncWebClient) -> None:
    ana = slack.workspace.person_by_name("ana")
    ana.status_text, ana.status_emoji = "On call", ":pager:"
    profile = (await client.users_profile_get(user=ana.id))["profile"]
    assert (profile["first_name"], profile["last_name"]) == ("Ana", "Ferreira")
    assert (profile["status_text"], profile["status_emoji"]) == ("On call", ":pager:")
    assert profile["email"] == "ana@lumen.example"
    assert (await client.users_profile_get())["profile"]["real_name"] == "Pager"
    assert await error_of(client.users_profile_get(user="U1")) == "user_not_found"


async def test_presence_is_what_was_set_by_hand_or_found(slack: Slack, client: AsyncWebClient) -> None:
    ana = slack.workspace.person_by_name("ana")
    assert (await client.users_getPresence(user=ana.id)).data == {"ok": True, "presence": "active"}
    ana.presence = "away"
    assert (await client.users_getPresence(user=ana.id))["presence"] == "away"
    itself = await client.users_getPresence(user=slack.app.bot_user_id)
    assert (itself["presence"], itself["manual_away"]) == ("active", False)
    await client.users_setPresence(presence="away")
    assert (await client.api_call("users.getPresence"))["manual_away"] is True
    assert await error_of(client.users_setPresence(presence="asleep")) == "invalid_presence"


async def test_custom_emoji_are_listed(slack: Slack, client: AsyncWebClient) -> None:
    slack.workspace.state.team.emoji = {"ship": "https://a.example/ship.png", "boat": "alias:ship"}
    listed = (await client.emoji_list())["emoji"]
    assert listed == {"ship": "https://a.example/ship.png", "boat": "alias:ship"}
    assert await error_of(client.emoji_list(include_categories=True)) == "not_in_emulator"


async def test_user_groups_and_their_members(slack: Slack, client: AsyncWebClient) -> None:
    (group,) = (await client.usergroups_list(include_users=True))["usergroups"]
    assert (group["handle"], group["user_count"]) == ("oncall", 2)
    members = (await client.usergroups_users_list(usergroup=group["id"]))["users"]
    assert members == group["users"] == [slack.user_id("chloe"), slack.user_id("darius")]
    assert await error_of(client.usergroups_users_list(usergroup="S1")) == "no_such_subteam"


async def test_blocks_are_validated_without_posting(client: AsyncWebClient) -> None:
    assert (await client.api_call("blocks.validate", json={"blocks": [{"type": "divider"}]}))["ok"]
    body = await refused(client.api_call("blocks.validate", json={"view": {"type": "modal", "blocks": []}}))
    assert body["error"] == "invalid_view"
    assert body["response_metadata"]["messages"]


async def test_files_are_listed_where_messages_show_them(slack: Slack, client: AsyncWebClient) -> None:
    general = slack.channel_id("general")
    await client.conversations_join(channel=general)
    last = slack.workspace.history(general, slack.user_id("ana"))[0]
    last.files = [{"id": "F0GRAPH001", "name": "graph.png", "mimetype": "image/png"}]
    assert [f["id"] for f in (await client.files_list())["files"]] == ["F0GRAPH001"]
    assert (await client.files_info(file="F0GRAPH001"))["file"]["name"] == "graph.png"
    assert await error_of(client.files_info(file="F1")) == "file_not_found"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_called_by_some_test(method: str) -> None:
    tests = "".join(p.read_text() for p in Path(__file__).parent.glob("test_engine_*.py"))
    assert method in tests or f"client.{method.replace('.', '_')}(" in tests
