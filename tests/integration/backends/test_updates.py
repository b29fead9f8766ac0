"""Updates of incidents: with the choices of their time, and also from before they were kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.api_world import filled_world
from support.declarations import ANA, DAWN, Ticking, declaration
from support.filled import in_postgresql
from support.first_files import new_incidents
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.postgresql import PostgresqlConnection
from tocsin.backends.local.postgresql import in_postgresql as statement_in_postgresql
from tocsin.backends.local.schema import UPDATED
from tocsin.config import IncidentConfig
from tocsin.incidents.requests import IncidentChange

pytestmark = pytest.mark.process


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def backend(
    request: pytest.FixtureRequest, postgresql: PostgresqlServer, tmp_path: Path
) -> AsyncIterator[LocalBackend]:
    opened = (
        await in_postgresql(postgresql.create_database())
        if request.param == "postgresql"
        else await LocalBackend.open(
            await new_incidents(tmp_path / "incidents.db"),
            IncidentConfig(),
            public_url="http://127.0.0.1",
            clock=Ticking(),
        )
    )
    yield opened
    await opened.close()


Told = list[tuple[str, str, str, str | None, str | None]]


async def told(backend: LocalBackend, *, sees_private: bool = True) -> Told:
    """Each update: its incident, its message, and its status, severity and merge."""
    found, _ = await backend.reader.updates(
        incident_id=None, sees_private=sees_private, after=None, limit=100
    )
    return [
        (one.incident_id, one.message, one.incident_status_id, one.severity_id, one.merged_into_incident_id)
        for one in found
    ]


def kept_anew(db: SqlConnection) -> None:
    """Make the table as an upgrade makes it, from the timelines."""
    db.execute("DROP TABLE incident_updates")
    for statement in UPDATED:
        shared = isinstance(db, PostgresqlConnection)
        db.execute(statement_in_postgresql(statement) if shared else statement)


async def test_an_upgrade_finds_the_updates_of_before_in_the_timelines(backend: LocalBackend) -> None:
    await filled_world(backend)
    before = await told(backend)
    assert len(before) == 4
    await backend.database.run(kept_anew)
    assert sorted(await told(backend), key=str) == sorted(before, key=str)


async def test_a_repeated_change_makes_one_update_and_one_of_something_else_makes_none(
    backend: LocalBackend,
) -> None:
    made = await backend.create(declaration())
    fixing = IncidentChange(key="one", by=ANA, at=DAWN, incident_status_id="fixing", message="On it")
    for change in (fixing, fixing, IncidentChange(key="two", by=ANA, at=DAWN, name="Renamed")):
        await backend.change(made.id, change)
    assert await told(backend) == [(made.id, "On it", "fixing", "major", None)]


async def test_an_update_does_not_name_the_private_incident_that_it_was_merged_into(
    backend: LocalBackend,
) -> None:
    public = await backend.create(declaration("public"))
    private = await backend.create(declaration("private", visibility="private"))
    merged = IncidentChange(
        key="m", by=ANA, at=DAWN, incident_status_id="merged", merged_into=private.reference
    )
    await backend.change(public.id, merged)
    assert await told(backend) == [(public.id, "", "merged", "major", private.id)]
    assert await told(backend, sees_private=False) == [(public.id, "", "merged", "major", None)]
