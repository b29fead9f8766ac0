"""What the local backend promises of incidents that are open: changes, lists, follow-ups, in its words."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration

from tocsin.backends.local import LocalBackend
from tocsin.incidents.errors import Conflict, Refused
from tocsin.incidents.model import ChannelId, Incident, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.workflows.ports import Channel, IncidentBackend

LATER = DAWN + timedelta(minutes=5)
CHLOE = PersonId("U0CHLOE")


@pytest.fixture
def keeps(local: LocalBackend) -> IncidentBackend:
    return local


def change(key: str = "change-1", by: Person = ANA, **what: Any) -> IncidentChange:
    return IncidentChange(key=key, by=by, at=LATER, **what)


async def said(keeps: IncidentBackend, incident: Incident) -> list[str]:
    """The timeline as a page has it, without the first entry."""
    entries = await keeps.timeline(incident.id)
    return [f"{entry.by.name if entry.by else ''} {entry.verb} {entry.text}".strip() for entry in entries[1:]]


async def test_a_change_sets_what_it_names_and_the_timeline_says_who_set_it_to_what(
    keeps: IncidentBackend,
) -> None:
    incident = await keeps.create(full_declaration())
    changed = await keeps.change(
        incident.id,
        change(
            name="Payments are slow",
            summary="A lock in the database.",
            severity_id="minor",
            incident_status_id="fixing",
            incident_role_assignments={"communications": CHLOE},
            assignees=(Person(slack_user_id=CHLOE, name="Chloe Marchetti"),),
            message="Rolling back.",
        ),
    )
    assert changed == await keeps.find(incident.id)
    assert changed.name == "Payments are slow"
    assert changed.summary == "A lock in the database."
    assert changed.severity is not None
    assert changed.severity.name == "Minor"
    assert changed.incident_status.name == "Fixing"
    assert CHLOE in changed.people
    assert changed.updated_at > incident.updated_at
    assert await said(keeps, incident) == [
        "Ana Torres renamed it to Payments are slow",
        "Ana Torres set the summary to A lock in the database.",
        "Ana Torres set the severity to Minor",
        "Ana Torres set the status to Fixing",
        "Ana Torres set Communications Lead to Chloe Marchetti",
        "Ana Torres gave an update: Rolling back.",
    ]


async def test_a_change_repeated_with_its_key_changes_nothing_and_says_nothing_twice(
    keeps: IncidentBackend,
) -> None:
    incident = await keeps.create(declaration())
    first = await keeps.change(incident.id, change("once", incident_status_id="fixing", message="On it."))
    await keeps.change(incident.id, change("since", incident_status_id="monitoring"))
    again = await keeps.change(incident.id, change("once", incident_status_id="fixing", message="On it."))
    assert first.incident_status.name == "Fixing"
    assert again.incident_status.name == "Monitoring"
    assert len(await said(keeps, incident)) == 3


async def test_what_is_set_already_is_refused_and_is_no_news(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    with pytest.raises(Refused, match="Nothing would change: INC-1 is Investigating, Major already"):
        await keeps.change(incident.id, change(name=incident.name, severity_id="major"))
    assert await keeps.find(incident.id) == incident
    assert await said(keeps, incident) == []


async def test_who_saw_another_status_is_told_who_changed_it_and_to_what(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    seen = incident.incident_status.id
    await keeps.change(incident.id, change("bens", BEN, incident_status_id="fixing", seen_status_id=seen))
    with pytest.raises(Conflict, match="Ben Okafor set the status of INC-1 to Fixing") as refused:
        await keeps.change(incident.id, change("anas", incident_status_id="monitoring", seen_status_id=seen))
    assert "incident_status_id" in refused.value.fields
    found = await keeps.find(incident.id)
    assert found is not None
    assert found.incident_status.name == "Fixing"


async def test_twenty_who_saw_the_same_status_make_one_change(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    seen = incident.incident_status.id
    asked = [
        change(f"key-{n}", incident_status_id=("fixing", "monitoring")[n % 2], seen_status_id=seen)
        for n in range(20)
    ]
    done = await asyncio.gather(*(keeps.change(incident.id, one) for one in asked), return_exceptions=True)
    assert sum(isinstance(one, Incident) for one in done) == 1
    assert sum(isinstance(one, Conflict) for one in done) == 19
    assert len(await said(keeps, incident)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity_id": "apocalyptic"},
        {"incident_status_id": "asleep"},
        {"incident_role_assignments": {"jester": CHLOE}},
        {"merged_into": "INC-99"},
    ],
)
async def test_a_choice_that_is_not_there_is_refused_and_nothing_of_the_change_is_kept(
    keeps: IncidentBackend, wrong: dict[str, Any]
) -> None:
    incident = await keeps.create(declaration())
    with pytest.raises(Refused) as refused:
        await keeps.change(incident.id, change(name="Something else", **wrong))
    (field,) = wrong
    assert next(iter(refused.value.fields)).startswith(field)
    assert await keeps.find(incident.id) == incident
    assert await said(keeps, incident) == []


async def test_a_role_is_taken_given_and_given_up(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    for n, person in enumerate([ANA.slack_user_id, BEN.slack_user_id, None]):
        roles = {"lead": person}
        changed = await keeps.change(incident.id, change(f"role-{n}", incident_role_assignments=roles))
        assert (changed.lead.slack_user_id if changed.lead else None) == person
    assert await said(keeps, incident) == [
        "Ana Torres took the role Incident Lead",
        "Ana Torres set Incident Lead to somebody",
        "Ana Torres gave up the role Incident Lead",
    ]


async def test_somebody_whose_name_is_learnt_later_is_read_by_it_in_what_happened_before(
    keeps: IncidentBackend,
) -> None:
    incident = await keeps.create(declaration())
    await keeps.change(incident.id, change(incident_role_assignments={"lead": BEN.slack_user_id}))
    await keeps.note(
        incident.id, TimelineEntry(at=DAWN, by=ANA, verb="noted:", text=f"<@{BEN.slack_user_id}>"), "note"
    )
    await keeps.remember_people([BEN])
    found = await keeps.find(incident.id)
    assert found is not None
    assert found.lead == BEN
    assert await said(keeps, incident) == [
        f"Ana Torres noted: <@{BEN.slack_user_id}>",
        "Ana Torres set Incident Lead to Ben Okafor",
    ]


async def test_an_incident_is_made_private_once_and_stays_so(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    for _ in range(2):
        changed = await keeps.change(incident.id, change("first", visibility="private"))
        assert changed.is_private
    with pytest.raises(Refused, match="Nothing would change"):
        await keeps.change(incident.id, change("second", visibility="private"))
    assert await said(keeps, incident) == ["Ana Torres made it private"]


async def test_closing_says_when_and_reopening_forgets_it(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    assert incident.closed_at is None
    closed = await keeps.change(
        incident.id, change("close", incident_status_id="closed", message="A restart helped.")
    )
    assert closed.closed_at is not None
    assert closed.closed_at >= incident.created_at
    reopened = await keeps.change(incident.id, change("reopen", incident_status_id="investigating"))
    assert reopened.closed_at is None
    assert "Ana Torres resolved it: A restart helped." in await said(keeps, incident)


async def test_the_timeline_says_what_an_incident_was_merged_into(keeps: IncidentBackend) -> None:
    first, second = [await keeps.create(declaration(f"key-{n}")) for n in range(2)]
    merged = change(incident_status_id="merged", merged_into=first.reference)
    changed = await keeps.change(second.id, merged)
    assert changed.incident_status.category == "merged"
    assert f"Ana Torres merged it into {first.reference}" in await said(keeps, second)


async def test_an_entry_is_taken_out_of_the_timeline_by_its_key(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    entry = (await keeps.timeline(incident.id))[0].model_copy(update={"verb": "noted", "text": "Odd."})
    await keeps.note(incident.id, entry, "message")
    assert await said(keeps, incident) == ["Ana Torres noted Odd."]
    for _ in range(2):
        await keeps.unnote(incident.id, "message")
        assert await said(keeps, incident) == []


def asked_for(key: str = "todo-1", **more: Any) -> FollowUpRequest:
    return FollowUpRequest(**{"key": key, "by": ANA, "at": LATER, "text": "Add an alert", **more})


async def test_what_is_to_be_done_is_added_once_assigned_and_listed_in_order(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    first = await keeps.add_follow_up(incident.id, asked_for(assignee=BEN))
    assert await keeps.add_follow_up(incident.id, asked_for(assignee=BEN)) == first
    second = await keeps.add_follow_up(incident.id, asked_for("todo-2", kind="follow_up", text="Write it up"))
    assert first.assignee == BEN
    assert second.assignee is None
    assert list(await keeps.follow_ups(incident.id)) == [first, second]
    assert await said(keeps, incident) == [
        "Ana Torres added an action: Add an alert",
        "Ana Torres added a follow-up: Write it up",
    ]


async def test_what_is_done_is_done_once(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    added = await keeps.add_follow_up(incident.id, asked_for())
    for key in ("pressed", "pressed", "pressed by another"):
        done = await keeps.complete_follow_up(added.id, BEN, LATER, key)
        assert done.is_done
        assert done.done_at == LATER
    assert (await said(keeps, incident))[1:] == ["Ben Okafor completed the action: Add an alert"]
    with pytest.raises(Refused):
        await keeps.complete_follow_up("01ARZ3NDEKTSV4RRFFQ69G5FAV", BEN, LATER, "nothing")


async def test_a_follow_up_is_taken_and_linked_to_its_issue_once(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration())
    link = "https://github.com/acme/web/issues/12"
    added = await keeps.add_follow_up(incident.id, asked_for(issue_url=f"{link}3"))
    assert added.external_issue_reference is not None
    assert added.external_issue_reference.issue_name == "#123"
    for change in (
        FollowUpChange(key="taken", by=BEN, at=LATER, assignee=BEN),
        FollowUpChange(key="given", by=BEN, at=LATER, assignee=ANA),
        FollowUpChange(key="linked", by=ANA, at=LATER, issue_url=link),
    ):
        once = await keeps.change_follow_up(added.id, change)
        assert await keeps.change_follow_up(added.id, change) == once
    assert once.assignee == ANA
    assert (await said(keeps, incident))[1:] == [
        "Ben Okafor took the action: Add an alert",
        "Ben Okafor assigned the action: Add an alert (Ana Torres)",
        f"Ana Torres linked the issue of the action: Add an alert {link}",
    ]
    with pytest.raises(Refused):
        await keeps.change_follow_up("01ARZ3NDEKTSV4RRFFQ69G5FAV", change)


async def references(keeps: IncidentBackend, **wanted: Any) -> list[str]:
    return [incident.reference for incident in await keeps.matching(IncidentFilter(**wanted))]


async def test_incidents_are_found_by_what_is_asked_newest_first(keeps: IncidentBackend) -> None:
    made = [
        await keeps.create(declaration("a", name="Checkout is slow")),
        await keeps.create(declaration("b", name="Login fails", severity_id="critical", reporter=BEN)),
        await keeps.create(declaration("c", name="Checkout shows 500", summary="Since the Café deploy.")),
    ]
    await keeps.change(made[0].id, change("close", incident_status_id="closed"))
    assert await references(keeps) == ["INC-3", "INC-2", "INC-1"]
    assert await references(keeps, is_open=True) == ["INC-3", "INC-2"]
    assert await references(keeps, is_open=False) == ["INC-1"]
    assert await references(keeps, severity_id="critical") == ["INC-2"]
    assert await references(keeps, incident_status_id="closed") == ["INC-1"]
    assert await references(keeps, incident_status_id="closed", is_open=True) == []
    assert await references(keeps, incident_status_id="investigating", severity_id="major") == ["INC-3"]
    assert await references(keeps, text="checkout") == ["INC-3", "INC-1"]
    assert await references(keeps, text="CAFE check") == ["INC-3"]
    assert await references(keeps, text="inc-2") == ["INC-2"]
    assert await references(keeps, text='nothing "like" this') == []
    assert await references(keeps, involving=BEN.slack_user_id) == ["INC-2"]
    assert await references(keeps, involving=ANA.slack_user_id, is_open=True) == ["INC-3"]
    assert await references(keeps, involving=ANA.slack_user_id, text="checkout") == ["INC-3", "INC-1"]


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(keeps: IncidentBackend) -> None:
    made = [await keeps.create(declaration(f"key-{n}")) for n in range(7)]
    found: list[Incident] = []
    while page := await keeps.matching(
        IncidentFilter(is_open=True, visible_to=CHLOE), after=found[-1].id if found else None, limit=3
    ):
        found += page
    assert [incident.id for incident in found] == [incident.id for incident in reversed(made)]


async def test_private_incidents_are_listed_for_their_people_alone(keeps: IncidentBackend) -> None:
    incident = await keeps.create(declaration("secret", visibility="private"))
    await keeps.create(declaration("open", reporter=BEN))
    both, public = ["INC-2", "INC-1"], ["INC-2"]
    assert await references(keeps, visible_to=CHLOE) == public
    assert await references(keeps, visible_to=CHLOE, text="checkout") == public
    assert await references(keeps, visible_to=CHLOE, involving=ANA.slack_user_id) == []
    assert await references(keeps, visible_to=ANA.slack_user_id) == both
    roles = {"lead": CHLOE}
    await keeps.change(incident.id, change("in", incident_role_assignments=roles))
    assert await references(keeps, visible_to=CHLOE) == both
    assert await references(keeps, visible_to=CHLOE, text="checkout slow") == both
    assert await references(keeps, visible_to=CHLOE, involving=ANA.slack_user_id) == ["INC-1"]
    await keeps.change(incident.id, change("out", incident_role_assignments={"lead": None}))
    assert await references(keeps, visible_to=CHLOE) == public


async def test_a_member_of_a_private_incident_sees_it_until_removed_and_of_a_public_one_there_are_none(
    keeps: IncidentBackend,
) -> None:
    secret = await keeps.create(declaration("secret", visibility="private"))
    public = await keeps.create(declaration("open", reporter=BEN))
    for incident in (secret, public):
        asked = change(
            f"in-{incident.id}", invited=(CHLOE,), assignees=(Person(slack_user_id=CHLOE, name="Chloe"),)
        )
        for _ in range(2):
            changed = await keeps.change(incident.id, asked)
        assert [member.name for member in changed.members] == ["Chloe"] * incident.is_private
        entries = [(entry.verb, entry.text) for entry in await keeps.timeline(incident.id)]
        assert entries.count(("invited", "Chloe")) == 1
    assert await references(keeps, visible_to=CHLOE) == ["INC-2", "INC-1"]
    assert await references(keeps, visible_to=CHLOE, text="checkout slow") == ["INC-2", "INC-1"]
    assert await references(keeps, visible_to=CHLOE, involving=ANA.slack_user_id) == ["INC-1"]
    await keeps.change(secret.id, change("out", removed=(CHLOE,)))
    assert await references(keeps, visible_to=CHLOE) == ["INC-2"]
    assert (await keeps.change(secret.id, change("again", name="Payroll"))).members == ()


async def test_who_may_not_see_a_private_incident_any_more_invites_nobody(keeps: IncidentBackend) -> None:
    secret = await keeps.create(declaration("secret", visibility="private"))
    with pytest.raises(Refused):
        await keeps.change(secret.id, change("in", by=Person(slack_user_id=CHLOE), invited=(CHLOE,)))
    assert await references(keeps, visible_to=CHLOE) == []


async def test_a_change_is_newer_than_what_it_changed_also_when_the_clock_was_set_back(
    local: LocalBackend,
) -> None:
    incident = await local.create(declaration(at=DAWN + timedelta(days=1)))
    fixing = await local.change(incident.id, change("once", incident_status_id="fixing"))
    moved = await local.set_channel(incident.id, Channel(id=ChannelId("C0INC1"), name="inc-1"))
    private = await local.change(incident.id, change("twice", visibility="private"))
    assert incident.updated_at < fixing.updated_at < moved.updated_at < private.updated_at


@pytest.mark.parametrize(
    "put", ["yesterday", "2026-03-01 02:00:00", "9999-12-31T23:59:59.999999Z", b"\xff", 7]
)
async def test_an_incident_whose_last_change_somebody_wrote_by_hand_can_be_changed(
    local: LocalBackend, put: object
) -> None:
    incident = await local.create(declaration())
    by_hand = "UPDATE incidents SET updated_at = ? WHERE id = ?"
    await local.database.run(lambda db: db.execute(by_hand, [put, incident.id]))
    fixing = await local.change(incident.id, change("once", incident_status_id="fixing"))
    assert fixing.incident_status.name == "Fixing"
    moved = await local.set_channel(incident.id, Channel(id=ChannelId("C0INC1"), name="inc-1"))
    assert moved.updated_at > fixing.updated_at
