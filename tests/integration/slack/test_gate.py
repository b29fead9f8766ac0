"""Nothing of an incident goes where it may not be read, however long Slack or a refusal kept it back."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.typing import EventDict
from support.beginning import declared_before
from support.bot import RunningBot, chosen, picked, ticked
from support.errands import declared, opened_by, press_card, sent, typed_verb, whispers
from support.managing import asked, verbs
from support.readings import cards, deliver, last_delivery, newest, own_channel, settled, told, words

from slack_emulator.faults import Fault
from slack_emulator.models import Channel, Person, Request, View
from tocsin.incidents.model import Incident
from tocsin.workflows.ports import loop_time

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[announcements]]
severities = ["critical"]
channels = ["C0HAULERS4"]
"""
SECRET = "umbrella"
numbers = itertools.count()
STANDINGS: dict[str, dict[str, Any]] = {
    "guest": {"role": "guest"},
    "single-channel guest": {"role": "single_channel_guest"},
    "stranger": {"team_id": "T0ELSEWHERE"},
    "bot": {"is_bot": True},
    "deactivated": {"deleted": True},
}


def somebody(bot: RunningBot, **more: Any) -> Person:
    """A person of whom the bot knows nothing yet."""
    number = next(numbers)
    person = Person(f"U0GATE{number:04}", f"gate{number}", f"Gate {number}", "", **more)
    bot.workspace.state.save(person)
    bot.workspace.channel_by_name("general").members.append(person.id)
    return person


async def commanded(bot: RunningBot, person: Person, text: str) -> str:
    """What Slack is answered to a command of a person, whoever they are; each has a trigger of its own."""
    room = bot.workspace.channel_by_name("general")
    app, trigger = bot.slack.app, f"1.2.{next(numbers)}"
    url = bot.workspace.response_urls.mint(app, person.id, room.id)
    payload = bot.workspace.payloads.command(app, person, room, "/incident", text, trigger, url)
    return str((await deliver(bot, "slash_commands", payload)).get("text", ""))


async def filled(bot: RunningBot, name: str, **fields: Any) -> View:
    """The declare form, filled in, once the bot knows who reads #general."""
    view = await bot.type_command("ana", "general", f"/incident {name}")
    await bot.fill("ana", view, severity_id=chosen("major"), **fields)
    return view


async def made_private(bot: RunningBot, person: str, incident: Incident) -> None:
    """`/incident private`, sent from #general; what follows goes on."""
    general = bot.slack.channel("general")
    form = await opened_by(bot, person, general, f"/incident private {incident.reference}")
    await sent(bot, person, form)


def held(bot: RunningBot, method: str, times: int = 1, **fault: Any) -> asyncio.Event:
    """The next calls of a method are not answered before the event is set, and then with the fault."""
    goes_on = asyncio.Event()
    bot.workspace.faults.plan(method, *(Fault(until=goes_on, **fault) for _ in range(times)))
    return goes_on


def is_read_by_all(bot: RunningBot, call: Request) -> bool:
    where = str(call.args.get("channel") or call.args.get("channel_id") or "")
    channel = bot.workspace.state.channels.get(where)
    made = call.method == "conversations.create" and not call.args.get("is_private")
    return made or (channel is not None and channel.kind == "public")


def read_by_all(bot: RunningBot, since: int = 0) -> str:
    """All that the bot has sent to where everybody in the workspace reads it."""
    return json.dumps([call.args for call in bot.calls()[since:] if is_read_by_all(bot, call)], default=str)


def made_public(bot: RunningBot, incident: Incident) -> Channel:
    """What an owner of a workspace may do to any private channel."""
    channel = own_channel(bot, incident)
    channel.kind = "public"
    return channel


@contextmanager
def later(bot: RunningBot, seconds: float) -> Iterator[None]:
    """What the bot knows of people and channels is so many seconds older inside."""
    (desk,) = bot.app.contexts.open
    desk.people._now = desk.shared_channels._now = lambda: loop_time() + seconds
    yield
    desk.people._now = desk.shared_channels._now = loop_time


async def private_one(bot: RunningBot, name: str, **fields: Any) -> Incident:
    """A private incident of Ana's, with its channel."""
    view = await filled(bot, name, visibility=ticked("private"), **fields)
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    return await newest(bot)


# who is shown an incident in a form


@pytest.mark.parametrize("standing", STANDINGS)
async def test_no_form_that_shows_an_incident_opens_for_who_may_not_read_it(
    bot: RunningBot, standing: str
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    opened = bot.opened_so_far
    for verb in (
        "update",
        "summary",
        "close",
        "follow-up",
        "action",
        "role",
        "note",
        "rename",
        "time",
        "private",
        "private",
        "fields",
    ):
        person = somebody(bot, **STANDINGS[standing])
        answer = await commanded(bot, person, f"{verb} {incident.reference}")
        assert "may not" in answer or "does not serve this workspace" in answer, verb
    await settled(bot)
    assert bot.opened_so_far == opened


async def test_a_guest_known_for_longer_than_five_minutes_is_still_a_guest(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    general, opened = bot.slack.channel("general"), bot.opened_so_far
    with later(bot, 305):
        answer = await typed_verb(bot, "gus", general, f"/incident summary {incident.reference}")
    assert "Guests of this workspace may not" in answer
    assert bot.opened_so_far == opened


async def test_whom_slack_says_nothing_of_is_shown_nothing_of_an_incident(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(4)))
    answer = await commanded(bot, somebody(bot), f"summary {incident.reference}")
    assert "Slack could not be asked whether you may" in answer
    bot.workspace.faults.clear()


async def test_the_declare_form_opens_for_whom_slack_says_nothing_of(bot: RunningBot) -> None:
    bot.workspace.faults.plan("users.info", *(Fault(status=503) for _ in range(4)))
    opened = bot.opened_so_far
    assert await commanded(bot, somebody(bot), "checkout is slow") == ""
    await bot.workspace.heard("views.open", opened + 1)
    bot.workspace.faults.clear()


# what waited its turn, or is sent again


@pytest.mark.parametrize("fault", [{"status": 500}, {"retry_after": 2}], ids=["failing", "limited"])
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
async def test_an_export_that_is_sent_again_is_not_sent_to_who_may_not_see_the_incident_any_more(
    bot: RunningBot, method: str, fault: dict[str, Any]
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    general, goes_on = bot.slack.channel("general"), held(bot, method, **fault)
    asked = asyncio.create_task(
        typed_verb(bot, "ben", general, f"/incident export {incident.reference} json")
    )
    await bot.workspace.begun(method)
    await made_private(bot, "ana", incident)
    goes_on.set()
    await asked
    await settled(bot)
    assert not any(message.files for message in told(bot, "ben"))
    assert "There is no such incident, or it is not yours to see" in " ".join(
        map(words, [*told(bot, "ben"), *whispers(bot, "ben", general)])
    )


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"retry_after": 2}, {"status": 500, "after_effect": True}],
    ids=["failing", "limited", "lost"],
)
async def test_made_private_before_its_channel_is_there_it_gets_a_private_one_and_no_other(
    bot: RunningBot, fault: dict[str, Any]
) -> None:
    goes_on = held(bot, "conversations.create", **fault)
    view = await filled(bot, f"the {SECRET} leaks")
    assert (await bot.submit("ana", view)).ok
    await bot.workspace.begun("conversations.create")
    incident = await newest(bot)
    await made_private(bot, "ana", incident)
    sent_so_far = len(bot.calls())
    goes_on.set()
    await settled(bot)
    incident = await newest(bot)
    assert own_channel(bot, incident).kind == "private"
    assert set(own_channel(bot, incident).members) == {bot.slack.person("ana"), bot.slack.app.bot_user_id}
    left = [c for c in bot.workspace.state.channels.values() if SECRET in c.name and c.kind == "public"]
    assert all(channel.archived for channel in left)
    assert SECRET not in read_by_all(bot, sent_so_far)


async def test_made_private_while_slack_makes_its_channel_it_moves_into_a_private_one(
    bot: RunningBot,
) -> None:
    goes_on = held(bot, "conversations.create", after_effect=True)
    view = await filled(bot, f"the {SECRET} leaks")
    assert (await bot.submit("ana", view)).ok
    await bot.workspace.begun("conversations.create")
    await made_private(bot, "ana", await newest(bot))
    sent_so_far = len(bot.calls())
    goes_on.set()
    await settled(bot)
    incident = await newest(bot)
    assert own_channel(bot, incident).kind == "private"
    (left,) = (
        c for c in bot.workspace.state.channels.values() if c.name.startswith("inc-") and c.kind == "public"
    )
    assert left.archived
    assert cards(bot, left.id) == []
    assert SECRET not in read_by_all(bot, sent_so_far)


async def test_renamed_and_made_private_while_its_channels_answer_is_lost_it_leaves_that_channel(
    bot: RunningBot,
) -> None:
    goes_on = held(bot, "conversations.create", status=500, after_effect=True)
    view = await filled(bot, f"the {SECRET} leaks")
    assert (await bot.submit("ana", view)).ok
    await bot.workspace.begun("conversations.create")
    await asked(bot, await newest(bot), "ana", name="the roof leaks", visibility="private")
    goes_on.set()
    await settled(bot)
    assert own_channel(bot, await newest(bot)).kind == "private"
    (left,) = (c for c in bot.workspace.state.channels.values() if SECRET in c.name and c.kind == "public")
    assert left.archived


async def test_renamed_while_its_channels_answer_is_lost_it_has_one_channel_by_its_new_name(
    bot: RunningBot,
) -> None:
    goes_on = held(bot, "conversations.create", status=500, after_effect=True)
    view, before = await filled(bot, f"the {SECRET} leaks"), len(bot.workspace.state.channels)
    assert (await bot.submit("ana", view)).ok
    await bot.workspace.begun("conversations.create")
    await asked(bot, await newest(bot), "ana", name="the roof leaks")
    goes_on.set()
    await settled(bot)
    await verbs(bot).watching.poll()
    incident = await newest(bot)
    assert own_channel(bot, incident).name == f"{incident.reference.lower()}-the-roof-leaks"
    assert len(bot.workspace.state.channels) == before + 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"retry_after": 2}], ids=["failing", "limited"])
async def test_cards_that_wait_are_not_posted_once_the_incident_is_private(
    bot: RunningBot, fault: dict[str, Any]
) -> None:
    goes_on = held(bot, "chat.postMessage", 3, **fault)
    view = await filled(bot, f"the {SECRET} leaks")
    assert (await bot.submit("ana", view)).ok
    await bot.workspace.begun("chat.postMessage", 3)
    await made_private(bot, "ana", await newest(bot))
    sent_so_far = len(bot.calls())
    goes_on.set()
    await settled(bot)
    assert SECRET not in read_by_all(bot, sent_so_far)
    assert SECRET in " ".join(map(words, told(bot, "ana")))


async def test_an_update_that_waits_is_not_posted_where_it_was_announced_once_it_is_private(
    bot: RunningBot,
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    general = bot.slack.channel("general")
    goes_on = held(bot, "chat.postMessage", 2, retry_after=2)
    asked = asyncio.create_task(
        typed_verb(bot, "ana", general, f"/incident update {incident.reference} it is the {SECRET}")
    )
    await bot.workspace.begun("chat.postMessage", 2)
    await made_private(bot, "ana", incident)
    sent_so_far = len(bot.calls())
    goes_on.set()
    await asked
    await settled(bot)
    assert SECRET not in read_by_all(bot, sent_so_far)


# who reads a private incident's channel


async def test_a_private_channel_that_was_made_public_is_not_written_to_and_two_are_told(
    bot: RunningBot, troubles: list[EventDict]
) -> None:
    incident = await private_one(bot, "keys leaked")
    channel = made_public(bot, incident)
    sent_so_far, room = len(bot.calls()), incident.slack_channel_id
    for text in (f"update the {SECRET}", f"rename the {SECRET}", f"follow-up mend the {SECRET}", "document"):
        await typed_verb(bot, "ana", room, f"/incident {text}")
        await settled(bot)
    assert SECRET not in read_by_all(bot, sent_so_far)
    assert "is not private any more" in " ".join(map(words, told(bot, "ana")))
    alarm, alarms = f"exposed channel {room}", bot.app.resources.alerts
    assert "was made public" in alarms._known[alarm]
    channel.kind = "private"
    await typed_verb(bot, "ana", room, f"/incident update the {SECRET} again")
    await settled(bot)
    assert f"the {SECRET} again" in " ".join(map(words, cards(bot, room)))
    assert alarm not in alarms._known
    troubles.clear()


async def test_a_private_channel_that_another_organisation_was_let_into_is_not_written_to(
    bot: RunningBot, troubles: list[EventDict]
) -> None:
    incident = await private_one(bot, "keys leaked")
    stranger = Person("U0XGATE", "x-gate", "Stranger", "")
    bot.workspace.share(incident.slack_channel_id, "T0ELSEWHERE", stranger)
    before = len(cards(bot, incident.slack_channel_id))
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident update the {SECRET}")
    await settled(bot)
    assert len(cards(bot, incident.slack_channel_id)) == before
    troubles.clear()


async def test_who_makes_an_incident_private_without_a_part_in_it_is_not_brought_in(bot: RunningBot) -> None:
    incident = await declared(bot, "keys leaked")
    general = bot.slack.channel("general")
    form = await opened_by(bot, "ben", general, f"/incident private {incident.reference}")
    said = await sent(bot, "ben", form)
    await settled(bot)
    incident = await newest(bot)
    assert bot.slack.person("ben") not in own_channel(bot, incident).members
    assert "not yours to see any more" in said


async def test_who_loses_their_part_in_a_private_incident_is_taken_out_of_its_channel(
    bot: RunningBot,
) -> None:
    incident = await private_one(
        bot, "keys leaked", incident_role_assignments__lead=picked(bot.slack.person("chloe"))
    )
    assert bot.slack.person("chloe") in own_channel(bot, incident).members
    dan = bot.slack.person("darius")
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident lead <@{dan}>")
    await settled(bot)
    members = own_channel(bot, incident).members
    assert (bot.slack.person("chloe") in members, dan in members) == (False, True)


async def test_where_slack_does_not_let_us_take_somebody_out_the_channel_reads_who_still_reads_it(
    bot: RunningBot,
) -> None:
    chloe = bot.slack.person("chloe")
    incident = await private_one(bot, "keys leaked", incident_role_assignments__lead=picked(chloe))
    bot.workspace.faults.plan("conversations.kick", Fault(error="restricted_action"))
    await typed_verb(bot, "ana", incident.slack_channel_id, f"/incident lead <@{bot.slack.person('darius')}>")
    await settled(bot)
    said = " ".join(map(words, cards(bot, incident.slack_channel_id)))
    assert f"<@{chloe}> has no part in this incident any more and still reads this channel" in said


# channels that another organisation reads


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"retry_after": 30}, {"error": "missing_scope"}],
    ids=["failing", "limited", "refused"],
)
async def test_while_slack_does_not_say_who_reads_a_channel_the_reporter_gets_the_card_and_why(
    bot: RunningBot, fault: dict[str, Any]
) -> None:
    made = await bot.workspace.create_channel(bot.slack.person("ana"), f"engineering-{next(numbers)}")
    room = made.channel
    assert room is not None
    bot.workspace.faults.plan("conversations.info", *(Fault(**fault) for _ in range(4)))
    opened = bot.opened_so_far
    assert (await bot.workspace.command(bot.slack.person("ana"), room, "/incident checkout is slow")).ok
    view = await bot.opened_form("ana", since=opened)
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    assert cards(bot, room) == []
    said = " ".join(map(words, told(bot, "ana")))
    assert "Slack does not say just now who reads that channel" in said
    assert (await newest(bot)).reference in said
    bot.workspace.faults.clear()


async def test_an_incident_is_not_announced_in_a_channel_that_another_organisation_reads(
    bot: RunningBot,
) -> None:
    room = bot.slack.channel("haulpartner")
    bot.workspace.share(room, "T0ELSEWHERE", Person("U0XGAT2", "x-gat2", "Stranger", ""))
    with later(bot, 301):
        await declared(bot, "checkout is slow", severity_id=chosen("critical"))
    assert cards(bot, room) == []
    assert "people of another organization read it" in " ".join(map(words, told(bot, "ana")))


async def test_cards_that_arrive_while_the_incident_becomes_private_are_taken_back(bot: RunningBot) -> None:
    goes_on = held(bot, "chat.postMessage", 3, after_effect=True)
    assert (await bot.submit("ana", await filled(bot, f"the {SECRET} leaks"))).ok
    await bot.workspace.begun("chat.postMessage", 3)
    await made_private(bot, "ana", await newest(bot))
    goes_on.set()
    await settled(bot)
    for place in ("general", "incidents"):
        assert SECRET not in " ".join(map(words, cards(bot, bot.slack.channel(place))))


async def test_what_is_to_be_done_in_a_private_incident_is_not_done_from_another_one(bot: RunningBot) -> None:
    hidden, open_one = await private_one(bot, "keys leaked"), await declared(bot, "checkout is slow", "ben")
    rooms = {one.id: one.slack_channel_id for one in (hidden, open_one)}
    await typed_verb(bot, "ana", rooms[hidden.id], f"/incident action mend the {SECRET}")
    await typed_verb(bot, "ben", rooms[open_one.id], "/incident action grow the pool")
    await settled(bot)
    (theirs,) = await bot.backend.follow_ups(hidden.id)  # type: ignore[attr-defined]
    (mine,) = await bot.backend.follow_ups(open_one.id)  # type: ignore[attr-defined]
    await press_card(bot, "ben", cards(bot, rooms[open_one.id])[-1], "complete_follow_up")
    await settled(bot)
    forged = json.dumps(last_delivery(bot, "block_actions")).replace(mine.id, theirs.id)
    forged = forged.replace('"trigger_id": "', '"trigger_id": "1')
    await deliver(bot, "interactive", json.loads(forged))
    await settled(bot)
    said = " ".join(map(words, [*whispers(bot, "ben", rooms[open_one.id]), *told(bot, "ben")]))
    assert SECRET not in said
    (theirs,) = await bot.backend.follow_ups(hidden.id)  # type: ignore[attr-defined]
    assert not theirs.is_done
