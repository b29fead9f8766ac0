"""Slack Connect: a channel that other organisations read, and the people it brings.

Sources: Slack, "Slack Connect: working with channels between organizations" (users and channels of other
workspaces, `is_ext_shared`); Slack, user object (`team_id`, `is_stranger`); Slack, Events API (the envelope's
`is_ext_shared_channel`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.form_bot import DECLARED

from slack_emulator.manifest import Manifest
from slack_emulator.models import Person
from slack_emulator.testing import Slack, running_slack

OUTSIDE = "T0OUTSIDE01"


@pytest.fixture
async def shared() -> AsyncIterator[Slack]:
    """#haulpartner is shared with another organisation, of which Xenia is in it."""
    declared = deepcopy(DECLARED)
    declared["oauth_config"]["scopes"]["bot"] += ["channels:read", "users:read", "users:read.email"]
    async with running_slack(Manifest.from_dict(declared), clock=fitting_clock()) as slack:
        slack.workspace.share(
            slack.channel_id("haulpartner"), OUTSIDE, Person("U0XENIA", "xenia", "Xenia", "x@x")
        )
        yield slack


@pytest.fixture
def client(shared: Slack) -> AsyncWebClient:
    return AsyncWebClient(token=shared.bot_token, base_url=shared.api_url)


async def test_a_shared_channel_says_so_and_others_do_not(shared: Slack, client: AsyncWebClient) -> None:
    for name, is_shared in (("haulpartner", True), ("general", False)):
        room = (await client.conversations_info(channel=shared.channel_id(name)))["channel"]
        assert (room["is_shared"], room["is_ext_shared"]) == (is_shared, is_shared)
        assert (OUTSIDE in room["shared_team_ids"]) is is_shared


async def test_somebody_of_another_organisation_has_its_team_and_no_address(
    shared: Slack, client: AsyncWebClient
) -> None:
    user = (await client.users_info(user="U0XENIA"))["user"]
    assert (user["team_id"], user["profile"]["team"]) == (OUTSIDE, OUTSIDE)
    assert user["is_stranger"] is False
    assert "email" not in user["profile"]
    ana = (await client.users_info(user=shared.user_id("ana")))["user"]
    assert "is_stranger" not in ana
    assert ana["profile"]["email"]


async def test_who_shares_no_channel_with_us_is_a_stranger_and_nobody_foreign_is_listed(
    shared: Slack, client: AsyncWebClient
) -> None:
    await shared.workspace.leave("U0XENIA", shared.channel_id("haulpartner"))
    assert (await client.users_info(user="U0XENIA"))["user"]["is_stranger"] is True
    listed = (await client.users_list())["members"]
    assert "U0XENIA" not in {user["id"] for user in listed}


async def test_they_see_the_shared_channel_alone_and_speak_there(shared: Slack) -> None:
    workspace = shared.workspace
    assert (await workspace.say("U0XENIA", shared.channel_id("haulpartner"), "Hello")).ok
    assert (
        await workspace.say("U0XENIA", shared.channel_id("general"), "Hello")
    ).error == "channel_not_found"
    assert workspace.joinable("U0XENIA") == []
    assert (await workspace.create_channel("U0XENIA", "mine")).error == "restricted_action"


async def test_they_have_no_command_and_no_shortcut_of_our_app(shared: Slack) -> None:
    room, workspace = shared.channel_id("haulpartner"), shared.workspace
    said = await workspace.say(shared.user_id("ana"), room, "Slow")
    assert said.ts is not None
    for outcome in (
        await workspace.command("U0XENIA", room, "/form"),
        await workspace.global_shortcut("U0XENIA", "open_form"),
        await workspace.message_shortcut("U0XENIA", "file_this", room, said.ts),
    ):
        assert (outcome.ok, outcome.error) == (False, "restricted_action")


async def test_they_are_invited_only_into_channels_that_their_workspace_shares(
    shared: Slack, client: AsyncWebClient
) -> None:
    made = (await client.conversations_create(name="inc-1"))["channel"]["id"]
    with pytest.raises(SlackApiError, match="cant_invite"):
        await client.conversations_invite(channel=made, users="U0XENIA")
    shared.workspace.share(made, OUTSIDE)
    assert (await client.conversations_invite(channel=made, users="U0XENIA"))["ok"]


async def test_a_form_that_they_send_names_their_workspace_and_its_view_names_ours(
    shared: Slack, client: AsyncWebClient
) -> None:
    """Slack, views: `app_installed_team_id` is where the app is; `team` is where the person is."""
    workspace, app = shared.workspace, shared.app
    trigger = workspace.views.trigger(app, "U0XENIA", channel=shared.channel_id("haulpartner"))
    words = {"type": "plain_text", "text": "A form"}
    blocks = [{"type": "section", "text": words}]
    shown = {"type": "modal", "title": words, "submit": words, "blocks": blocks}
    await client.views_open(trigger_id=trigger, view=shown)
    (view,) = workspace.stack("U0XENIA")
    await workspace.submit("U0XENIA", view.id)
    (sent,) = [r.args for r in workspace.requests if r.method == "view_submission"]
    assert (sent["team"]["id"], sent["user"]["team_id"], sent["enterprise"]) == (OUTSIDE, OUTSIDE, None)
    assert sent["view"]["app_installed_team_id"] == workspace.state.team.id
