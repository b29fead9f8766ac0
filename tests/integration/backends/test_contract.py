"""What every backend promises, whichever keeps the incidents."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.declarations import ANA, BEN, DAWN, declaration, full_declaration

from tocsin.backends.local import LocalBackend
from tocsin.incidents.errors import Refused
from tocsin.incidents.insight_tables import busiest, figures
from tocsin.incidents.insights import Chosen, added
from tocsin.incidents.model import (
    AlertSummary,
    Automation,
    ChannelId,
    Person,
    PersonId,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.requests import NOBODY, IncidentChange, IncidentFilter, IncidentQuery
from tocsin.incidents.validation import clean_text, is_visible
from tocsin.workflows.insights import ListedInsights
from tocsin.workflows.ports import Channel, IncidentBackend

CHANNEL = Channel(id=ChannelId("C0INC"), name="inc-1-checkout-is-slow")


async def test_the_form_offers_severities_one_live_status_and_a_lead(backend: IncidentBackend) -> None:
    form = await backend.form()
    assert [severity.name for severity in form.severities] == ["Minor", "Major", "Critical"]
    assert any(status.category == "live" for status in form.statuses)
    assert [role.id for role in form.assignable_roles] == ["lead", "communications"]


async def test_a_declaration_becomes_an_incident_with_everything_that_was_filled_in(
    backend: IncidentBackend,
) -> None:
    asked = full_declaration()
    incident = await backend.create(asked)
    assert incident.name == asked.name
    assert incident.summary == asked.summary
    assert incident.severity is not None
    assert incident.severity.name == "Critical"
    assert incident.incident_status.category == "live"
    assert incident.incident_status.name == "Investigating"
    assert incident.slack_team_id == "T0NORTH"
    assert incident.source == asked.source
    assert incident.creator == ANA
    assert incident.created_at == DAWN
    assert incident.lead is not None
    assert incident.lead.slack_user_id == BEN.slack_user_id
    answers = {entry.custom_field.id: entry.values for entry in incident.custom_field_entries}
    assert answers == asked.custom_field_entries
    assert incident.permalink is not None
    assert incident.permalink.endswith(("/incidents/INC-1", "/incidents/1"))


async def test_the_reporter_and_role_holders_are_the_people_to_bring_in(backend: IncidentBackend) -> None:
    incident = await backend.create(full_declaration())
    assert incident.people == (ANA.slack_user_id, BEN.slack_user_id)


async def test_who_reads_an_incident_sees_the_alert_that_declared_it_and_how_many_there_are(
    backend: IncidentBackend,
) -> None:
    alert = Automation(kind="alert", id="01ALERT", name="Disk is full")
    incident = await backend.create(declaration("by an alert", reporter=Person(), automation=alert))
    assert (incident.creator, incident.automation, incident.alerts) == (Person(), alert, None)
    summary = AlertSummary(firing=2, resolved=1, latest=("Disk is full", "CPU is busy"))
    assert await backend.set_alerts(incident.id, summary) == incident.model_copy(update={"alerts": summary})
    found = await backend.find(incident.id)
    assert found is not None
    assert (found.alerts, found.automation) == (summary, alert)


async def test_the_same_key_answers_with_the_first_incident(backend: IncidentBackend) -> None:
    first = await backend.create(declaration("same"))
    again = await backend.create(declaration("same", name="Something else"))
    assert again == first
    assert len(await backend.incidents()) == 1


async def test_twenty_racing_declarations_with_one_key_are_one_incident(backend: IncidentBackend) -> None:
    made = await asyncio.gather(*(backend.create(declaration("raced")) for _ in range(20)))
    assert len({incident.id for incident in made}) == 1
    assert len(await backend.incidents()) == 1


async def test_references_count_up_without_a_gap(backend: IncidentBackend) -> None:
    made = await asyncio.gather(*(backend.create(declaration(f"key-{n}")) for n in range(12)))
    assert sorted(int(incident.reference.removeprefix("INC-")) for incident in made) == list(range(1, 13))


async def test_a_refused_declaration_leaves_no_gap(backend: IncidentBackend) -> None:
    await backend.create(declaration("one"))
    with pytest.raises(Refused):
        await backend.create(declaration("two", severity_id="apocalyptic"))
    assert (await backend.create(declaration("three"))).reference == "INC-2"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity_id": "apocalyptic"}, "severity_id"),
        ({"incident_type_id": "party"}, "incident_type_id"),
        ({"incident_role_assignments": {"juggler": "U1"}}, "incident_role_assignments.juggler"),
        ({"custom_field_entries": {"shoe_size": ({"value_text": "44"},)}}, "custom_field_entries.shoe_size"),
        (
            {"custom_field_entries": {"detected_by": ({"value_option": {"id": "owl", "value": "Owl"}},)}},
            "custom_field_entries.detected_by",
        ),
    ],
)
async def test_an_unknown_choice_is_refused_at_the_field_it_belongs_to(
    backend: IncidentBackend, change: dict[str, object], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await backend.create(declaration(**change))
    assert list(refusal.value.fields) == [field]
    assert await backend.incidents() == []


@pytest.mark.parametrize("written", ["INC-1", "inc-1", "Inc-1", "1", " INC-1 "])
async def test_an_incident_is_found_by_its_reference_however_it_is_written(
    backend: IncidentBackend, written: str
) -> None:
    incident = await backend.create(declaration())
    assert await backend.find(written) == incident


async def test_an_incident_is_found_by_its_id(backend: IncidentBackend) -> None:
    incident = await backend.create(declaration())
    assert await backend.find(incident.id) == incident


async def test_a_reference_is_answered_to_who_may_know_of_it_alone(backend: IncidentBackend) -> None:
    incident = await backend.create(declaration())
    here, elsewhere = frozenset([TeamId(incident.slack_team_id)]), frozenset([TeamId("T0ELSEWHERE")])
    for written in (incident.reference, incident.id):
        wanted = IncidentFilter(reference=written, visible_to=NOBODY)
        assert [found.id for found in await backend.matching(wanted)] == [incident.id]
        found = await backend.matching(wanted.model_copy(update={"teams": here}))
        assert [one.id for one in found] == [incident.id]
        assert await backend.matching(wanted.model_copy(update={"teams": elsewhere})) == []
    assert await backend.matching(IncidentFilter(reference="INC-99")) == []


@pytest.mark.parametrize(
    "written",
    [
        *("", "0", "2", "-1", "01", "1.0", "1e0", "INC-", "INC-2", "null", "%", "*", "../1", "'", '"'),
        *("INC-1; DROP TABLE incidents", "1 OR 1=1", "\x00", "1\x00", "\ud800", "¹", "١", "INC-１"),
        *("9" * 40, "x" * 100_000),
    ],
)
async def test_what_is_no_reference_finds_nothing(backend: IncidentBackend, written: str) -> None:
    await backend.create(declaration())
    assert await backend.find(written) is None


async def test_incidents_are_listed_newest_first_and_page_by_page(backend: IncidentBackend) -> None:
    for number in range(7):
        await backend.create(declaration(f"key-{number}"))
    first = await backend.incidents(limit=3)
    second = await backend.incidents(after=first[-1].id, limit=3)
    third = await backend.incidents(after=second[-1].id, limit=3)
    references = [incident.reference for page in (first, second, third) for incident in page]
    assert references == [f"INC-{number}" for number in range(7, 0, -1)]
    assert await backend.incidents(after=third[-1].id) == []


async def test_listing_says_as_much_of_an_incident_as_finding_it(backend: IncidentBackend) -> None:
    await backend.create(full_declaration("a"))
    await backend.create(declaration("b"))
    assert [await backend.find(incident.id) for incident in await backend.incidents()] == list(
        await backend.incidents()
    )


async def test_nothing_comes_after_an_incident_that_is_not_there(backend: IncidentBackend) -> None:
    await backend.create(declaration())
    assert await backend.incidents(after="01ARZ3NDEKTSV4RRFFQ69G5FAV") == []


async def test_the_channel_is_remembered_and_can_be_told_twice(backend: IncidentBackend) -> None:
    if backend.makes_channel:
        pytest.skip("this backend makes the channel by itself")
    incident = await backend.create(declaration())
    once = await backend.set_channel(incident.id, CHANNEL)
    twice = await backend.set_channel(incident.id, CHANNEL)
    assert (once.slack_channel_id, once.slack_channel_name) == (CHANNEL.id, CHANNEL.name)
    assert once == twice == await backend.find(incident.reference)
    assert once.updated_at > incident.updated_at


async def test_the_timeline_begins_with_the_declaration_and_runs_in_order(backend: IncidentBackend) -> None:
    incident = await backend.create(declaration())
    later = TimelineEntry(at=DAWN + timedelta(minutes=5), by=BEN, verb="updated", text="Rolling back")
    sooner = TimelineEntry(at=DAWN + timedelta(minutes=2), verb="moved it to", text="Fixing")
    await backend.note(incident.id, later, "k2")
    await backend.note(incident.id, sooner, "k1")
    told = await backend.timeline(incident.id)
    # A backend that knows only its own people names who it was in the words.
    assert [(entry.verb.removeprefix("Ben Okafor "), entry.text) for entry in told] == [
        ("declared", "Checkout is slow (Major)"),
        ("moved it to", "Fixing"),
        ("updated", "Rolling back"),
    ]
    assert told[0].by == ANA
    assert told[2].by == BEN or told[2].verb.startswith("Ben Okafor")
    assert [entry.at for entry in told] == [DAWN, sooner.at, later.at]


async def test_a_timeline_entry_is_added_once_for_its_key(backend: IncidentBackend) -> None:
    one, other = await backend.create(declaration("a")), await backend.create(declaration("b"))
    entry = TimelineEntry(at=DAWN, by=BEN, verb="updated", text="Rolling back")
    for incident in (one, one, other):
        await backend.note(incident.id, entry, "same key")
    assert len(await backend.timeline(one.id)) == 2
    assert len(await backend.timeline(other.id)) == 2


async def test_nothing_can_be_changed_about_an_incident_that_is_not_there(backend: IncidentBackend) -> None:
    with pytest.raises(Refused):
        await backend.set_channel("01ARZ3NDEKTSV4RRFFQ69G5FAV", CHANNEL)
    with pytest.raises(Refused):
        await backend.note("01ARZ3NDEKTSV4RRFFQ69G5FAV", TimelineEntry(at=DAWN, verb="updated"), "k")


async def test_a_test_stays_a_test(backend: IncidentBackend) -> None:
    made = await backend.create(declaration(mode="test"))
    found = await backend.find(made.reference)
    assert found is not None
    assert (found.name, found.mode) == ("Checkout is slow", "test")


async def test_a_private_incident_stays_private_or_is_refused_where_it_cannot_be(
    backend: IncidentBackend,
) -> None:
    form, private = await backend.form(), declaration(visibility="private")
    if not form.offers_private:
        with pytest.raises(Refused, match=form.private_refusal):
            await backend.create(private)
        assert await backend.incidents() == []
        return
    made = await backend.create(private)
    found = await backend.find(made.reference)
    assert found is not None
    assert found.is_private


async def test_incidents_survive_a_restart_and_the_key_still_holds(reopen) -> None:  # type: ignore[no-untyped-def]
    before = await reopen()
    made = await before.create(full_declaration("kept"))
    told = await before.timeline(made.id)
    after = await reopen()
    found = await after.find(made.reference)
    assert found is not None
    # The answer to a create of incident.io's V1 has no timestamps and no durations; they are read later.
    times = {name: getattr(found, name) for name in ("incident_timestamp_values", "duration_metrics")}
    assert found == (made if made.incident_timestamp_values else made.model_copy(update=times))
    assert await after.timeline(made.id) == told
    assert await after.create(full_declaration("kept")) == made
    assert (await after.create(declaration("next"))).reference == "INC-2"
    await after.close()


async def test_figures_count_what_was_declared_and_private_incidents_for_the_operator_alone(
    backend: IncidentBackend,
) -> None:
    await backend.create(full_declaration())
    offers_private = (await backend.form()).offers_private
    if offers_private:
        await backend.create(declaration("private", visibility="private"))
    await backend.create(declaration("test", mode="test"))
    source = backend.insights if isinstance(backend, LocalBackend) else ListedInsights(backend).source
    chosen = Chosen(DAWN.date() - timedelta(days=6), DAWN.date())
    for sees_private, declared in ((False, 1), (True, 1 + offers_private)):
        counted = await source.count(chosen, sees_private, None)
        people = busiest(added(counted.days.values(), chosen), counted.names)
        names = await source.names(people)
        found = figures(counted, chosen, names, DAWN.date())
        assert (found.counted, found.open, dict(found.apart)) == (declared, declared, {"Test": 1})
        rows = {table.id: table.rows for table in found.tables}
        assert [row[1:] for row in rows["people"]] == [("Incident Lead", 1, timedelta())]
        assert rows["by-time"][-1][-1] == declared
        (areas,) = [rows[name] for name in rows if name.endswith("affected_area")]
        assert len(areas) == 2
        assert (counted.missing, counted.newest) == (0, None)


HOSTILE = st.text(min_size=1, max_size=80) | st.sampled_from(
    ["'); DROP TABLE incidents;--", "\x00", "<!channel> <@U1>", "{{7*7}}", "%s%n", "\u202egnp.exe", "🔥" * 60]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE, summary=HOSTILE, who=HOSTILE)
async def test_any_text_that_passed_the_rules_comes_back_as_it_was(
    backend: IncidentBackend, name: str, summary: str, who: str
) -> None:
    name, summary, who = clean_text(name), clean_text(summary, lines=True), clean_text(who)
    if not is_visible(name):
        return
    reporter = Person(slack_user_id=PersonId(f"U{abs(hash(who))}"), name=who or None)
    asked = declaration(repr((name, summary, who)), name=name, summary=summary, reporter=reporter)
    made = await backend.create(asked)
    found = await backend.find(made.reference)
    assert found is not None
    assert (found.name, found.summary, found.creator) == (name, summary, reporter)


async def test_text_that_cannot_be_kept_is_refused_in_a_sentence(backend: IncidentBackend) -> None:
    with pytest.raises(Refused, match="broken character"):
        await backend.create(declaration(name="half an emoji \ud83d"))
    assert await backend.incidents() == []


async def test_a_page_of_the_list_has_what_its_filters_say_that_the_backend_knows(
    backend: IncidentBackend,
) -> None:
    names = ("Ada", "Bee", "Cid", "Dee", "Eva", "Fay")
    for number, name in enumerate(names):
        await backend.create(
            full_declaration(
                f"key-{number}",
                name=name,
                summary="",
                severity_id="minor" if number % 2 else "critical",
                at=DAWN + timedelta(days=number),
            )
        )
    made = {incident.name: incident for incident in (await backend.listed(IncidentQuery())).incidents}
    closed = next(one.id for one in (await backend.form()).statuses if one.category == "closed")
    for number in (1, 4):
        change = IncidentChange(key=f"c{number}", by=ANA, at=DAWN, incident_status_id=closed)
        await backend.change(made[names[number]].id, change)
    severity, status = made["Ada"].severity, made["Ada"].incident_status
    assert severity is not None
    # DevRev sets the time itself.
    day = made["Dee"].created_at
    later = [number for number in range(5, -1, -1) if made[names[number]].created_at >= day]
    earlier = [number for number in range(5, -1, -1) if number not in later]
    queries = {
        "open": (IncidentQuery(group="open"), [5, 3, 2, 0]),
        "closed": (IncidentQuery(group="closed"), [4, 1]),
        "severity": (IncidentQuery(severity_id=severity.id), [4, 2, 0]),
        "status": (IncidentQuery(incident_status_id=status.id), [5, 3, 2, 0]),
        "both": (IncidentQuery(group="closed", severity_id=severity.id), [4]),
        "from": (IncidentQuery(created_from=day), later),
        "before": (IncidentQuery(created_before=day), earlier),
        "text": (IncidentQuery(text="cid"), [2]),
        "person": (IncidentQuery(person="U0BEN"), [5, 4, 3, 2, 1, 0]),
        "incident_type_id": (IncidentQuery(incident_type_id="incident"), [5, 4, 3, 2, 1, 0]),
        "custom_field_entries": (IncidentQuery(custom_field_entries={"detected_by": "monitoring"}), []),
        "oldest_first": (IncidentQuery(oldest_first=True), [0, 1, 2, 3, 4, 5]),
    }
    for name, (wanted, expected) in queries.items():
        if name in backend.cannot_filter_by:
            continue
        found, after = list[str](), None
        while len(found) <= 6:
            page = await backend.listed(wanted.model_copy(update={"limit": 2, "after": after}))
            found += [incident.name for incident in page.incidents]
            after = page.after
            if after is None:
                break
        assert (name, found) == (name, [names[number] for number in expected])
