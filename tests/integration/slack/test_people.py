"""Who may declare, over the wire: what is known, what is asked, and what a silent Slack changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bot import RunningBot, chosen, ticked
from support.readings import deliver, how_many, newest, pressed, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import Person, Role, View

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[permissions]
private = ["S0ONCALL01"]
"""
UNCHECKED = "could not be checked: Slack did not say who they are"
numbers = iter(range(1, 1000))


def newcomer(bot: RunningBot, role: Role = "member", **more: Any) -> str:
    """Somebody who came after the bot was started: it knows nothing of them."""
    number = next(numbers)
    person = Person(f"U0NEW{number:05}", f"new{number}", f"New {number}", "", role, **more)
    bot.workspace.state.save(person)
    bot.workspace.channel_by_name("general").members.append(person.id)
    return person.id


async def opened(bot: RunningBot, person: str, text: str = "checkout is slow") -> View:
    so_far = bot.opened_so_far
    general = bot.slack.channel("general")
    assert (await bot.workspace.command(person, general, f"/incident {text}")).ok
    await bot.workspace.heard("views.open", so_far + 1)
    view = bot.workspace.stack(person)[-1]
    bot.workspace.type_into(person, view.id, "severity_id", "severity_id", chosen("major"))
    return view


async def kept_private(bot: RunningBot, person: str, view: View) -> None:
    await pressed(bot, view, "more_fields", "more_fields")
    bot.workspace.type_into(person, view.id, "visibility", "visibility", ticked("private"))


async def verbs_of_the_newest(bot: RunningBot) -> list[str]:
    return [entry.verb for entry in await bot.backend.timeline((await newest(bot)).id)]


async def test_who_is_not_known_yet_is_asked_for_after_the_form_opened_and_once(bot: RunningBot) -> None:
    person = newcomer(bot)
    view = await opened(bot, person)
    await bot.workspace.heard("users.info")
    assert (await bot.workspace.submit(person, view.id)).ok
    await settled(bot)
    await opened(bot, person, "again")
    asked = [call.method for call in bot.calls()]
    assert asked.count("users.info") == 1
    assert asked.index("views.open") < asked.index("users.info")
    assert UNCHECKED not in await verbs_of_the_newest(bot)


@pytest.mark.parametrize(
    ("role", "more", "said"),
    [
        ("guest", {}, "Guests of this workspace may not declare"),
        ("single_channel_guest", {}, "Guests of this workspace may not declare"),
        ("member", {"team_id": "T0ELSEWHERE"}, "People from another organization may not declare"),
        ("member", {"is_bot": True}, "Bots may not declare"),
    ],
)
async def test_who_may_not_declare_is_told_in_the_form_where_everything_stays(
    bot: RunningBot, role: Role, more: dict[str, Any], said: str
) -> None:
    before, person = await how_many(bot), newcomer(bot, role, **more)
    ana = await opened(bot, bot.slack.person("ana"))
    somebody = bot.workspace.person(ana.user)
    payload = bot.workspace.payloads.submission(bot.slack.app, somebody, ana, "1.2.abc", [])
    payload["user"] = payload["user"] | {"id": person, "team_id": bot.workspace.state.team.id}
    answer = await deliver(bot, "interactive", payload)
    assert answer["response_action"] == "errors"
    assert said in answer["errors"]["name"]
    assert await how_many(bot) == before


async def test_a_guest_who_is_known_reads_why_instead_of_a_form_from_a_shortcut(bot: RunningBot) -> None:
    so_far, gus = bot.opened_so_far, bot.slack.person("gus")
    assert (await bot.workspace.global_shortcut(gus, "declare")).ok
    await bot.workspace.heard("views.open", so_far + 1)
    view = bot.workspace.stack(gus)[-1]
    assert "Ask a member of the workspace to declare it" in words(view)
    assert "submit" not in view.payload


async def test_while_slack_says_nothing_of_them_a_public_incident_is_declared_and_that_is_noted(
    bot: RunningBot,
) -> None:
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(3)))
    person = newcomer(bot)
    view = await opened(bot, person)
    assert (await bot.workspace.submit(person, view.id)).ok
    await settled(bot)
    assert UNCHECKED in await verbs_of_the_newest(bot)
    bot.workspace.faults.clear()


async def test_while_slack_says_nothing_of_them_a_private_incident_is_refused_and_the_form_stays(
    bot: RunningBot,
) -> None:
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(5)))
    before, person = await how_many(bot), newcomer(bot)
    view = await opened(bot, person)
    await kept_private(bot, person, view)
    refused = await bot.workspace.submit(person, view.id)
    assert "Slack could not be asked whether you may declare private incidents" in refused.errors["name"]
    assert await how_many(bot) == before
    bot.workspace.faults.clear()


async def test_a_slack_that_takes_long_over_a_person_delays_no_declaration_beyond_its_patience(
    bot: RunningBot,
) -> None:
    never = asyncio.Event()
    bot.workspace.faults.plan("users.info", Fault(until=never))
    person = newcomer(bot)
    view = await opened(bot, person)
    assert (await bot.workspace.submit(person, view.id)).ok
    answered = [r for r in bot.workspace.requests if r.method == "view_submission"][-1]
    assert answered.took is not None
    assert answered.took < 2.5
    never.set()
    await settled(bot)
    assert UNCHECKED in await verbs_of_the_newest(bot)


async def test_private_incidents_are_for_the_groups_that_the_rules_name(bot: RunningBot) -> None:
    before = await how_many(bot)
    ana, chloe = bot.slack.person("ana"), bot.slack.person("chloe")
    view = await opened(bot, ana)
    await kept_private(bot, ana, view)
    refused = await bot.workspace.submit(ana, view.id)
    assert refused.errors["name"] == (
        "Only members of @oncall may declare private incidents here. Ask one of them."
    )
    view = await opened(bot, chloe)
    await kept_private(bot, chloe, view)
    assert (await bot.workspace.submit(chloe, view.id)).ok
    await settled(bot)
    assert await how_many(bot) == before + 1
    assert (await newest(bot)).is_private
    assert len(bot.calls("usergroups.users.list")) <= 1


async def test_a_workspace_of_twenty_thousand_is_not_listed_for_a_declaration(bot: RunningBot) -> None:
    for _ in range(20_000):
        bot.workspace.state.people[f"U0MANY{next(numbers_of_many):05}"] = MANY
    person = newcomer(bot)
    view = await opened(bot, person)
    await bot.workspace.heard("users.info")
    assert (await bot.workspace.submit(person, view.id)).ok
    await settled(bot)
    asked = [call.method for call in bot.calls()]
    assert not {"users.list", "conversations.members", "conversations.list"} & set(asked)
    assert asked.count("users.info") == 1
    assert told(bot, "ana") == []


MANY = Person("U0MANY", "many", "Many", "")
numbers_of_many = iter(range(20_000))
