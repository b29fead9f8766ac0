"""Nobody is given what they cannot take on: a bot, a deactivated account, a stranger, somebody unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from support.beginning import declared_before
from support.bot import RunningBot, picked, ticked, typed
from support.errands import opened_by, sent, typed_verb
from support.readings import deliver, how_many, newest, settled, told

from slack_emulator.faults import Fault
from slack_emulator.models import Person, View
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNFIT = {
    "U0RAJPATEL": "Raj Patel’s account is deactivated, so they cannot take this on.",
    "U0PAGERBOT": "Pager is a bot, so they cannot take this on.",
    "U0STRANGER": "Sam Else is from another organization, so they cannot take this on.",
    "U0NOBODY99": "Slack knows no such person, so they cannot take this on.",
}
PEOPLE = (
    Person("U0RAJPATEL", "raj", "Raj Patel", "", deleted=True),
    Person("U0PAGERBOT", "pager", "Pager", "", is_bot=True),
    Person("U0STRANGER", "sam", "Sam Else", "", team_id="T0ELSEWHERE"),
    Person("U0LATER001", "later", "Later Lee", ""),
)
each = pytest.mark.parametrize(("who", "why"), UNFIT.items())


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def crowd(bot: RunningBot) -> AsyncIterator[None]:
    for person in PEOPLE:
        bot.workspace.state.save(person)
    yield
    bot.workspace.faults.clear()


def deactivate(bot: RunningBot, person: str, *, again: bool = False) -> None:
    """An admin deactivates an account, or has it active `again`."""
    people = bot.workspace.state.people
    people[person] = replace(people[person], deleted=not again)


async def untouched(bot: RunningBot, incident: Incident) -> bool:
    """Nothing was promised: no role, nothing to do, no word of it in the timeline."""
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found == incident and not await bot.app.workflows.follow_ups.of(incident.id)


@each
@pytest.mark.parametrize("verb", ["lead", "role communications", "action grow it", "follow-up look at it"])
async def test_a_verb_refuses_in_words_and_promises_nothing(
    bot: RunningBot, who: str, why: str, verb: str
) -> None:
    incident = await declared_before(bot, "api is down")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident {verb} <@{who}>")
    assert why in said
    assert who not in said
    assert await untouched(bot, incident)


async def answered(bot: RunningBot, view: View, field: str, who: str, **fields: Any) -> dict[str, Any]:
    """The form sent with somebody in a people select, whom Slack's own menu may still offer."""
    await bot.fill("ana", view, **fields)
    somebody = bot.workspace.person(view.user)
    payload = bot.workspace.payloads.submission(bot.slack.app, somebody, view, "1.2.abc", [])
    payload["view"]["state"]["values"].setdefault(field, {})[field] = picked(who)
    return await deliver(bot, "interactive", payload)


@each
@pytest.mark.parametrize(
    ("verb", "field"), [("lead", "incident_role_assignments.lead"), ("action", "assignee")]
)
async def test_a_form_says_so_under_the_person_and_keeps_the_rest(
    bot: RunningBot, who: str, why: str, verb: str, field: str
) -> None:
    incident = await declared_before(bot, "api is down")
    view = await opened_by(bot, "ana", incident.slack_channel_id, f"/incident {verb}")
    filled = {"text": typed("grow it")} if verb == "action" else {}
    answer = await answered(bot, view, field, who, **filled)
    assert answer["response_action"] == "errors"
    assert list(answer["errors"]) == [field]
    assert why in answer["errors"][field]
    assert await untouched(bot, incident)


@each
async def test_the_declare_form_says_so_under_the_role_and_nothing_is_declared(
    bot: RunningBot, who: str, why: str
) -> None:
    before = await how_many(bot)
    view = await bot.type_command("ana", "general", "/incident api is down")
    severity = {"type": "static_select", "selected_option": {"value": "major"}}
    answer = await answered(bot, view, "incident_role_assignments.lead", who, severity_id=severity)
    assert why in answer["errors"]["incident_role_assignments.lead"]
    assert await how_many(bot) == before


@pytest.mark.parametrize(("who", "why"), [(one, why) for one, why in UNFIT.items() if "knows no" not in why])
async def test_a_workflows_step_declares_nothing_and_the_workflow_alone_is_told(
    bot: RunningBot, who: str, why: str
) -> None:
    before = await how_many(bot)
    given = {"name": "api is down", "reporter": bot.slack.person("ana"), "severity": "major", "lead": who}
    run = bot.workspace.steps.begin(bot.slack.app, "declare_incident", given)
    await run.ended.wait()
    await bot.app.settled()
    assert run.state == "failed"
    assert why in (run.error or "")
    assert told(bot, "ana") == []
    assert await how_many(bot) == before


async def silent(bot: RunningBot) -> asyncio.Event:
    """Slack says nothing of anybody until this is set."""
    never = asyncio.Event()
    bot.workspace.faults.plan("users.info", *(Fault(until=never) for _ in range(20)))
    return never


@pytest.mark.parametrize("verb", ["lead", "action grow it"])
async def test_while_slack_does_not_say_who_it_is_a_public_incident_takes_them(
    bot: RunningBot, verb: str
) -> None:
    incident = await declared_before(bot, "api is down")
    never, who = await silent(bot), f"U0SILENT{len(verb):02}"
    said = await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident {verb} <@{who}>")
    assert incident.reference in said
    answered = [r for r in bot.workspace.requests if r.method == "slash_commands"][-1]
    assert answered.took is not None
    assert answered.took < 2.5
    never.set()


@pytest.mark.parametrize("verb", ["lead", "action grow it"])
async def test_while_slack_does_not_say_who_it_is_a_private_incident_lets_nobody_in(
    bot: RunningBot, verb: str
) -> None:
    incident = await declared_before(bot, "a break-in", visibility=ticked("private"))
    never = await silent(bot)
    said = await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident {verb} <@U0UNHEARD1>")
    assert "The incident is private, and Slack could not be asked who that person is." in said
    never.set()
    assert await untouched(bot, incident)


@pytest.mark.parametrize("verb", ["lead", "action grow it"])
async def test_somebody_deactivated_a_moment_ago_is_refused(bot: RunningBot, verb: str) -> None:
    incident, priya = await declared_before(bot, "api is down"), bot.slack.person("priya")
    deactivate(bot, priya)
    said = await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident {verb} <@{priya}>")
    deactivate(bot, priya, again=True)
    assert "Priya Raman’s account is deactivated" in said
    assert await untouched(bot, incident)


async def test_a_declaration_asks_slack_nothing_about_a_lead_whom_it_told_of_within_the_hour(
    bot: RunningBot,
) -> None:
    await declared_before(bot, "api is down", incident_role_assignments__lead=picked(bot.slack.person("ben")))
    asked = [call.args["user"] for call in bot.calls("users.info")]
    assert bot.slack.person("ben") not in asked


async def test_a_guest_may_be_given_a_role_as_before(bot: RunningBot) -> None:
    incident = await declared_before(bot, "api is down")
    gus = bot.slack.person("gus")
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident lead <@{gus}>")
    await settled(bot)
    found = await newest(bot)
    assert found.lead is not None
    assert found.lead.slack_user_id == gus


async def test_who_was_deactivated_since_may_be_left_in_a_form_whose_other_roles_change(
    bot: RunningBot,
) -> None:
    incident = await declared_before(bot, "api is down")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident lead <@U0LATER001>")
    deactivate(bot, "U0LATER001")
    view = await opened_by(bot, "ana", here, "/incident role")
    await sent(bot, "ana", view, incident_role_assignments__communications=picked(bot.slack.person("ben")))
    await settled(bot)
    held = {a.role.id: a.assignee and a.assignee.name for a in (await newest(bot)).incident_role_assignments}
    assert (held["lead"], held["communications"]) == ("Later Lee", "Ben Okafor")
