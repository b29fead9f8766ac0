"""An account at incident.io is brought over into Tocsin's own database, whole and once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN, Ticking, declaration
from support.incident_io.account import Account
from support.incident_io.server import IncidentIoServer, failing, running_incident_io
from support.postgresql import PostgresqlServer

from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.updates import Update, read_updates
from tocsin.data_dir import open_backend
from tocsin.importing import import_account
from tocsin.incidents.errors import Refused
from tocsin.incidents.export import IncidentReport, report_record
from tocsin.incidents.model import CatalogEntry, FieldOption, FieldValue, Incident, TimelineEntry
from tocsin.incidents.requests import FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.incidents.transitions import STATUS_VERBS
from tocsin.settings import Settings, read_settings
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.workflows.export import fetch_report
from tocsin.workflows.ports import IncidentBackend

LATER = DAWN + timedelta(hours=1)
HOSTED = "01FCNDV6P870EA6S7TK1DSYDG0"


def account() -> Account:
    """An account with severities and a status of its own, and the rest as usual."""
    made = Account(clock=Ticking())
    made.severities[2] |= {"id": HOSTED, "name": "SEV1"}
    del made.severities[0]
    made.statuses[3] |= {"id": "01WATCHING", "name": "Watching"}
    return made


async def fill(hosted: IncidentIo, server: IncidentIoServer) -> None:
    """Three incidents with everything that there can be: public and private, open and closed."""
    entries = {
        "affected_area": (FieldValue(value_option=FieldOption(id="api", value="API", sort_key=2)),),
        "customers_affected": (FieldValue(value_numeric="1200"),),
        "team": (FieldValue(value_catalog_entry=CatalogEntry(id="01ENTRYSEARCH", name="Search crew")),),
    }
    roles = {"communications": BEN.slack_user_id}
    await hosted.form()
    first = await hosted.create(
        declaration("a", severity_id=HOSTED, custom_field_entries=entries, incident_role_assignments=roles)
    )
    second = await hosted.create(declaration("b", visibility="private", name="A leak"))
    third = await hosted.create(declaration("c", mode="test", name="Only a test"))
    account = server.account
    account.incidents[0]["postmortem_document_url"] = "https://docs.example.com/1"
    account.open_channel(account.incidents[0], "C0GENERAL1", "inc-1")
    account.memberships.add((second.id, "01USERU0BEN"))
    by = {"by": ANA, "at": DAWN}
    await hosted.note(first.id, TimelineEntry(at=LATER, verb="Graphs look odd", text="since noon"), "n")
    account.clock = Ticking(DAWN + timedelta(minutes=5))
    change = IncidentChange(key="u", message="We rolled back.", incident_status_id="01WATCHING", **by)
    await hosted.change(first.id, change)
    for status in ("triage", "fixing", "closed"):
        await hosted.change(third.id, IncidentChange(key=status, incident_status_id=status, **by))
    todo = await hosted.add_follow_up(first.id, FollowUpRequest(key="t", text="Write an alert", **by))
    await hosted.complete_follow_up(todo.id, ANA, DAWN, "d")
    ask = FollowUpRequest(key="f", kind="follow_up", text="Buy disks", assignee=BEN, **by)
    await hosted.add_follow_up(first.id, ask)
    resource = {"resource_type": "arbitrary_url", "permalink": "https://wiki.example.com/1", "title": "Notes"}
    resource["external_id"] = "1"
    account.attachments.append({"id": "01ATT", "incident_id": first.id, "resource": resource})


@pytest.fixture
async def hosted(tmp_path: Path) -> AsyncIterator[IncidentIoServer]:
    """A filled account at incident.io."""
    memory = SqlKeyValueStore(Database(f"sqlite:///{tmp_path / 'hosted.db'}"))
    async with running_incident_io(account()) as server:
        filling = IncidentIo(server.url, server.account.key, store=memory, clock=Ticking())
        await fill(filling, server)
        await filling.close()
        yield server
    memory.database.close()


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.process)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, hosted: IncidentIoServer) -> Settings:
    """The settings of a Tocsin that has no incidents yet, and the key of the account."""
    given = {"incident_io_url": hosted.url, "incident_io_api_key": hosted.account.key}
    if request.param == "PostgreSQL":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        given["tocsin_database_url"] = server.create_database()
    return read_settings(tocsin_data_dir=tmp_path / "kept", **given)


@asynccontextmanager
async def opened(settings: Settings, name: str = "local") -> AsyncIterator[IncidentBackend]:
    wanted = settings.model_copy(update={"tocsin_backend": name})
    assert settings.tocsin_data_dir is not None
    backend = await open_backend(wanted, settings.tocsin_data_dir)
    yield backend
    await backend.close()


async def reports(settings: Settings, name: str = "local") -> dict[str, IncidentReport]:
    """Every incident as it can leave, by reference."""
    async with opened(settings, name) as backend:
        if name != "local":
            await backend.form()
        found = await backend.incidents(limit=50)
        return {one.reference: await fetch_report(backend, one) for one in found}


async def attached(settings: Settings) -> list[tuple[str, str]]:
    """What is attached to any incident."""
    async with opened(settings) as backend:
        assert isinstance(backend, LocalBackend)
        query = "SELECT title, permalink FROM incident_attachments"
        rows = await backend.database.run(lambda db: list(db.query(query)))
        return [(row["title"], row["permalink"]) for row in rows]


async def updates_of(settings: Settings, incident: Incident) -> list[Update]:
    """The updates of an incident, as the API lists them."""
    asked: Any = {"incident_id": incident.id, "sees_private": True, "after": None, "limit": 9}
    async with opened(settings) as backend:
        assert isinstance(backend, LocalBackend)
        return await backend.database.run(lambda db: read_updates(db, **asked))


LEFT = (
    "postmortem_document_url",
    *("permalink", "timeline", "follow_ups", "incident_timestamp_values", "duration_metrics", "durations"),
    *("closed_at", "members"),
)
"""Properties that are compared by themselves, or that are not the same: a page of its own, for one."""


def plain(report: IncidentReport) -> dict[str, Any]:
    record = {name: value for name, value in report_record(report).items() if name not in LEFT}
    roles = record["incident_role_assignments"]
    # The reporter is the creator there, and has a role of their own here.
    record["incident_role_assignments"] = [one for one in roles if one["role"]["role_type"] != "reporter"]
    # An entry of a catalog is an option here.
    record["custom_field_entries"] = [
        (entry.custom_field.id, [value.shown for value in entry.values])
        for entry in report.incident.custom_field_entries
    ]
    return record


def said(report: IncidentReport) -> list[tuple[str, str]]:
    return [(entry.verb, entry.text) for entry in report.timeline]


async def test_everything_comes_over_with_its_ids_and_numbers_and_leaves_again_as_it_came(
    hosted: IncidentIoServer, settings: Settings
) -> None:
    lines: list[str] = []
    outcome = await import_account(settings, lines.append)
    assert outcome == "Incidents imported: 3."
    assert lines[0].startswith("Severities: 2, statuses: 8, types: 3, roles: 3, custom fields: 6, ")
    assert lines[-1] == "3 incidents, as far as INC-1."
    there, here = await reports(settings, "incident_io"), await reports(settings)
    assert here.keys() == there.keys() == {"INC-1", "INC-2", "INC-3"}
    for reference, report in here.items():
        assert plain(report) == plain(there[reference])
    first, leak = here["INC-1"], here["INC-2"].incident
    assert said(first) == [
        ("declared", "Checkout is slow (SEV1)"),
        ("attached", "Notes https://wiki.example.com/1"),
        ("attached", "Post-incident document https://docs.example.com/1"),
        ("set the status to", "Watching"),
        ("gave an update:", "We rolled back.\n\n(Ana Torres, from Slack)"),
        ("added an action:", "Write an alert"),
        ("Done, the action:", "Write an alert"),
        ("added a follow-up:", "Buy disks"),
        ("Graphs look odd", "since noon"),
        ("Brought over from incident.io:", "INC-1 https://app.incident.io/incidents/1"),
    ]
    assert [(one.kind, one.text, one.is_done) for one in first.follow_ups] == [
        ("action", "Write an alert", True),
        ("follow_up", "Buy disks", False),
    ]
    (update,) = await updates_of(settings, first.incident)
    assert (update.incident_status_id, update.severity_id) == ("01WATCHING", HOSTED)
    assert update.id == hosted.account.updates[0]["id"]
    assert await attached(settings) == [
        ("Notes", "https://wiki.example.com/1"),
        ("Post-incident document", "https://docs.example.com/1"),
    ]
    assert [person.slack_user_id for person in leak.members] == [BEN.slack_user_id]
    async with opened(settings) as backend:
        seen = await backend.matching(IncidentFilter(visible_to=BEN.slack_user_id, text="leak"))
        assert [one.reference for one in seen] == ["INC-2"]
        assert await backend.matching(IncidentFilter(visible_to="U0CHLOE", text="leak")) == []
        form = await backend.form()
        assert [(one.id, one.name) for one in form.severities] == [("major", "Major"), (HOSTED, "SEV1")]
        assert "Watching" in [one.name for one in form.statuses]
        assert [o.value for o in form.custom_fields[-1].options] == ["Checkout crew", "Search crew"]
    # *Reported at* is our *Reported*, so that it goes on being set by itself.
    (reported,) = first.incident.incident_timestamp_values
    named = reported.incident_timestamp
    assert (named.id, named.name, reported.value) == ("reported", "Reported at", first.incident.created_at)
    assert here["INC-3"].incident.closed_at is not None


async def test_a_run_that_was_stopped_goes_on_where_it_was_and_brings_nothing_twice(
    hosted: IncidentIoServer, settings: Settings
) -> None:
    hosted.fail("GET", "/v3/actions", *[failing(403)] * 5)
    with pytest.raises(Refused, match="/v3/actions"):
        await import_account(settings, print)
    hosted.faults.clear()
    hosted.fail("GET", "/v2/incident_updates", failing(429, **{"Retry-After": "7"}), failing(500))

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_account(settings, stop)
    assert await import_account(settings, print) == "Incidents imported: 3."
    before = await reports(settings)
    again = await import_account(settings, print)
    assert again == "Incidents imported: 0.\nAlready there from an earlier run: 3."
    assert await reports(settings) == before
    assert [words for words in said(before["INC-3"]) if words[0] in STATUS_VERBS] == [
        ("set the status to", "Triage"),
        ("accepted it as", "Fixing"),
        ("set the status to", "Closed"),
    ]


async def test_beside_incidents_of_its_own_what_comes_gets_free_numbers_and_choices_of_the_same_name_are_one(
    hosted: IncidentIoServer, settings: Settings, tmp_path: Path
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text("statuses = ['Looking', {name = 'Closed', category = 'closed'}]")
    settings = settings.model_copy(update={"tocsin_config": config})
    assert settings.tocsin_data_dir is not None
    store = SqlKeyValueStore(Database(f"sqlite:///{tmp_path / 'own.db'}"))
    own = await open_backend(settings, settings.tocsin_data_dir, store=store)
    await own.create(declaration("own"))
    await own.close()
    store.database.close()
    outcome = await import_account(settings, print)
    assert outcome.splitlines()[1] == ("With another number, because theirs was taken: 1 (INC-1 is INC-4).")
    async with opened(settings) as backend:
        form = await backend.form()
        assert [one.name for one in form.statuses] == ["Looking", "Closed"], "the file rules"
        assert sorted(one.name for one in form.severities) == ["Critical", "Major", "Minor", "SEV1"]
        found = {one.reference: one for one in await backend.incidents()}
        assert found["INC-4"].incident_status.name == "Watching"
        assert (found["INC-2"].severity, found["INC-3"].incident_status.id) == (form.severities[1], "closed")
        by_hosted_id = await backend.find(hosted.account.incidents[0]["id"])
        assert by_hosted_id == found["INC-4"]
