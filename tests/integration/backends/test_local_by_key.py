"""What API keys bring into the local backend, in the file and in PostgreSQL: creators, attachments, tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.declarations import ANA, DAWN, Ticking, declaration
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused, Unchanged
from tocsin.incidents.model import Attachment, Automation, Person
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest, IncidentChange
from tocsin.storage.postgresql import create_schema, postgresql_engine

LATER = DAWN + timedelta(minutes=5)
CI = Person(name="the key ci")


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.process)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalBackend]:
    where: object = tmp_path / "incidents.db"
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        engine = postgresql_engine(server.create_database(), session=SESSION, autocommit=True)
        create_schema(engine)
        where = engine
    opened = await LocalBackend.open(
        where,  # type: ignore[arg-type]
        IncidentConfig(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
    )
    yield opened
    await opened.close()


async def test_an_incident_by_a_key_has_no_reporter_and_starts_where_it_is_asked_to(
    backend: LocalBackend,
) -> None:
    key = Automation(kind="api_key", id="k1", name="ci")
    asked = declaration().model_copy(
        update={"reporter": Person(), "automation": key, "incident_status_id": "monitoring"}
    )
    incident = await backend.create(asked)
    assert (incident.creator, incident.automation, incident.people) == (Person(), key, ())
    assert incident.incident_status.id == "monitoring"
    assert [entry.by for entry in await backend.timeline(incident.id)] == [CI]
    assert (await backend.create(declaration(key="other"))).automation is None


async def test_nothing_is_changed_where_all_is_so_already(backend: LocalBackend) -> None:
    incident = await backend.create(declaration())
    with pytest.raises(Unchanged):
        await backend.change(incident.id, IncidentChange(key="same", by=CI, at=LATER, name=incident.name))


async def test_a_task_is_changed_in_every_part_each_once_and_gone_once_it_is_deleted(
    backend: LocalBackend,
) -> None:
    incident = await backend.create(declaration())
    request = FollowUpRequest(key="f", by=CI, at=LATER, text="page the DBA", description="soon", assignee=ANA)
    added = await backend.add_follow_up(incident.id, request)
    assert (added.description, added.status, added.updated_at) == ("soon", "outstanding", LATER)

    async def changed(key: str, **what: object) -> tuple[object, ...]:
        asked = FollowUpChange.model_validate({"key": key, "by": CI, "at": LATER, **what})
        one = await backend.change_follow_up(added.id, asked)
        assert await backend.change_follow_up(added.id, asked) == one
        return one.text, one.description, one.status, one.is_done, one.assignee and one.assignee.name

    name = ANA.name
    assert await changed("1", text="ask the DBA") == ("ask the DBA", "soon", "outstanding", False, name)
    assert await changed("2", status="not_doing") == ("ask the DBA", "soon", "not_doing", True, name)
    again = ("ask the DBA", "", "outstanding", False, name)
    assert await changed("3", status="outstanding", description="") == again
    over = ("ask the DBA", "", "completed", True, None)
    assert await changed("4", unassigned=True, status="completed") == over
    assert (await changed("5", status="deleted"))[2] == "deleted"
    with pytest.raises(Refused):
        await changed("6", text="too late")
    assert await backend.follow_ups(incident.id) == []
    verbs = [entry.verb for entry in await backend.timeline(incident.id)]
    assert verbs[1:] == [
        "added an action:",
        "renamed the action:",
        "decided against the action:",
        "described the action:",
        "reopened the action:",
        "unassigned the action:",
        "completed the action:",
        "deleted the action:",
    ]


async def test_a_thing_is_attached_once_found_by_what_it_is_and_taken_away(backend: LocalBackend) -> None:
    one, other = [await backend.create(declaration(key=key)) for key in ("1", "2")]
    asked = Attachment(
        incident_id=one.id,
        resource_type="jira_issue",
        external_id="OPS-7",
        permalink="https://jira.example.com/OPS-7",
        title="OPS-7",
    )
    known = await backend.attachments.attach(asked, CI)
    assert await backend.attachments.attach(asked, CI) == known
    also = await backend.attachments.attach(asked.model_copy(update={"incident_id": other.id}), CI)
    assert await backend.attachments.listed(None, ("jira_issue", "OPS-7")) == [known, also]
    assert await backend.attachments.listed(other.id) == [also]
    await backend.change(one.id, IncidentChange(key="hide", by=CI, at=LATER, visibility="private"))
    assert await backend.attachments.listed(None, ("jira_issue", "OPS-7"), private=False) == [also]
    for _ in range(2):
        await backend.attachments.detach(known.id, CI)
    assert await backend.attachments.find(known.id) is None
    verbs = [entry.verb for entry in await backend.timeline(one.id)]
    assert (verbs.count("attached"), verbs.count("took away the attachment")) == (1, 1)


async def test_a_change_of_a_task_that_is_repeated_late_undoes_nothing_that_came_after_it(
    backend: LocalBackend,
) -> None:
    incident = await backend.create(declaration())
    task = await backend.add_follow_up(incident.id, FollowUpRequest(key="f", by=CI, at=LATER, text="old"))
    first = FollowUpChange(key="c1", by=CI, at=LATER, status="completed", text="older")
    await backend.change_follow_up(task.id, first)
    latest = FollowUpChange(key="c2", by=CI, at=LATER, status="outstanding", text="newest")
    now = await backend.change_follow_up(task.id, latest)
    assert (now.text, now.is_done) == ("newest", False)
    assert await backend.change_follow_up(task.id, first) == now
    gone = FollowUpChange(key="c3", by=CI, at=LATER, status="deleted")
    deleted = await backend.change_follow_up(task.id, gone)
    assert await backend.change_follow_up(task.id, gone) == deleted
    with pytest.raises(Refused, match="not here any more"):
        await backend.change_follow_up(task.id, latest.model_copy(update={"key": "c4"}))
