"""Which person a typed name means: a whole name that one person has, else it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.beginning import declared_before
from support.bot import RunningBot
from support.errands import opened_by, typed_verb
from support.readings import settled, value, words
from support.slash import slash

from slack_emulator.faults import Fault
from slack_emulator.models import Person
from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAN, DAN_KIM = Person("U0DANROSSI", "dan", "Daniela Rossi", ""), Person("U0DANKIM01", "dkim", "Dan Kim", "")
RAJ_PATEL = Person("U0RAJPATEL", "raj", "Raj Patel", "", deleted=True)
RAJ_KUMAR = Person("U0RAJKUMAR", "rkumar", "Raj Kumar", "")
ZOE, ZOE_TOO = Person("U0ZOE00001", "zoe", "Zoë Lind", ""), Person("U0ZOE00002", "zl2", "Zoe Lind", "")
MIA = Person("U0MIA00001", "mia.w", "Mia Weiß", "", display_name="Mimi (she/her)")
TED, TED_TOO = (
    Person("U0TED00001", "ted", "Edward Low", "", deleted=True),
    Person("U0TED00002", "tb", "T B", "", display_name="Ted"),
)
CROWD = (DAN, DAN_KIM, RAJ_PATEL, RAJ_KUMAR, ZOE, ZOE_TOO, MIA, TED, TED_TOO)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def crowd(bot: RunningBot) -> AsyncIterator[None]:
    """People who came after the bot was started: it knows nothing of them."""
    for person in CROWD:
        bot.workspace.state.save(person)
    yield
    bot.workspace.faults.clear()


async def now(bot: RunningBot, incident: Incident) -> Incident:
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return found


async def lead(bot: RunningBot, incident: Incident) -> str | None:
    found = (await now(bot, incident)).lead
    return found.slack_user_id if found else None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("@dan", DAN),
        ("dan", DAN),
        ("@DAN", DAN),
        ("＠ｄａｎ", DAN),
        ("“@dan”.", DAN),
        ("*@dan*", DAN),
        ("daniela\u00a0rossi", DAN),
        ("dkim", DAN_KIM),
        ("Dan  Kim", DAN_KIM),
        ("@rkumar", RAJ_KUMAR),
        ("@mia.w", MIA),
        ("@Mimi (she/her)", MIA),
        ("MIA WEISS", MIA),
        ("zoë lind", ZOE),
        ("<@U0DANKIM01>", DAN_KIM),
        ("<@U0DANKIM01|dkim>, please", DAN_KIM),
        ("to <@U0DANKIM01|dkim>.", DAN_KIM),
    ],
)
async def test_a_whole_name_that_one_person_has_means_that_person(
    bot: RunningBot, typed: str, meant: Person
) -> None:
    incident = await declared_before(bot, "api is down")
    # A name in small letters is known to be one where the bot knows who has it.
    await asyncio.gather(*(desk.people.greet() for desk in bot.app.contexts.open))
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident lead {typed}")
    assert await lead(bot, incident) == meant.id


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("@kim", "“@kim” is nobody"),
        ("rossi", "“rossi” is nobody"),
        ("da", "“da” is nobody"),
        ("@mimi", "“@mimi” is nobody"),
        ("zoe lind", "Zoë Lind (@zoe) or Zoe Lind (@zl2)"),
        ("@ted", "Edward Low (@ted), whose account is deactivated"),
        ("<@U0DANKIM01> and <@U0DANROSSI>", "may be meant in several ways"),
        ("not <@U0DANKIM01>", "“not @Dan Kim” may be meant in several ways"),
        ("<!subteam^S0ONCALL01>", "“@oncall” is nobody"),
        ("@", "is nobody"),
    ],
)
async def test_what_is_not_certain_is_asked_and_nobody_is_chosen(
    bot: RunningBot, typed: str, said: str
) -> None:
    incident = await declared_before(bot, "api is down")
    # A name in small letters is known to be one where the bot knows who has it.
    await asyncio.gather(*(desk.people.greet() for desk in bot.app.contexts.open))
    view = await opened_by(bot, "ana", incident.slack_channel_id, f"/incident lead {typed}")
    assert said in words(view)
    assert "S0ONCALL" not in words(view)
    assert value(view, "incident_role_assignments.lead") is None
    assert await lead(bot, incident) is None


async def test_a_deactivated_account_is_refused_by_name_and_no_namesake_takes_its_place(
    bot: RunningBot,
) -> None:
    incident = await declared_before(bot, "api is down")
    said = await typed_verb(bot, "ana", incident.slack_channel_id, "/incident lead @raj")
    assert "Raj Patel’s account is deactivated, so they cannot take this on." in said
    assert await lead(bot, incident) is None


async def test_a_workspace_too_large_to_list_is_not_guessed_in(bot: RunningBot) -> None:
    many = [Person(f"U0MANY{n:05}", f"many{n}", f"Many {n}", "") for n in range(1000)]
    for person in many:
        bot.workspace.state.people[person.id] = person
    try:
        incident = await declared_before(bot, "api is down")
        view = (await slash(bot, "ana", incident.slack_channel_id, "lead @dan")).view
        assert "may be Daniela Rossi (@dan), or somebody whom Tocsin does not know yet" in words(view)
        assert len(bot.calls("users.list")) == 1
        assert await lead(bot, incident) is None
    finally:
        for person in many:
            del bot.workspace.state.people[person.id]


async def test_while_slack_does_not_say_who_is_there_the_form_asks_in_time(bot: RunningBot) -> None:
    incident, never = await declared_before(bot, "api is down"), asyncio.Event()
    bot.workspace.faults.plan("users.list", Fault(until=never))
    view = (await slash(bot, "ana", incident.slack_channel_id, "lead @dkim")).view
    assert "“@dkim”" in words(view)
    answered = [r for r in bot.workspace.requests if r.method == "slash_commands"][-1]
    assert answered.took is not None
    assert answered.took < 2.5
    never.set()
    assert await lead(bot, incident) is None


@pytest.mark.parametrize(
    ("typed", "text", "by"),
    [
        ("grow the disk <@U0DANKIM01|dkim>", "grow the disk", DAN_KIM),
        ("<@U0DANKIM01|dkim> grow the disk", "grow the disk", DAN_KIM),
        ("<@U0DANKIM01>: grow the disk", "grow the disk", DAN_KIM),
        ("<@U0DANKIM01> ask <@U0DANROSSI> for a disk", "ask @Daniela Rossi for a disk", DAN_KIM),
        ("go through it with <@U0DANKIM01>", "go through it with @Dan Kim", DAN_KIM),
        ("ask <@U0DANKIM01|dkim> about disks", "ask @Dan Kim about disks", DAN_KIM),
        ("@dkim grow the disk", "grow the disk", DAN_KIM),
        ("@Dan Kim: grow the disk", "grow the disk", DAN_KIM),
        ("grow the disk @dkim", "grow the disk", DAN_KIM),
        ("tell <!subteam^S0ONCALL01> in <#C0GENERAL1>", "tell @oncall in #general", None),
        ("tell <#G0LEADS005>", "tell a channel", None),
        ("write to ops@lumen.example", "write to ops@lumen.example", None),
        ("check vector<int> & <b>", "check vector<int> & <b>", None),
    ],
)
async def test_by_whom_something_is_done_stands_at_either_end_and_other_names_are_words(
    bot: RunningBot, typed: str, text: str, by: Person | None
) -> None:
    incident = await declared_before(bot, "the disk is full")
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident action {typed}")
    await settled(bot)
    (added,) = await bot.app.workflows.follow_ups.of(incident.id)
    assert added.text == text
    assert (added.assignee.slack_user_id if added.assignee else None) == (by.id if by else None)
    assert added.assignee is None or added.assignee.name == by.real_name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("@nobody grow the disk", "@nobody grow the disk"),
        ("@zoe lind grow the disk", "@zoe lind grow the disk"),
        ("<@U0DANKIM01> and <@U0DANROSSI> grow the disk", "@Dan Kim and @Daniela Rossi grow the disk"),
        ("grow <@U0DANKIM01> or <@U0DANROSSI>", "grow @Dan Kim or @Daniela Rossi"),
    ],
)
async def test_by_whom_is_asked_where_it_is_not_certain_and_what_was_typed_is_in_the_form(
    bot: RunningBot, typed: str, kept: str
) -> None:
    incident = await declared_before(bot, "the disk is full")
    view = (await slash(bot, "ana", incident.slack_channel_id, f"action {typed}")).view
    assert view is not None
    assert value(view, "text") == kept
    assert value(view, "assignee") is None
    assert await bot.app.workflows.follow_ups.of(incident.id) == []
