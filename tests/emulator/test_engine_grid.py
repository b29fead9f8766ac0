"""Enterprise Grid: a channel that workspaces of one organization share, and the people it brings.

Sources: Slack, conversation object (`is_org_shared`, `shared_team_ids`); Slack, user object
(`enterprise_user`); Slack, org-ready apps (`app_installed_team_id`, `is_enterprise_install`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.form_bot import DECLARED
from support.slack import refused
from support.two_workspaces import AWAY, HOME, ORG, served_estate

from slack_emulator.manifest import Manifest
from slack_emulator.models import InstalledApp
from slack_emulator.models import Refused as NotAllowed
from slack_emulator.organization import Grant, Organization

MAX, NOA, GENERAL = "U0MAX00002", "U0NOA00001", "C0GENERAL1"
MORE = {"channels:read", "channels:manage", "users:read", "users:read.email"}


@pytest.fixture
async def estate() -> AsyncIterator[Organization]:
    """#general of Lumen Freight is shared with Northwind, of which Max is in it."""
    async with served_estate(org=True) as estate:
        home, away = estate.workspaces
        estate.share(home, GENERAL, away, MAX)
        yield estate


def installed(estate: Organization, *, wide: bool) -> tuple[InstalledApp, AsyncWebClient]:
    scopes = sorted({*DECLARED["oauth_config"]["scopes"]["bot"], *MORE})
    declared = DECLARED | {"oauth_config": {"scopes": {"bot": scopes}}}
    declared["settings"] = DECLARED["settings"] | {"org_deploy_enabled": True}
    app, home = estate.register(Manifest.from_dict(declared)), estate.first
    app = estate.install(Grant(app, home, "U0ANA00001", "", home.clock.now(), wide=wide))
    return app, AsyncWebClient(token=app.bot_token, base_url=f"{estate.base_url}/api/")


async def test_a_channel_of_the_organization_is_shared_with_nobody_outside(estate: Organization) -> None:
    _, client = installed(estate, wide=False)
    room = (await client.conversations_info(channel=GENERAL))["channel"]
    assert (room["is_shared"], room["is_org_shared"], room["is_ext_shared"]) == (True, True, False)
    assert room["shared_team_ids"] == [HOME, AWAY]


async def test_a_member_of_a_sister_workspace_has_its_team_and_our_organization(estate: Organization) -> None:
    _, client = installed(estate, wide=False)
    user = (await client.users_info(user=MAX))["user"]
    assert (user["team_id"], user["enterprise_user"]["enterprise_id"]) == (AWAY, ORG.id)
    assert (user["is_stranger"], bool(user["profile"]["email"])) == (False, True)
    assert MAX not in {user["id"] for user in (await client.users_list())["members"]}


async def test_they_come_into_no_channel_that_their_workspace_has_no_part_in(estate: Organization) -> None:
    _, client = installed(estate, wide=False)
    made = (await client.conversations_create(name="inc-1"))["channel"]["id"]
    with refused("org_user_not_in_team"):
        await client.conversations_invite(channel=made, users=MAX)


@pytest.mark.parametrize("wide", [False, True])
async def test_commands_are_theirs_only_where_the_whole_organization_has_the_app(
    estate: Organization, wide: bool
) -> None:
    installed(estate, wide=wide)
    outcome = await estate.first.command(MAX, GENERAL, "/form")
    assert (outcome.error == "restricted_action") is not wide
    if wide:
        (sent,) = [r.args for r in estate.first.requests if r.method == "slash_commands"]
        assert (sent["team_id"], sent["enterprise_id"]) == (AWAY, ORG.id)


async def test_only_an_organization_shares_channels_among_its_workspaces() -> None:
    async with served_estate() as apart:
        home, away = apart.workspaces
        with pytest.raises(NotAllowed, match="not_an_enterprise"):
            apart.share(home, GENERAL, away, MAX)
