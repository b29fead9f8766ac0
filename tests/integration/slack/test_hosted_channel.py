"""Declaring where incident.io keeps the incidents: what is asked, sent, shown, and said while it is away."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict
from support.bot import chosen, dated, picked, radio, ticked
from support.errands import typed_verb
from support.hosted import Stage, staged
from support.incident_io.server import Fault, failing
from support.readings import block_ids, cards, pressed, settled, told, words

from slack_emulator.models import Message
from tocsin import logs


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


async def test_the_channel_in_which_people_are_is_not_offered_where_incident_io_opens_its_own(
    stage: Stage,
) -> None:
    view = await stage.bot.type_command("ana", "alerts", "/incident checkout is slow")
    await pressed(stage.bot, view, "more_fields", "more_fields")
    assert "mode" in block_ids(view)
    assert "slack_channel_id" not in block_ids(view)


async def test_one_round_trip_lies_between_the_press_and_the_reference(stage: Stage) -> None:
    view = await stage.filled()
    before = len(stage.io.heard)
    outcome = await stage.bot.submit("ana", view)
    assert outcome.ok, outcome
    assert "INC-1" in words(view)
    asked = [f"{h.method} {h.path}" for h in stage.io.heard[before:]]
    # Open incidents are looked at all the while.
    assert [one for one in asked if one != "GET /v2/incidents"][:1] == ["POST /v2/incidents"]
    assert "is being opened" in words(view)


async def test_nothing_but_that_one_answer_is_waited_for_before_the_reference_is_seen(stage: Stage) -> None:
    view = await stage.filled()
    stage.io.fail("GET", "/", *[Fault(hangs=True)] * 50)
    before = len(stage.io.heard)
    assert (await stage.bot.submit("ana", view)).ok
    assert "INC-1" in words(view)
    # Whatever else asks meanwhile, such as the look at what is open, hangs.
    assert [h.path for h in stage.io.heard[before:] if h.method == "POST"] == ["/v2/incidents"]


async def test_one_id_leads_from_the_gesture_in_slack_to_the_request_at_incident_io(stage: Stage) -> None:
    stream = io.StringIO()
    logs.configure(stream)
    try:
        view = await stage.filled()
        assert (await stage.bot.submit("ana", view)).ok
    finally:
        structlog.reset_defaults()
    (sent,) = stage.io.asked("POST", "/v2/incidents")
    pressed_line = next(line for line in stream.getvalue().splitlines() if "view declare" in line)
    assert sent.trace
    assert f"trace={sent.trace}" in pressed_line


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


@pytest.mark.parametrize("path", ["/v1/incident_attachments", "/v2/incident_timeline_items"])
async def test_the_channel_waits_for_nothing_that_the_key_may_not_do_besides_declaring(
    tmp_path: Path, path: str, troubles: list[EventDict]
) -> None:
    async with staged(tmp_path, incident_io_create="v2") as stage:
        stage.io.fail("POST", path, *[failing(403)] * 1000)
        message = alert(stage)
        view = await stage.bot.pick_shortcut("ana", message)
        await stage.bot.fill("ana", view, severity_id=chosen("major"))
        assert (await stage.bot.submit("ana", view)).ok
        await stage.io.until_asked("POST", path)
        channel = stage.open_channel("inc-165-green-parrot", "ana")
        await stage.until(lambda: f"<#{channel}>" in words(view))
        # What was refused is added once the key may.
        stage.io.faults.clear()
        await settled(stage.bot)
        assert len(stage.io.account.attachments) == len(stage.io.account.items) == 1
    assert {line["event"] for line in troubles if line["log_level"] == "error"} == {"for the operator"}
    troubles.clear()


async def test_a_source_message_that_incident_io_refuses_is_said_with_what_was_refused(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, incident_io_create="v2") as stage:
        stage.io.fail("POST", "/v1/incident_attachments", failing(422))
        message = alert(stage)
        view = await stage.bot.pick_shortcut("ana", message)
        await stage.bot.fill("ana", view, severity_id=chosen("major"))
        assert (await stage.bot.submit("ana", view)).ok
        channel = stage.open_channel("inc-165-green-parrot", "ana")
        await stage.until(lambda: f"<#{channel}>" in words(view))
        await settled(stage.bot)
        said = " ".join(words(one) for one in told(stage.bot, "ana"))
        assert "Its source message could not be attached at incident.io: incident.io refused it" in said
        assert len(stage.io.asked("POST", "/v2/incident_timeline_items")) == 1


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


async def test_what_is_over_waits_for_no_channel(stage: Stage) -> None:
    view = await stage.bot.type_command("ana", "general", "/incident retro login was down")
    fixed = {"incident_timestamp_values__01FIXED": dated(1_772_000_000)}
    await stage.bot.fill("ana", view, severity_id=chosen("major"), **fixed)
    assert (await stage.bot.submit("ana", view)).ok
    assert "It is retrospective, so it has no channel" in words(view)
    await stage.bot.app.settled()
    (incident,) = stage.io.account.incidents
    assert (incident["mode"], incident["slack_channel_id"]) == ("retrospective", "")
    assert ":rewind: Retrospective" in words(told(stage.bot, "ana")[-1])
    assert cards(stage.bot, stage.bot.slack.channel("general")) == []


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
    first, by_email, second = stage.io.asked("POST", "/v2/incidents")
    assert [r["incident_role_id"] for r in first.body["incident_role_assignments"]] == ["reporter", "lead"]
    assert set(by_email.body["incident_role_assignments"][1]["assignee"]) == {"email"}
    assert [r["incident_role_id"] for r in second.body["incident_role_assignments"]] == ["reporter"]
    assert first.body["idempotency_key"] == second.body["idempotency_key"]
    said = f"<@{darius}> could not be given a role"
    assert said in words(view)
    general = stage.bot.slack.channel("general")
    await stage.until(lambda: cards(stage.bot, general))
    assert said in words(cards(stage.bot, general)[0])


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


async def test_what_starts_in_triage_is_created_there_and_its_acceptance_says_so(stage: Stage) -> None:
    view = await stage.bot.pick_shortcut("ana", alert(stage))
    await stage.bot.fill("ana", view, severity_id=chosen("major"), status=radio("triage"))
    assert (await stage.bot.submit("ana", view)).ok
    view = await stage.filled("triage search may be slow")
    assert (await stage.bot.submit("ana", view)).ok
    ((first,), (second,)) = (stage.io.asked("POST", f"/v{number}/incidents") for number in (1, 2))
    assert (first.body["status"], second.body["incident_status_id"]) == ("triage", "triage")
    general = stage.bot.slack.channel("general")
    answer = await typed_verb(stage.bot, "ana", general, "/incident accept INC-2 critical it is down")
    assert "Investigating (was Triage)" in answer
    (update,) = stage.io.asked("POST", "/v2/incident_updates")
    assert update.body["message"].startswith("Accepted.\n\nit is down")


async def test_what_is_accepted_at_incident_io_itself_is_announced_in_slack_once(stage: Stage) -> None:
    view = await stage.filled("triage checkout may be slow")
    assert (await stage.bot.submit("ana", view)).ok
    await stage.until(lambda: stage.io.account.incidents)
    stage.open_channel("inc-1-checkout-may-be-slow", "ana")
    await stage.bot.app.settled()
    incidents = stage.bot.slack.channel("incidents")
    assert cards(stage.bot, incidents) == []
    (incident,) = stage.io.account.incidents
    incident["incident_status"] = next(s for s in stage.io.account.statuses if s["category"] == "live")
    for _ in range(2):
        await stage.bot.app.workflows.watching.poll()
        await stage.bot.app.settled()
    (card,) = cards(stage.bot, incidents)
    assert "Investigating" in words(card)


RULES = """
[[announcements]]
severities = ["Critical"]
channels = ["C0ALERTS02"]
invite = ["@oncall"]
"""


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_rule_holds_where_incident_io_opens_the_channel_also_for_what_is_raised_there(
    tmp_path: Path, at_once: bool
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with staged(tmp_path / "data", tocsin_config=config) as stage:
        view = await stage.filled()
        await stage.bot.fill("ana", view, severity_id=chosen("critical" if at_once else "major"))
        assert (await stage.bot.submit("ana", view)).ok
        channel = stage.open_channel("inc-1", "ana")
        here = stage.bot.workspace.state.channels[channel]
        here.members.append(stage.bot.app.registry.installed[0].bot_user_id)
        await settled(stage.bot)
        assert (stage.bot.slack.person("darius") in here.members) is at_once
        critical = next(one for one in stage.io.account.severities if one["name"] == "Critical")
        stage.io.account.incidents[-1] |= {"severity": critical, "updated_at": stage.io.account.now()}
        await stage.bot.app.workflows.watching.poll()
        await settled(stage.bot)
        assert stage.bot.slack.person("darius") in here.members
        announced = [words(card) for card in cards(stage.bot, stage.bot.slack.channel("alerts"))]
        assert ["Critical" in one for one in announced if "INC-1 " in one] == [True]


async def test_the_channel_that_incident_io_opened_is_nudged_about_what_is_missing(tmp_path: Path) -> None:
    config, passed = tmp_path / "tocsin.toml", timedelta()
    config.write_text('[[nudges.rules]]\nwhen = "no_lead"\nafter = "10 minutes"\n')
    async with staged(
        tmp_path / "data", clock=lambda: datetime.now(UTC) + passed, tocsin_config=config
    ) as stage:
        assert (await stage.bot.submit("ana", await stage.filled())).ok
        channel = stage.open_channel("inc-1", "ana")
        await settled(stage.bot)
        await stage.bot.app.workflows.watching.poll()
        passed = timedelta(minutes=11)
        await stage.bot.app.workflows.nudger.nudge_due()
        assert [card for card in cards(stage.bot, channel) if "has no lead" in words(card)]
