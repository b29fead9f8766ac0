"""A page of incidents costs the same among a thousand and among many: counted in SQLite's own steps."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlite_utils import Database
from support.declarations import ANA, BEN, Ticking, declaration
from support.first_files import new_incidents

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.queries import matching_numbers
from tocsin.config import IncidentConfig
from tocsin.incidents.model import PersonId
from tocsin.incidents.requests import IncidentFilter

FEW, MANY = 1_000, int(os.environ.get("TOCSIN_TEST_INCIDENTS", "20000"))
CHLOE, NOBODY = PersonId("U0CHLOE"), PersonId("U0NOBODY")

# Nine of ten are closed, one of ten private, one of a thousand critical; Ana reported nearly all of them.
FILL = """
WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO incidents (id, number, reference, idempotency_key, name, summary, severity_id,
    incident_status_id, visibility, mode, creator_slack_user_id, created_at, updated_at, closed_at)
SELECT printf('%026d', i), i, 'INC-' || i, 'key ' || i, 'Checkout is slow ' || i,
    'Shard ' || printf('%02d', i % 33), iif(i % 1000 = 7, 'critical', 'major'),
    iif(i % 10 = 1, 'fixing', 'closed'),
    iif(i % 10 = 3, 'private', 'public'), 'standard', iif(i % 30 = 9, 'U0BEN', 'U0ANA'),
    '2026-03-01T03:00:00Z', '2026-03-01T03:00:00Z', iif(i % 10 = 1, NULL, '2026-03-01T04:00:00Z')
FROM n
"""

WANTED: dict[str, dict[str, Any]] = {
    "all": {},
    "open": {"is_open": True},
    "closed": {"is_open": False},
    "open, for somebody": {"is_open": True, "visible_to": CHLOE},
    "all, for nobody in particular": {"visible_to": NOBODY},
    "mine, open": {"is_open": True, "involving": ANA.slack_user_id, "visible_to": ANA.slack_user_id},
    "mine, rare": {"involving": BEN.slack_user_id, "visible_to": BEN.slack_user_id},
    "a rare severity": {"severity_id": "critical"},
    "an open and critical one, of which there is none": {"is_open": True, "severity_id": "critical"},
    "a status": {"incident_status_id": "fixing", "visible_to": CHLOE},
    "a status and a severity": {"incident_status_id": "fixing", "severity_id": "critical"},
    "a word that all have": {"text": "checkout", "visible_to": CHLOE},
    "a word that few have": {"text": "shard 32 checkout"},
    "a reference": {"text": "INC-777", "is_open": True},
    "a word that none has": {"text": "zebra"},
}


async def opened(folder: Path, number: int) -> LocalBackend:
    backend = await LocalBackend.open(
        await new_incidents(folder / f"{number}.db"),
        IncidentConfig(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
    )
    for key in ("one", "two"):
        await backend.create(declaration(key, reporter=ANA if key == "one" else BEN))
    await backend.database.run(lambda db: db.execute(FILL, [number]) and db.conn.commit())
    return backend


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sizes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[LocalBackend]]:
    folder = tmp_path_factory.mktemp("lists")
    backends = [await opened(folder, number) for number in (FEW, MANY)]
    yield backends
    for backend in backends:
        await backend.close()


async def steps(backend: LocalBackend, wanted: IncidentFilter) -> int:
    """SQLite's virtual machine steps for the first page, in tens."""

    def counted(db: Database) -> int:
        matching_numbers(db, wanted, None, 20)
        tens = 0

        def count() -> int:
            nonlocal tens
            tens += 1
            return 0

        db.conn.set_progress_handler(count, 10)
        try:
            matching_numbers(db, wanted, None, 20)
        finally:
            db.conn.set_progress_handler(None, 0)
        return tens * 10

    return await backend.database.run(counted)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", WANTED)
async def test_a_page_takes_as_many_steps_among_few_as_among_many(
    sizes: list[LocalBackend], name: str
) -> None:
    few, many = [await steps(backend, IncidentFilter(**WANTED[name])) for backend in sizes]
    print(f"{name}: {few} steps among {FEW}, {many} among {MANY}")
    # Words are looked up in a tree that is a little deeper for many; a full page takes more than part of one.
    assert many <= 2 * few + 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", WANTED)
async def test_a_page_holds_what_is_wanted_and_no_more(sizes: list[LocalBackend], name: str) -> None:
    """As a plain look at every incident would find it."""
    wanted = IncidentFilter(**WANTED[name])
    backend = sizes[0]
    found = [incident.id for incident in await backend.matching(wanted, limit=20)]
    every = [i for n in range(5) for i in await _page(backend, n)]
    plain = [incident for incident in every if _matches(wanted, incident)]
    assert found == [incident.id for incident in plain][:20]


async def _page(backend: LocalBackend, number: int) -> Any:
    after = None if number == 0 else f"INC-{FEW - 250 * number + 1}"
    last = None if after is None else await backend.find(after)
    return await backend.incidents(after=last.id if last else None, limit=250) if last or not number else []


def _matches(wanted: IncidentFilter, incident: Any) -> bool:
    words = f"{incident.reference} {incident.name} {incident.summary}".lower().replace("-", " ").split()
    asked = wanted.text.lower().replace("-", " ").split()
    return all(
        (
            wanted.is_open is None or incident.incident_status.is_open == wanted.is_open,
            wanted.severity_id in {None, incident.severity.id},
            wanted.incident_status_id in {None, incident.incident_status.id},
            wanted.involving is None or wanted.involving in incident.people,
            wanted.visible_to is None or not incident.is_private or wanted.visible_to in incident.people,
            all(any(word.startswith(one) for word in words) for one in asked),
        )
    )
