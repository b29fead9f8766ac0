"""What is done with an incident in DevRev once it is there: found, listed, changed, noted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.declarations import DAWN
from support.devrev.org import PEOPLE

from integration.devrev.desk import ANA, BEN, SEV0, SEV1, STAGE, DevRevDesk, declared
from slack_emulator.faults import Fault
from tocsin.incidents.errors import Conflict, Refused
from tocsin.incidents.model import ChannelId, Incident, PersonId, SourceMessage, TimelineEntry
from tocsin.incidents.requests import (
    FollowUpChange,
    FollowUpRequest,
    IncidentChange,
    IncidentFilter,
    IncidentQuery,
)
from tocsin.workflows.ports import Channel

CHANNEL = Channel(id=ChannelId("C0INC"), name="inc-1-checkout-is-slow")
PERMALINK = "https://northwind.slack.com/archives/C0ALERTS/p1"
UPDATE = "incidents.update"


def change(key: str = "change-1", **what: object) -> IncidentChange:
    return IncidentChange(key=key, by=BEN, at=DAWN + timedelta(minutes=5), **what)  # type: ignore[arg-type]


async def made(desk: DevRevDesk, key: str = "key-1", **changes: object) -> Incident:
    desk.clock.turn(60)
    return await desk.backend.create(declared(key, **changes))


@pytest.mark.parametrize("written", ["INC-1", "inc-1", "1", " INC-1 "])
async def test_an_incident_is_found_however_its_reference_is_written(desk: DevRevDesk, written: str) -> None:
    incident = await made(desk)
    assert await desk.backend.find(written) == incident
    assert await desk.backend.find(incident.id) == incident


@pytest.mark.parametrize(
    "written", ["", "0", "-1", "INC-", "INC-2", "2", "null", "../1", "don:x", "x" * 9_000]
)
async def test_what_is_no_reference_finds_nothing(desk: DevRevDesk, written: str) -> None:
    await made(desk)
    assert await desk.backend.find(written) is None


@pytest.mark.parametrize("sparse", [False, True])
async def test_incidents_are_listed_newest_first_and_page_by_page(desk: DevRevDesk, sparse: bool) -> None:
    desk.org.sparse = sparse
    for number in range(7):
        # Two in each moment: the same time must not hide one of them.
        if number % 2 == 0:
            desk.clock.turn(60)
        await desk.backend.create(declared(f"key-{number}"))
    listed: list[str] = []
    after = None
    for _ in range(4):
        page = await desk.backend.incidents(after=after, limit=2)
        listed += [incident.reference for incident in page]
        after = page[-1].id if page else after
        if sparse:
            await desk.reopen()
    assert len(set(listed)) == len(listed) == 7
    assert [await desk.backend.incidents(after=after, limit=2)] == [[]]


async def test_the_longest_page_after_an_incident_asks_devrev_for_no_more_than_it_gives(
    desk: DevRevDesk,
) -> None:
    for number in range(3):
        desk.clock.turn(60)
        await desk.backend.create(declared(f"key-{number}"))
    newest, *older = await desk.backend.incidents(limit=3)
    assert await desk.backend.matching(IncidentFilter(), after=newest.id, limit=100) == older
    found = await desk.backend.listed(IncidentQuery(after=newest.id, limit=100))
    assert list(found.incidents) == older


async def test_what_is_wanted_is_asked_of_devrev_as_far_as_it_can_be(desk: DevRevDesk) -> None:
    slow = await made(desk, "a", severity_id=SEV0)
    closed = await made(desk, "b", name="Search is down")
    await desk.backend.change(closed.id, change(incident_status_id=f"{STAGE}/4"))

    async def found(**wanted: object) -> list[str]:
        return [i.reference for i in await desk.backend.matching(IncidentFilter(**wanted))]  # type: ignore[arg-type]

    assert await found(is_open=True) == [slow.reference]
    assert await found(is_open=False) == [closed.reference]
    assert await found(severity_id=SEV0) == [slow.reference]
    assert await found(text="SEARCH down") == [closed.reference]
    assert await found(involving=ANA.slack_user_id) == [closed.reference, slow.reference]
    assert await found(involving=PersonId("U0TOM")) == []


async def test_the_channel_is_remembered_over_a_restart_and_the_source_is_told_once(desk: DevRevDesk) -> None:
    source = SourceMessage(channel="C0ALERTS", timestamp="1772334000.000100", permalink=PERMALINK)
    incident = await made(desk, source=source)
    once = await desk.backend.set_channel(incident.id, CHANNEL)
    desk.org.faults.plan("timeline-entries.create", Fault(reset=True, after_effect=True))
    await desk.reopen()
    twice = await desk.backend.set_channel(incident.id, CHANNEL)
    assert (once.slack_channel_id, once.slack_channel_name) == (CHANNEL.id, CHANNEL.name)
    assert once == twice == await desk.backend.find("INC-1")
    assert [entry["body"] for entry in desk.org.entries] == [
        f"Ana Torres declared it from the message: {PERMALINK}"
    ]


async def test_a_note_is_there_once_and_only_for_colleagues(desk: DevRevDesk) -> None:
    incident = await made(desk)
    entry = TimelineEntry(at=DAWN + timedelta(minutes=2), by=BEN, verb="gave an update:", text="Rolling back")
    desk.org.faults.plan("timeline-entries.create", Fault(status=500, after_effect=True))
    with pytest.raises(Exception, match="failed"):
        await desk.backend.note(incident.id, entry, "k")
    for _ in range(2):
        await desk.backend.note(incident.id, entry, "k")
    (told,) = desk.org.entries
    assert (told["visibility"], told["external_ref"]) == ("internal", "tocsin:k")
    assert told["body"] == "Ben Okafor gave an update: Rolling back"
    declared_, noted = await desk.backend.timeline(incident.id)
    assert (declared_.verb, declared_.text, declared_.by) == ("declared", "Checkout is slow (SEV1)", ANA)
    assert noted == entry.model_copy(update={"by": BEN.model_copy(update={"email": None})})


async def test_a_comment_made_in_devrev_is_part_of_the_timeline(desk: DevRevDesk) -> None:
    incident = await made(desk)
    body = {"type": "timeline_comment", "object": incident.id, "body": "Looking into it"}
    await desk.backend._client.do("timeline-entries.create", body)
    _, told = await desk.backend.timeline(incident.id)
    assert (told.by and told.by.name, told.verb, told.text) == ("Tocsin Bot", "commented", "Looking into it")


async def test_a_note_can_be_taken_back(desk: DevRevDesk) -> None:
    incident = await made(desk)
    await desk.backend.note(incident.id, TimelineEntry(at=DAWN, by=BEN, verb="noted"), "k")
    for _ in range(2):
        await desk.backend.unnote(incident.id, "k")
    assert not desk.org.entries


async def test_a_change_sends_only_what_changes_in_the_shape_of_an_update(desk: DevRevDesk) -> None:
    incident = await made(desk, summary="Since noon.")
    changed = await desk.backend.change(
        incident.id,
        change(
            name="Checkout is down",
            summary="Since 11:58.",
            severity_id=SEV0,
            incident_status_id=f"{STAGE}/2",
            incident_role_assignments={"lead": BEN.slack_user_id},
            message="Rolling back",
        ),
    )
    assert desk.sent(UPDATE) == [
        {
            "id": incident.id,
            "title": "Checkout is down",
            "body": "Since 11:58.\n\n---\nDeclared in Slack by Ana Torres.",
            "severity": int(SEV0),
            "stage": {"stage": f"{STAGE}/2"},
            "owned_by": {"set": [f"{PEOPLE}/8"]},
            "acknowledged_date": "2026-03-01T03:05:00Z",
        }
    ]
    assert (changed.name, changed.summary) == ("Checkout is down", "Since 11:58.")
    assert changed.incident_status.name == "Investigating"
    assert changed.lead == BEN
    assert [(entry.verb, entry.text) for entry in await desk.backend.timeline(incident.id)][1:] == [
        ("renamed it to", "Checkout is down"),
        ("set the summary to", "Since 11:58."),
        ("set the severity to", "SEV0"),
        ("set the status to", "Investigating"),
        ("took the role", "Incident Lead"),
        ("gave an update:", "Rolling back"),
    ]


async def test_a_change_is_made_once_for_its_key_also_after_lost_answers(desk: DevRevDesk) -> None:
    incident = await made(desk)
    asked = change(severity_id=SEV0, message="Worse than we thought", seen_status_id=f"{STAGE}/1")
    desk.org.faults.plan(UPDATE, Fault(status=500, after_effect=True))
    desk.org.faults.plan("timeline-entries.create", Fault(reset=True, after_effect=True))
    for _ in range(2):
        with pytest.raises(Exception, match="DevRev"):
            await desk.backend.change(incident.id, asked)
    await desk.reopen()
    await desk.backend.change(incident.id, asked)
    desk.org.incidents[incident.id]["severity"] = desk.org.severities[2]
    again = await desk.backend.change(incident.id, asked)
    assert again.severity is not None
    assert again.severity.name == "SEV2"
    assert len(desk.org.entries) == 2


async def test_a_change_on_a_stale_screen_is_refused_with_what_it_is_now(desk: DevRevDesk) -> None:
    incident = await made(desk)
    await desk.backend.change(incident.id, change("first", incident_status_id=f"{STAGE}/3"))
    stale = change("second", incident_status_id=f"{STAGE}/2", seen_status_id=f"{STAGE}/1")
    with pytest.raises(Conflict, match="INC-1 is Mitigated by now, last changed by Tocsin Bot"):
        await desk.backend.change(incident.id, stale)
    assert len(desk.sent(UPDATE)) == 1


async def test_a_role_that_devrev_does_not_know_is_kept_and_written_into_the_body(desk: DevRevDesk) -> None:
    incident = await made(desk, summary="Since noon.")
    given = change(incident_role_assignments={"communications": BEN.slack_user_id})
    changed = await desk.backend.change(incident.id, given)
    assert BEN.slack_user_id in changed.people
    assert changed.summary == "Since noon."
    assert "Communications Lead: Ben Okafor" in desk.org.incidents[incident.id]["body"]
    taken = change("change-2", incident_role_assignments={"communications": None})
    changed = await desk.backend.change(incident.id, taken)
    assert BEN.slack_user_id not in changed.people
    assert "Communications" not in desk.org.incidents[incident.id]["body"]


async def test_a_lead_whom_devrev_does_not_know_is_refused_at_the_field(desk: DevRevDesk) -> None:
    incident = await made(desk)
    with pytest.raises(Refused) as refusal:
        await desk.backend.change(incident.id, change(incident_role_assignments={"lead": PersonId("U0TOM")}))
    assert list(refusal.value.fields) == ["incident_role_assignments.lead"]


async def test_the_key_in_the_body_outlives_a_new_summary(desk: DevRevDesk) -> None:
    desk.org.refused = {"sync_metadata"}
    incident = await made(desk, summary="Since noon.")
    await desk.backend.change(incident.id, change(summary="Since 11:58."))
    assert desk.org.incidents[incident.id]["body"].endswith("\ntocsin:key-1")


MENTION = "<don:identity:dvrv-us-1:devo/northwind:devu/8>"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_what_people_write_in_devrev_below_ours_is_read_and_outlives_a_role_and_a_new_summary(
    desk: DevRevDesk, line_end: str
) -> None:
    desk.org.refused = {"sync_metadata"}
    incident = await made(desk, summary="Since noon. Ask <don:x>.")
    kept = desk.org.incidents[incident.id]
    kept["body"] = f"{kept['body']}\n\nA cable, says {MENTION}.".replace("\n", line_end)
    found = await desk.backend.find(incident.id)
    assert found is not None
    assert found.summary == f"Since noon. Ask <don:x>.\n\nA cable, says {MENTION}."
    given = change(incident_role_assignments={"communications": BEN.slack_user_id})
    changed = await desk.backend.change(incident.id, given)
    assert changed.summary == found.summary
    assert "Ask <\u200bdon:x>" in kept["body"]
    assert f"says {MENTION}." in kept["body"]
    assert kept["body"].endswith("\nCommunications Lead: Ben Okafor\ntocsin:key-1")
    again = f"A cable, says {MENTION}, not <don:y>."
    changed = await desk.backend.change(incident.id, change("again", summary=again))
    assert changed.summary == again
    assert kept["body"].startswith(
        f"A cable, says {MENTION}, not <\u200bdon:y>.\n\n---\nDeclared in Slack by Ana"
    )


async def test_an_incident_that_began_in_devrev_is_never_said_to_be_declared_in_slack(
    desk: DevRevDesk,
) -> None:
    began = desk.org.make({"title": "Search is slow", "body": "Since noon."})
    began["created_by"] = desk.org.people[2].told()
    changed = await desk.backend.change(began["id"], change("first", summary="Since 11:58."))
    assert began["body"] == "Since 11:58."
    assert changed.creator.name == "Ben Okafor"
    given = change("second", incident_role_assignments={"communications": BEN.slack_user_id})
    changed = await desk.backend.change(began["id"], given)
    assert began["body"] == "Since 11:58.\n\n---\nRoles given in Slack:\nCommunications Lead: Ben Okafor"
    assert (changed.creator.name, changed.summary) == ("Ben Okafor", "Since 11:58.")
    taken = change("third", incident_role_assignments={"communications": None})
    await desk.backend.change(began["id"], taken)
    assert began["body"] == "Since 11:58."


async def test_what_devrev_cannot_do_is_said_in_a_sentence(desk: DevRevDesk) -> None:
    incident = await made(desk)
    form = await desk.backend.form()
    with pytest.raises(Refused, match=form.lacks["private"]):
        await desk.backend.change(incident.id, change(visibility="private"))
    with pytest.raises(Refused, match=form.lacks["merge"]):
        await desk.backend.change(incident.id, change(merged_into="INC-2"))
    asked = FollowUpRequest(key="k", by=BEN, at=DAWN, text="Add an alert", kind="follow_up")
    with pytest.raises(Refused, match=form.lacks["follow-up"]):
        await desk.backend.add_follow_up(incident.id, asked)
    with pytest.raises(Refused, match=form.lacks["follow-up"]):
        await desk.backend.change_follow_up("1", FollowUpChange(key="k", by=BEN, at=DAWN, assignee=BEN))
    assert await desk.backend.follow_ups(incident.id) == ()


async def test_nothing_can_be_done_with_an_incident_that_is_gone(desk: DevRevDesk) -> None:
    incident = await made(desk)
    desk.org.incidents.clear()
    with pytest.raises(Refused):
        await desk.backend.set_channel(incident.id, CHANNEL)
    with pytest.raises(Refused):
        await desk.backend.note(incident.id, TimelineEntry(at=DAWN, verb="noted"), "k")
    with pytest.raises(Refused):
        await desk.backend.change(incident.id, change(severity_id=SEV1))
