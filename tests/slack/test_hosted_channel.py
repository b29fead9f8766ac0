"""Declaring where incident.io keeps the incidents: what is asked, sent, shown, and said while it is away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.bot import RunningBot, chosen, picked, running_bot, ticked
from fakes.incident_io.account import Account
from fakes.incident_io.server import IncidentIoServer, failing, running_incident_io
from fakes.readings import block_ids, cards, pressed, told, words
from fakes.slack import RunningWorkspace, running_workspace

from tocsin.playground.manifest import Manifest
from tocsin.playground.model import Message, View
from tocsin.slack import routes

SECONDS = 20.0


@dataclass
class Stage:
    """The bot, the workspace, and incident.io."""

    bot: RunningBot
    io: IncidentIoServer

    async def filled(self, text: str = "checkout is slow", **fields: Any) -> View:
        view = await self.bot.type_command("ana", "general", f"/incident {text}")
        await self.bot.fill("ana", view, severity_id=chosen("major"), **fields)
        return view

    def open_channel(self, name: str, *people: str, private: bool = False) -> str:
        """What incident.io does some seconds later: a channel in Slack, and its id in its own answers."""
        workspace, incident = self.bot.workspace, self.io.account.incidents[-1]
        owner = self.bot.slack.person("ben")
        channel = workspace.conversations.create(owner, name, private=private)
        for person in people:
            channel.members.append(self.bot.slack.person(person))
        self.io.account.open_channel(incident, channel.id, name)
        return channel.id

    async def until(self, seen: Any) -> None:
        """Once what is looked for can be seen."""
        while not seen():
            ended = [r for r in self.bot.workspace.requests if r.finished]
            await self.bot.workspace.heard(lambda r: True, len(ended) + 1, SECONDS)


def knowing(slack: RunningWorkspace) -> Account:
    account = Account(team=slack.workspace.state.team.id)
    for name in ("ana", "ben", "chloe"):
        person = slack.workspace.person_by_name(name)
        account.knows(person.id, person.real_name)
    return account


@asynccontextmanager
async def staged(folder: Path, **more: Any) -> AsyncIterator[Stage]:
    async with (
        running_workspace(Manifest.from_dict(routes.manifest())) as slack,
        running_incident_io(knowing(slack)) as io,
    ):
        settings = {
            "tocsin_backend": "incident_io",
            "incident_io_url": io.url,
            "incident_io_api_key": "a-key",
        }
        async with running_bot(folder, slack, **settings, **more) as bot:
            yield Stage(bot, io)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as ready:
        yield ready


def alert(stage: Stage) -> Message:
    return stage.bot.workspace.history(stage.bot.slack.channel("alerts"), stage.bot.slack.person("ana"))[0]


async def test_the_form_asks_what_the_account_asks(stage: Stage) -> None:
    view = await stage.filled()
    await pressed(stage.bot, view, "more_fields", "more_fields")
    said = json.dumps(view.payload)
    for asked in ("Critical", "Security (always private)", "Incident Lead", "Communications", "Payments"):
        assert asked in said
    fields = [f"custom_field_entries.{field['id']}" for field in stage.io.account.fields]
    assert set(fields) <= set(block_ids(view))
    team = "custom_field_entries.team"
    person = stage.bot.slack.person("ana")
    outcome = await stage.bot.workspace.suggest(person, view.id, team, team, "crew")
    assert [o["text"]["text"] for o in outcome.options or []] == ["Checkout crew", "Search crew"]


async def test_one_round_trip_lies_between_the_press_and_the_reference(stage: Stage) -> None:
    view = await stage.filled()
    before = len(stage.io.heard)
    outcome = await stage.bot.submit("ana", view)
    assert outcome.ok, outcome
    assert "INC-1" in words(view)
    assert [f"{h.method} {h.path}" for h in stage.io.heard[before:]][:1] == ["POST /v2/incidents"]
    assert "is being opened" in words(view)


async def test_the_card_has_the_reference_first_and_then_the_channel(stage: Stage) -> None:
    view = await stage.filled()
    assert (await stage.bot.submit("ana", view)).ok
    general = stage.bot.slack.channel("general")
    await stage.until(lambda: cards(stage.bot, general))
    (card,) = cards(stage.bot, general)
    assert "INC-1" in words(card)
    assert "https://app.incident.io/incidents/1" in words(card)
    assert "None yet" in words(card)
    channel = stage.open_channel("inc-165-green-parrot", "ana")
    await stage.until(lambda: f"<#{channel}>" in words(cards(stage.bot, general)[0]))
    await stage.until(lambda: f"<#{channel}>" in words(view))


async def test_from_a_message_v1_gets_the_message_itself(stage: Stage) -> None:
    message = alert(stage)
    view = await stage.bot.pick_shortcut("ana", message)
    await stage.bot.fill("ana", view, severity_id=chosen("major"))
    assert (await stage.bot.submit("ana", view)).ok
    (sent,) = stage.io.asked("POST", "/v1/incidents")
    assert sent.body["source_message_channel_id"] == message.channel
    assert sent.body["source_message_timestamp"] == message.ts
    assert sent.body["mode"] == "real"
    assert "slack_team_id" not in sent.body
    ana = stage.bot.slack.person("ana")
    assert sent.body["incident_role_assignments"] == [
        {"incident_role_id": "reporter", "assignee": {"slack_user_id": ana}}
    ]


async def test_without_v1_the_message_is_attached_and_stands_in_the_timeline(stage: Stage) -> None:
    stage.io.account.has_v1 = False
    view = await stage.bot.pick_shortcut("ana", alert(stage))
    await stage.bot.fill("ana", view, severity_id=chosen("major"))
    assert (await stage.bot.submit("ana", view)).ok
    assert "INC-1" in words(view)
    await stage.io.until_asked("POST", "/v2/incident_timeline_items")
    (attached,) = stage.io.account.attachments
    assert "/archives/" in attached["resource"]["permalink"]
    assert attached["resource"]["permalink"] in stage.io.account.incidents[0]["summary"]
    assert len(stage.io.asked("POST", "/v1/incidents")) == 1


async def test_a_type_that_is_always_private_is_sent_as_private_and_its_channel_named_to_members_alone(
    stage: Stage,
) -> None:
    view = await stage.filled(incident_type_id=chosen("security"))
    assert (await stage.bot.submit("ana", view)).ok
    (sent,) = stage.io.asked("POST", "/v2/incidents")
    assert sent.body["visibility"] == "private"
    await stage.until(lambda: told(stage.bot, "ana"))
    channel = stage.open_channel("inc-secret", private=True)
    await stage.until(lambda: stage.bot.calls("conversations.members"))
    assert "https://app.incident.io/incidents/1" in words(told(stage.bot, "ana")[0])
    everywhere = [words(m) for room in stage.bot.workspace.state.channels for m in cards(stage.bot, room)]
    assert not any(channel in said for said in everywhere)
    assert channel not in words(view)


async def test_somebody_whom_incident_io_does_not_know_is_left_out_and_named(stage: Stage) -> None:
    darius = stage.bot.slack.person("darius")
    view = await stage.filled(incident_role_assignments__lead=picked(darius))
    assert (await stage.bot.submit("ana", view)).ok
    first, second = stage.io.asked("POST", "/v2/incidents")
    assert [r["incident_role_id"] for r in first.body["incident_role_assignments"]] == ["reporter", "lead"]
    assert [r["incident_role_id"] for r in second.body["incident_role_assignments"]] == ["reporter"]
    assert first.body["idempotency_key"] == second.body["idempotency_key"]
    assert f"<@{darius}> could not be given a role" in words(view)


async def test_what_incident_io_refuses_about_a_field_is_said_under_it(stage: Stage) -> None:
    view = await stage.filled()
    await pressed(stage.bot, view, "more_fields", "more_fields")
    field = "custom_field_entries.detected_by"
    stage.io.account.options = [o for o in stage.io.account.options if o["id"] != "alert"]
    await stage.bot.fill("ana", view, custom_field_entries__detected_by=chosen("alert", "Alert"))
    outcome = await stage.bot.submit("ana", view)
    assert outcome.errors == {field: "That option does not exist."}
    assert stage.io.account.incidents == []


async def test_a_limit_is_waited_out_and_the_same_is_sent_again(stage: Stage) -> None:
    stage.io.fail("POST", "/v2/incidents", failing(429, **{"retry-after": "1"}))
    view = await stage.filled()
    assert (await stage.bot.submit("ana", view)).ok
    first, second = await stage.io.until_asked("POST", "/v2/incidents", 2)
    assert first.raw == second.raw
    await stage.until(lambda: "INC-1" in words(view))


async def test_a_test_incident_is_sent_as_one(stage: Stage) -> None:
    view = await stage.filled()
    await pressed(stage.bot, view, "more_fields", "more_fields")
    await stage.bot.fill("ana", view, mode=ticked("test"))
    assert (await stage.bot.submit("ana", view)).ok
    assert stage.io.account.incidents[0]["mode"] == "test"
