"""A change to an incident: where it shows, what is told, and who is first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.bot import RunningBot
from support.held_backend import Held
from support.managing import an_incident, asked, changed, everywhere, order, somebody, verbs
from support.readings import cards, own_channel, settled, told, words

from slack_emulator.faults import Fault
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import TimelineEntry
from tocsin.incidents.requests import FollowUpRequest, IncidentFilter
from tocsin.storage.workflow_engine import fetch_pending
from tocsin.workflows.command import Changed, NotChanged
from tocsin.workflows.followups import AddFollowUpCommand, CompleteFollowUpCommand
from tocsin.workflows.timeline import NoteCommand

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def bot(shared_bot: RunningBot) -> RunningBot:
    return shared_bot


@pytest.fixture
def held(shared_held: Held) -> Held:
    return shared_held


async def test_a_change_shows_on_every_card_and_in_the_channels_topic(bot: RunningBot) -> None:
    incident = await changed(
        bot, await an_incident(bot), "ben", incident_status_id="fixing", severity_id="critical"
    )
    for card in everywhere(bot, incident.slack_channel_id):
        assert "Fixing" in card
        assert "Critical" in card
        assert "Investigating" not in card
    assert own_channel(bot, incident).topic == "Critical · Fixing · checkout is slow"


async def test_a_new_name_renames_the_channel_and_its_bookmark(bot: RunningBot) -> None:
    incident = await changed(bot, await an_incident(bot), "ana", name="Payments fail")
    room = own_channel(bot, incident)
    assert room.name == incident.slack_channel_name == "inc-1-payments-fail"
    assert room.purpose == "INC-1: Payments fail"
    assert [mark["title"] for mark in room.bookmarks] == ["INC-1 Payments fail"]
    assert all("Payments fail" in card for card in everywhere(bot, room.id))


async def test_only_what_looks_different_is_edited(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    bot.workspace.clear()
    await changed(bot, incident, "ana", summary="A lock in the database.")
    assert len(bot.calls("chat.update")) == 3
    assert not bot.calls("conversations.setTopic")
    bot.workspace.clear()
    await changed(bot, incident, "ana", message="Still looking.")
    assert not bot.calls("chat.update")
    assert not bot.calls("bookmarks.edit")


async def test_changes_that_come_together_are_one_edit_of_each_card(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    bot.workspace.clear()
    wanted = [{"severity_id": "critical"}, {"incident_status_id": "fixing"}, {"name": "Payments fail"}]
    asked_for = [order(bot, incident, "ana", **one) for one in wanted]
    outcomes = await asyncio.gather(*(verbs(bot).change(one) for one in asked_for))
    await settled(bot)
    assert all(isinstance(outcome, Changed) for outcome in outcomes)
    assert len(bot.calls("chat.update")) == 3
    for card in everywhere(bot, incident.slack_channel_id):
        assert all(word in card for word in ("Critical", "Fixing", "Payments fail"))


async def test_the_same_rename_typed_twice_in_one_moment_is_told_once(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    both = [order(bot, incident, "ana", name="Payments fail") for _ in range(2)]
    outcomes = await asyncio.gather(*(verbs(bot).change(one) for one in both))
    await settled(bot)
    assert {type(outcome) for outcome in outcomes} == {Changed, NotChanged}
    said = [words(card) for card in cards(bot, incident.slack_channel_id)]
    assert sum("renamed it to Payments fail" in one for one in said) == 1


async def test_the_channel_reads_who_changed_what_and_what_they_said(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await changed(bot, incident, "ben", incident_status_id="fixing", message="Rolling <!channel> back.")
    news = words(cards(bot, incident.slack_channel_id)[-1])
    assert f"<@{bot.slack.person('ben')}>" in news
    assert "set the status from Investigating to Fixing" in news
    assert "Rolling <!channel> back." in news
    assert "Rolling &lt;!channel&gt; back." in cards(bot, incident.slack_channel_id)[-1].text
    announced = cards(bot, bot.slack.channel("incidents"))
    assert announced[-1].thread_ts == announced[0].ts
    assert "Rolling" in words(announced[-1])


async def test_whoever_gets_a_role_is_brought_into_the_channel(bot: RunningBot) -> None:
    incident, chloe = await an_incident(bot), bot.slack.person("chloe")
    assert chloe not in own_channel(bot, incident).members
    await changed(bot, incident, "ana", incident_role_assignments={"lead": chloe})
    assert chloe in own_channel(bot, incident).members
    assert all(f"<@{chloe}>" in card for card in everywhere(bot, incident.slack_channel_id))


async def test_the_second_of_two_who_saw_the_same_status_reads_who_was_first(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    seen = incident.incident_status.id
    await changed(bot, incident, "ben", incident_status_id="fixing", seen_status_id=seen)
    outcome = await asked(bot, incident, "ana", incident_status_id="monitoring", seen_status_id=seen)
    assert isinstance(outcome, NotChanged)
    assert outcome.overtaken
    assert "Ben set the status of INC-1 to Fixing" in outcome.sentence


async def test_two_at_the_same_moment_end_in_one_status_and_each_reads_what_became_of_theirs(
    bot: RunningBot,
) -> None:
    incident = await an_incident(bot)
    both = [
        order(bot, incident, who, incident_status_id=to) for who, to in (("ana", "fixing"), ("ben", "closed"))
    ]
    outcomes = await asyncio.gather(*(verbs(bot).change(one) for one in both))
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    for outcome in outcomes:
        assert outcome is not None
    made = [outcome for outcome in outcomes if isinstance(outcome, Changed)]
    assert made[-1].incident.incident_status == found.incident_status or len(made) == 2
    assert all(found.incident_status.name in card for card in everywhere(bot, incident.slack_channel_id))


async def test_one_press_sent_again_is_one_change_with_the_same_answer(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    pressed = order(bot, incident, "ana", incident_status_id="fixing", message="On it.")
    answers = [await verbs(bot).change(pressed) for _ in range(3)]
    await settled(bot)
    assert answers[0] == answers[1] == answers[2]
    timeline = await bot.backend.timeline(incident.id)
    assert [entry.text for entry in timeline if entry.verb == "gave an update:"] == ["On it."]
    said = [m for m in cards(bot, incident.slack_channel_id) if "On it." in words(m)]
    assert len(said) == 1


async def test_what_was_refused_can_be_put_right_and_sent_again_from_the_same_form(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    refused = await asked(bot, incident, "ana", key="form", name="  ")
    assert isinstance(refused, NotChanged)
    assert refused.fields["name"].startswith("Give the incident a name")
    assert (await changed(bot, incident, "ana", key="form", name="Payments fail")).name == "Payments fail"


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({"incident_status_id": "asleep"}, "That status is not here. The ones there are: Triage, "),
        ({"severity_id": "major"}, "Nothing would change: INC-1 is Investigating, Major already."),
        ({"ending": "reopen"}, "INC-1 is Investigating already."),
        ({"ending": "merge", "merged_into": "INC-1"}, "INC-1 cannot be merged into itself."),
        ({"ending": "merge", "merged_into": "INC-77"}, "There is no incident INC-77."),
        ({"incident_role_assignments": {"reporter": "U1"}}, "That role cannot be given to anybody here."),
    ],
)
async def test_what_cannot_be_is_refused_in_a_sentence(
    bot: RunningBot, what: dict[str, object], sentence: str
) -> None:
    outcome = await asked(bot, await an_incident(bot), "ana", **what)
    assert isinstance(outcome, NotChanged)
    assert sentence in outcome.sentence


async def test_an_incident_is_closed_with_a_summary_and_what_is_open_is_named(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    request = FollowUpRequest(
        key="todo", by=somebody(bot, "ben"), at=incident.created_at, text="Add an alert"
    )
    await verbs(bot).follow_ups.add(AddFollowUpCommand(incident_id=incident.id, request=request))
    await settled(bot)
    closed = await changed(
        bot,
        incident,
        "ana",
        ending="close",
        message="A restart.",
        at=incident.created_at + timedelta(hours=2),
    )
    assert closed.incident_status.name == "Closed"
    news = words(cards(bot, incident.slack_channel_id)[-1])
    assert "A restart." in news
    assert "Open actions and follow-ups:" in news
    assert "Add an alert" in news
    assert f"<@{bot.slack.person('ben')}>" in news
    assert "entries in the timeline" in news
    again = await asked(bot, incident, "ben", ending="close")
    assert isinstance(again, NotChanged)
    assert again.sentence == "INC-1 is Closed already."
    reopened = await changed(bot, incident, "ben", ending="reopen")
    assert reopened.incident_status.name == "Investigating"
    assert all("Investigating" in card for card in everywhere(bot, incident.slack_channel_id))


async def test_a_merged_incident_is_named_at_both(bot: RunningBot) -> None:
    first, second = await an_incident(bot), await an_incident(bot, "payments fail")
    merged = await changed(bot, second, "ana", ending="merge", merged_into="1")
    assert merged.incident_status.name == "Merged"
    here, there = [
        [f"{entry.verb} {entry.text}" for entry in await bot.backend.timeline(one.id)]
        for one in (second, first)
    ]
    assert "merged it into INC-1" in here
    assert "merged into it: INC-2" in there
    await changed(bot, second, "ana", visibility="private")
    there = [f"{entry.verb} {entry.text}" for entry in await bot.backend.timeline(first.id)]
    assert "merged into it: a private incident" in there, "it is private now"


async def test_what_is_part_of_a_private_incident_does_not_name_it(bot: RunningBot) -> None:
    secret, public = await an_incident(bot, private=True), await an_incident(bot, "payments fail")
    await changed(bot, public, "ana", ending="merge", merged_into=secret.reference)
    timeline = [f"{entry.verb} {entry.text}" for entry in await bot.backend.timeline(public.id)]
    assert "merged it into a private incident" in timeline
    said = " ".join(words(message) for message in cards(bot, public.slack_channel_id))
    assert "merged it into a private incident" in said
    assert secret.reference not in said


async def test_a_mistake_is_taken_back_within_ten_minutes(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    await changed(bot, incident, "ana", ending="cancel")
    for channel in ("general", "incidents"):
        assert not [m for m in cards(bot, bot.slack.channel(channel)) if m.subtype != "tombstone"]
    room = own_channel(bot, incident)
    assert room.archived
    assert "Canceled" in words(cards(bot, room.id)[0])


async def test_after_ten_minutes_a_canceled_incident_stays_where_it_is(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    late = incident.created_at + timedelta(minutes=11)
    await changed(bot, incident, "ana", ending="cancel", at=late)
    assert not own_channel(bot, incident).archived
    assert all("Canceled" in card for card in everywhere(bot, incident.slack_channel_id))


async def test_an_incident_made_private_leaves_every_public_place(bot: RunningBot) -> None:
    incident = await an_incident(bot, lead="ben")
    old = own_channel(bot, incident)
    assert (await bot.workspace.join(bot.slack.person("chloe"), old.id)).ok
    await changed(bot, incident, "ben", message="The checkout is still down.")
    private = await changed(bot, incident, "ana", visibility="private")
    room = own_channel(bot, private)
    assert room.id != old.id
    assert room.kind == "private"
    people = {bot.slack.person(who) for who in ("ana", "ben")}
    assert set(room.members) == people | {bot.slack.app.bot_user_id}
    assert ":lock: Private" in words(cards(bot, room.id)[0])
    assert room.pins
    for channel in (bot.slack.channel("general"), bot.slack.channel("incidents")):
        assert not [m for m in cards(bot, channel) if "checkout" in words(m)]
    assert old.archived
    assert "can still be read" in words(cards(bot, old.id)[-1])
    assert await verbs(bot).find.here(old.id) is None  # type: ignore[arg-type]
    found = await verbs(bot).find.here(room.id)  # type: ignore[arg-type]
    assert found is not None
    assert found.reference == "INC-1"
    wanted = IncidentFilter(visible_to=bot.slack.person("chloe"))
    assert not await verbs(bot).find.matching(wanted)


async def test_what_became_private_is_offered_to_nobody_else_while_its_new_channel_is_made(
    bot: RunningBot,
) -> None:
    incident = await an_incident(bot)
    others = somebody(bot, "chloe").slack_user_id

    def offered() -> set[str]:
        return {one.id for one in verbs(bot).open_now.seen_by(others)}

    assert offered() == {incident.id}
    made = asyncio.Event()
    bot.workspace.clear()
    bot.workspace.faults.plan("conversations.create", Fault(until=made))
    await verbs(bot).change(order(bot, incident, "ana", visibility="private"))
    await bot.workspace.begun("conversations.create")
    assert offered() == set()
    made.set()
    await settled(bot)


async def test_something_to_be_done_is_completed_where_it_was_posted(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    request = FollowUpRequest(
        key="todo",
        by=somebody(bot, "ana"),
        at=incident.created_at,
        text="Add an *alert* <!here>",
        assignee=somebody(bot, "ben"),
    )
    added = await verbs(bot).follow_ups.add(AddFollowUpCommand(incident_id=incident.id, request=request))
    await settled(bot)
    assert isinstance(added, Changed)
    assert added.follow_up is not None
    posted = cards(bot, incident.slack_channel_id)[-1]
    assert "Add an *alert* &lt;!here&gt;" in words(posted)
    assert f"<@{bot.slack.person('ben')}>" in words(posted)
    done = CompleteFollowUpCommand(
        incident_id=incident.id,
        follow_up_id=added.follow_up.id,
        asked="press",
        done_by=somebody(bot, "ben"),
        at=incident.created_at,
    )
    for _ in range(2):
        assert isinstance(await verbs(bot).follow_ups.complete(done), Changed)
        await settled(bot)
    assert cards(bot, incident.slack_channel_id)[-1].ts == posted.ts
    assert "Action done:" in words(bot.workspace.message(posted.channel, posted.ts))


async def test_a_note_is_an_entry_once_and_can_be_taken_out(bot: RunningBot) -> None:
    incident = await an_incident(bot)
    entry = TimelineEntry(at=incident.created_at, by=somebody(bot, "ben"), verb="noted", text="Disk at 99 %.")
    orders = [
        NoteCommand(incident_id=incident.id, asked=f"e{n}", entry_key="C1/1.2", entry=entry, removed=n == 2)
        for n in range(3)
    ]
    counts = []
    for one in orders:
        assert isinstance(await verbs(bot).notes(one), Changed)
        timeline = await bot.backend.timeline(incident.id)
        counts.append(sum(entry.verb == "noted" for entry in timeline))
    assert counts == [1, 1, 0]


async def test_who_waited_too_long_is_told_what_became_of_their_change(held: Held) -> None:
    held.backend.go_on.set()
    incident = await an_incident(held.bot)
    held.backend.may_change.clear()
    outcome = await verbs(held.bot).change(
        order(held.bot, incident, "ben", incident_status_id="fixing"), patience=0.2
    )
    assert outcome is None
    held.backend.may_change.set()
    await settled(held.bot)
    (message,) = told(held.bot, "ben")
    assert "status is Fixing (was Investigating)" in message.text


async def test_a_backend_that_is_away_is_asked_again_until_the_change_is_made(held: Held) -> None:
    held.backend.go_on.set()
    incident = await an_incident(held.bot)
    held.backend.failing_changes = [Unavailable("down", retry_after=0.05)] * 2
    assert (
        await changed(held.bot, incident, "ana", incident_status_id="fixing")
    ).incident_status.id == "fixing"


async def test_a_change_that_waits_is_listed_with_who_asked_and_what_it_waits_for(held: Held) -> None:
    held.backend.go_on.set()
    incident = await an_incident(held.bot)
    held.backend.may_change.clear()
    waiting = order(held.bot, incident, "ben", incident_status_id="fixing")
    assert await verbs(held.bot).change(waiting, patience=0.2) is None
    (pending,) = await fetch_pending(held.bot.engine.url)
    assert (pending.reference, pending.name, pending.by) == ("INC-1", "checkout is slow", "Ben")
    assert pending.waits_for == "the backend has not changed it"
    held.backend.may_change.set()
    await settled(held.bot)
    assert await fetch_pending(held.bot.engine.url) == []
