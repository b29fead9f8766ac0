"""One org-wide token over Socket Mode: every workspace of an organization, each in its own place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from support.bot import RunningBot, chosen, typed
from support.estate import AWAY, HOME, ORG, served_estate
from support.operated import Operated, free_port, operated
from support.readings import cards, said, words
from support.slack import RunningWorkspace

from slack_emulator.manifest import Manifest
from slack_emulator.models import Channel, Request, View
from slack_emulator.organization import Grant, Organization
from tocsin.slack import routes

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

OF_NO_TEAM = frozenset({"auth.test", "apps.connections.open"})
"""Slack, org-ready apps: these are about the token, and not about a workspace."""


@dataclass
class ServedOrganization:
    """Lumen Freight and Northwind, and one process that serves both."""

    estate: Organization
    bot: Operated
    seen: dict[str, RunningBot]

    def calls(self, team: str) -> list[Request]:
        return [r for r in self.seen[team].calls() if r.method not in OF_NO_TEAM]

    async def declared(self, team: str, person: str, view: View, **fields: dict[str, Any]) -> list[Channel]:
        """Submitted and followed through: the channels that the bot has made in this workspace."""
        await self.seen[team].fill(person, view, severity_id=chosen("major"), **fields)
        outcome = await self.seen[team].submit(person, view)
        assert outcome.ok, outcome
        assert await self.bot.quiet() == 0
        return self.made(team)

    def made(self, team: str) -> list[Channel]:
        seen = self.seen[team]
        ours = seen.slack.app.bot_user_id
        return [c for c in seen.workspace.state.channels.values() if c.creator == ours and not c.is_direct]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def organization(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedOrganization]:
    folder: Path = tmp_path_factory.mktemp("tocsin")
    async with served_estate(org=True) as estate:
        app = estate.register(Manifest.from_dict(routes.manifest(org=True)))
        home = estate.first
        app = estate.install(Grant(app, home, "U0ANA00001", "", home.clock.now(), wide=True))
        seen = {
            workspace.state.team.id: RunningBot(
                cast(Any, None),
                RunningWorkspace(workspace, app, estate.base_url, cast(Any, workspace.clock)),
                folder,
                "",
            )
            for workspace in estate.workspaces
        }
        announce = f"{HOME}/{seen[HOME].slack.channel('incidents')}"
        async with operated(seen[HOME].slack, folder, free_port(), TOCSIN_ANNOUNCE_CHANNEL=announce) as bot:
            yield ServedOrganization(estate, bot, seen)
            assert await bot.stopped() == 0
            assert "Traceback" not in bot.log


async def test_a_command_is_answered_in_the_workspace_it_was_typed_in(
    organization: ServedOrganization,
) -> None:
    """Slack, slash commands: an org-wide install is told by `is_enterprise_install`, a text."""
    away = organization.seen[AWAY]
    view = await away.type_command("max", "ops", "/incident Orders are stuck")
    *_, sent = [r for r in away.workspace.requests if r.method == "slash_commands"]
    assert (sent.args["enterprise_id"], sent.args["is_enterprise_install"]) == (ORG.id, "true")
    before = organization.made(HOME)
    made = await organization.declared(AWAY, "max", view)
    assert any(channel.name.endswith("orders-are-stuck") for channel in made)
    assert organization.made(HOME) == before
    assert "Orders are stuck" in words(cards(away, away.slack.channel("ops"))[-1])


async def test_a_shortcut_that_comes_without_a_team_is_that_of_its_person(
    organization: ServedOrganization,
) -> None:
    """Slack, shortcuts: with an org-wide install `team` is null, and `user.team_id` says which."""
    away, opened = organization.seen[AWAY], organization.seen[AWAY].opened_so_far
    assert (await away.workspace.global_shortcut(away.slack.person("noa"), "declare")).ok
    *_, sent = [r for r in away.workspace.requests if r.method == "shortcut"]
    assert (sent.args["team"], sent.args["user"]["team_id"]) == (None, AWAY)
    view = await away.opened_form("noa", since=opened)
    made = await organization.declared(AWAY, "noa", view, name=typed("No orders at all"))
    assert any(channel.name.endswith("no-orders-at-all") for channel in made)


async def test_a_message_shortcut_answers_in_the_thread_of_its_own_workspace(
    organization: ServedOrganization,
) -> None:
    home = organization.seen[HOME]
    message = await said(home, "ben", "general", "Payments fail")
    made = await organization.declared(HOME, "ana", await home.pick_shortcut("ana", message))
    assert any(channel.name.endswith("payments-fail") for channel in made)
    (card,) = [m for m in cards(home, message.channel) if m.thread_ts == message.ts]
    assert "Payments fail" in words(card)
    assert "Payments fail" in words(cards(home, home.slack.channel("incidents"))[-1])


async def test_every_call_says_which_workspace_it_means(organization: ServedOrganization) -> None:
    """Slack, org-ready apps: with an org-wide token, pass `team_id` wherever it is taken."""
    for team, person, channel in ((HOME, "ana", "general"), (AWAY, "max", "ops")):
        view = await organization.seen[team].type_command(person, channel, "/incident A third of it is gone")
        await organization.declared(team, person, view)
        calls = organization.calls(team)
        assert calls
        assert {call.method for call in calls if call.team_id != team} == set()
