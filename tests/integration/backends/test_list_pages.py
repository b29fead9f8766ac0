"""Pages of the list that people read hold what a look at every incident finds, in both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio
from support.declarations import Ticking
from support.filled import ANA, BEN, NORTH, SOUTH, STRANGER, fill, in_postgresql
from support.first_files import new_incidents
from support.postgresql import PostgresqlServer

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.listing import LOOKED_AT
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, Person
from tocsin.incidents.requests import NOBODY, IncidentQuery
from tocsin.incidents.validation import is_in_teams, is_visible_to

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE, LARGE = 240, 5 * LOOKED_AT
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
TYPE = "INSERT INTO incident_types (id, name, created_at, updated_at) VALUES ('security', 'Security', '', '')"
# The oldest alone have an answer, so that a page that looks for it among very many has far to go.
DIFFERENT = (
    "UPDATE incidents SET incident_status_id = 'triage', closed_at = NULL WHERE number % 50 = 1",
    "UPDATE incidents SET incident_type_id = 'security' WHERE number % 11 = 0",
    "INSERT INTO custom_field_entries (incident_id, custom_field_id, position, value_option_id)"
    " SELECT id, 'affected_area', 0, 'api' FROM incidents WHERE number % 6 < 2 AND number <= 240",
)


async def prepared(backend: LocalBackend, size: int) -> LocalBackend:
    def differ(db: SqlConnection) -> None:
        with db.transaction("differ"):
            db.execute(TYPE)
            for statement in DIFFERENT:
                db.execute(statement)
            for number in range(1, SIZE + 1):
                at = (FIRST_DAY + timedelta(days=number // 10)).isoformat(timespec="microseconds")
                written = at.replace("+00:00", "Z")
                db.execute("UPDATE incidents SET created_at = ? WHERE number = ?", [written, number])

    await backend.database.run(lambda db: fill(db, size))
    await backend.database.run(differ)
    await backend.remember_people(
        [Person(slack_user_id=ANA, name="Ana Torres"), Person(slack_user_id=BEN, name="Ben Okafor")]
    )
    return backend


async def in_file(folder: Path) -> LocalBackend:
    return await LocalBackend.open(
        await new_incidents(folder / "incidents.db"),
        IncidentConfig(),
        public_url="http://127.0.0.1",
        clock=Ticking(),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalBackend]:
    backend = await prepared(await in_file(tmp_path_factory.mktemp("list")), SIZE)
    yield backend
    await backend.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgresql: PostgresqlServer) -> AsyncIterator[LocalBackend]:
    backend = await prepared(await in_postgresql(postgresql.create_database()), SIZE)
    yield backend
    await backend.close()


FILTERS: dict[str, dict[str, object]] = {
    "none": {},
    "open": {"group": "open"},
    "triage": {"group": "triage"},
    "closed": {"group": "closed"},
    "a status": {"incident_status_id": "fixing"},
    "a closed status": {"incident_status_id": "closed", "group": "closed"},
    "a status of another part": {"incident_status_id": "fixing", "group": "closed"},
    "no status": {"incident_status_id": "nothing"},
    "a severity": {"severity_id": "minor"},
    "open of a severity": {"severity_id": "critical", "group": "open"},
    "closed of a severity": {"severity_id": "major", "group": "closed"},
    "a type": {"incident_type_id": "security"},
    "a type in triage": {"incident_type_id": "security", "group": "triage"},
    "words": {"text": "checkout"},
    "words, closed": {"text": "payments", "group": "closed"},
    "words, open, of a severity": {"text": "checkout", "group": "open", "severity_id": "critical"},
    "words of a type and a status": {
        "text": "search",
        "group": "closed",
        "incident_status_id": "closed",
        "incident_type_id": "security",
    },
    "no word": {"text": "…"},
    "a person": {"person": BEN},
    "a person by name, closed": {"person": "ben ok", "group": "closed"},
    "a person who leads": {"person": BEN, "role_id": "lead"},
    "people by name who lead": {"person": "B", "role_id": "lead", "group": "open"},
    "nobody of that name": {"person": "Chloe"},
    "words and a person": {"text": "checkout", "person": "@Ana"},
    "an answer": {"custom_field_entries": {"affected_area": "api"}},
    "an answer, a type and words": {
        "custom_field_entries": {"affected_area": "api"},
        "incident_type_id": "security",
        "text": "search",
    },
    "a time": {
        "created_from": FIRST_DAY + timedelta(days=8),
        "created_before": FIRST_DAY + timedelta(days=17),
    },
    "everything": {
        "group": "closed",
        "severity_id": "major",
        "incident_type_id": "incident",
        "text": "down",
        "person": ANA,
        "custom_field_entries": {"affected_area": "api"},
        "created_from": FIRST_DAY + timedelta(days=6),
    },
}
VIEWERS: dict[str, dict[str, object]] = {
    "all": {"visible_to": None},
    "what is public": {"visible_to": NOBODY},
    "Ana's": {"visible_to": ANA, "teams": frozenset([NORTH])},
    "Ben's": {"visible_to": BEN},
    "a stranger's": {"visible_to": STRANGER, "teams": frozenset([SOUTH, NORTH])},
}


def involved(incident: Incident, wanted: IncidentQuery) -> bool:
    people = [incident.creator, *incident.role_holders]
    if wanted.role_id is not None:
        people = [a.assignee for a in incident.incident_role_assignments if a.role.id == wanted.role_id]
    said = wanted.person.removeprefix("@").casefold()
    return any(
        person is not None
        and (person.slack_user_id == wanted.person or (person.name or "-").casefold().startswith(said))
        for person in people
    )


def fits(incident: Incident, wanted: IncidentQuery) -> bool:
    words = f"{incident.name} {incident.summary}".casefold().split()
    chosen = {"group": incident.incident_status.group, "incident_status_id": incident.incident_status.id}
    chosen |= {"severity_id": incident.severity and incident.severity.id}
    chosen |= {"incident_type_id": incident.incident_type and incident.incident_type.id}
    return (
        all(getattr(wanted, name) in (None, value) for name, value in chosen.items())
        and wanted.text != "…"
        and all(any(word.startswith(one) for word in words) for one in wanted.text.split())
        and (not wanted.person or involved(incident, wanted))
        and all(
            value in [answer.entered for answer in incident.answers(field)]
            for field, value in wanted.custom_field_entries.items()
        )
        and (wanted.created_from is None or incident.created_at >= wanted.created_from)
        and (wanted.created_before is None or incident.created_at < wanted.created_before)
        and (wanted.visible_to is None or is_visible_to(wanted.visible_to, incident))
        and is_in_teams(wanted.teams, incident)
    )


async def every(backend: LocalBackend) -> list[Incident]:
    found: list[Incident] = []
    while page := await backend.incidents(after=found[-1].id if found else None, limit=250):
        found += page
    return found


async def pages(backend: LocalBackend, wanted: IncidentQuery) -> list[Sequence[Incident]]:
    found, after = list[Sequence[Incident]](), wanted.after
    while not found or after is not None:
        page = await backend.listed(wanted.model_copy(update={"after": after}))
        found.append(page.incidents)
        assert page.is_cut == (len(page.incidents) < wanted.limit and page.after is not None)
        after = page.after
    return found


async def compare(backend: LocalBackend) -> None:
    incidents = await every(backend)
    assert len(incidents) == SIZE
    wrong = []
    for (name, filters), (whose, viewer) in product(FILTERS.items(), VIEWERS.items()):
        oldest = (len(name) + len(whose)) % 3 == 0
        wanted = IncidentQuery(**filters, **viewer, oldest_first=oldest, limit=60)
        expected = [one.reference for one in incidents if fits(one, wanted)]
        if oldest:
            expected.reverse()
        found = [one.reference for page in await pages(backend, wanted) for one in page]
        if found != expected:
            wrong.append((name, whose, oldest, len(found), len(expected)))
    assert wrong == []


async def test_every_filter_finds_for_every_viewer_what_a_look_at_each_incident_finds(
    embedded: LocalBackend,
) -> None:
    await compare(embedded)


@pytest.mark.process
async def test_so_it_does_in_postgresql(shared: LocalBackend) -> None:
    await compare(shared)


async def test_a_cursor_is_of_what_the_viewer_may_see(embedded: LocalBackend) -> None:
    hidden, seen = [
        next(i for i in await every(embedded) if i.is_private is private) for private in (True, False)
    ]
    wanted = IncidentQuery(visible_to=STRANGER, limit=5)
    assert (await embedded.listed(wanted.model_copy(update={"after": seen.id}))).incidents
    for after in (hidden.id, "01JZZZZZZZZZZZZZZZZZZZZZZZ", "nonsense", "", "0", "' OR 1=1--", "\x00"):
        with pytest.raises(Refused) as refusal:
            await embedded.listed(wanted.model_copy(update={"after": after}))
        assert refusal.value.fields == {"after": "There is nothing with this id to go on after."}


async def test_what_is_rare_is_found_by_pages_that_look_at_so_many_at_most(tmp_path: Path) -> None:
    """Every cursor on the way to the oldest ones is a round number, which names no incident."""
    backend = await prepared(await in_file(tmp_path), LARGE)
    for text in ("", "down"):
        wanted = IncidentQuery(text=text, group="closed", visible_to=NOBODY, limit=200)
        wanted = wanted.model_copy(update={"custom_field_entries": {"affected_area": "api"}})
        found, cut = list[str](), list[str]()
        for _ in range(LARGE // LOOKED_AT + 1):
            page = await backend.listed(wanted)
            found += [incident.reference for incident in page.incidents]
            if page.after is None:
                break
            assert page.is_cut
            cut.append(page.after)
            wanted = wanted.model_copy(update={"after": page.after})
        kinds = [n for n in range(SIZE, 0, -1) if n % 6 < 2 and n % 4 != 3 and n % 3 and n % 50 != 1]
        assert found == [f"INC-{n}" for n in kinds if not text or n % 10]
        assert cut
        assert all(place.endswith("00") for place in cut)
    await backend.close()
