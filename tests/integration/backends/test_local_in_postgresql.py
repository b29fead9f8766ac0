"""The local backend in PostgreSQL: several replicas at once, and a database that fails."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy.engine import make_url
from support.declarations import ANA, BEN, DAWN, Ticking, declaration, full_declaration
from support.patience import LIMIT
from support.postgresql import PostgresqlServer
from support.small_disk import SmallDisk

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION, PostgresqlConnection, PostgresqlDatabase
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Conflict, Refused, Unavailable
from tocsin.incidents.model import ChannelId, TimelineEntry
from tocsin.incidents.requests import FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.storage.postgresql import postgresql_engine
from tocsin.workflows.ports import Channel

pytestmark = pytest.mark.process

T = TypeVar("T")
PROCESS = Path(__file__).with_name("declaring_process.py")


async def replica_of(url: str) -> LocalBackend:
    """The local backend of one more replica on this database."""
    engine = postgresql_engine(url, session=SESSION, autocommit=True)
    return await LocalBackend.open(
        engine, IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )


def named(url: str) -> str:
    """The name of the database at this address."""
    return str(make_url(url).database)


@pytest.fixture
def url(postgresql: PostgresqlServer) -> str:
    return postgresql.create_database()


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[tuple[LocalBackend, LocalBackend]]:
    both = (await replica_of(url), await replica_of(url))
    yield both
    for replica in both:
        await replica.close()


# At once.


async def test_three_processes_declare_without_a_gap_or_a_duplicate(url: str) -> None:
    async with asyncio.timeout(LIMIT):
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, PROCESS, url, str(first), "50")
            for first in (0, 1000, 2000)
        ]
        assert [await process.wait() for process in processes] == [0, 0, 0]
    backend = await replica_of(url)
    kept = await backend.incidents(limit=250)
    await backend.close()
    assert [incident.reference for incident in kept] == [f"INC-{number}" for number in range(151, 0, -1)]
    assert sum(incident.name == "raced" for incident in kept) == 1


async def test_one_key_declared_by_twenty_at_once_is_one_incident(
    replicas: tuple[LocalBackend, LocalBackend],
) -> None:
    asked = [replicas[number % 2].create(declaration("same")) for number in range(20)]
    made = await asyncio.gather(*asked)
    assert {incident.reference for incident in made} == {"INC-1"}
    assert len(await replicas[0].incidents()) == 1
    assert len(await replicas[0].timeline(made[0].id)) == 1


async def test_of_two_changes_at_once_the_second_is_told(
    replicas: tuple[LocalBackend, LocalBackend],
) -> None:
    made = await replicas[0].create(declaration())
    seen = made.incident_status.id
    changes = [
        IncidentChange(key=wanted, by=by, at=DAWN, incident_status_id=wanted, seen_status_id=seen)
        for by, wanted in ((ANA, "fixing"), (BEN, "monitoring"))
    ]
    ended = await asyncio.gather(
        *(replica.change(made.id, change) for replica, change in zip(replicas, changes, strict=True)),
        return_exceptions=True,
    )
    told = [one for one in ended if isinstance(one, BaseException)]
    assert [type(one) for one in told] == [Conflict]
    assert "Nothing was changed: look again." in str(told[0])
    (entry,) = (await replicas[0].timeline(made.id))[1:]
    found = await replicas[0].find(made.id)
    assert found is not None
    assert entry.text == found.incident_status.name


async def test_replicas_that_start_together_create_the_tables_once(postgresql: PostgresqlServer) -> None:
    url = postgresql.create_database(empty=True)
    postgresql.execute("CREATE SCHEMA tocsin", named(url))
    opened = await asyncio.gather(*(replica_of(url) for _ in range(4)))
    assert (await opened[0].create(declaration())).reference == "INC-1"
    for replica in opened:
        await replica.close()


async def test_of_two_transactions_that_wait_for_each_other_both_are_done(
    replicas: tuple[LocalBackend, LocalBackend],
) -> None:
    both_hold_one, tries = threading.Barrier(2), list[str]()

    def crosswise(first: str, second: str) -> Callable[[PostgresqlConnection], None]:
        def work(db: PostgresqlConnection) -> None:
            tries.append(first)
            with db.transaction(first):
                if tries.count(first) == 1:
                    both_hold_one.wait(LIMIT)
                db.lock(second)

        return work

    one, other = (in_postgresql(replica) for replica in replicas)
    await asyncio.gather(one.run(crosswise("a", "b")), other.run(crosswise("b", "a")))
    assert len(tries) == 3, "one of them was done again"


def in_postgresql(replica: LocalBackend) -> PostgresqlDatabase:
    assert isinstance(replica.database, PostgresqlDatabase)
    return replica.database


# A connection that is lost in the middle of a write.

WRITTEN = ("incidents", "incident_timeline_items", "follow_ups", "people")
BOMB = """
CREATE SEQUENCE tocsin.bomb START 2;
CREATE FUNCTION tocsin.explode() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('tocsin.bomb') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL; END $$;
"""
TRIGGER = """
CREATE CONSTRAINT TRIGGER bomb_{table} AFTER INSERT OR UPDATE OR DELETE ON tocsin.{table}
    DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION tocsin.explode();
"""
SET_OFF = "SELECT setval('tocsin.bomb', 1, false)"

Write = Callable[[LocalBackend], Awaitable[Any]]


async def _newest_id(backend: LocalBackend) -> str:
    return (await backend.incidents(limit=1))[0].id


def _written() -> Iterator[tuple[str, Write]]:
    """Every kind of write, in an order in which each has something to write to."""
    entry = TimelineEntry(at=DAWN, by=BEN, verb="noted", text="graphs look odd")
    todo = FollowUpRequest(key="todo", by=ANA, at=DAWN, text="write it up", assignee=BEN)
    change = IncidentChange(
        key="change",
        by=BEN,
        at=DAWN,
        name="Carts are slow",
        incident_status_id="closed",
        incident_role_assignments={"lead": ANA.slack_user_id},
    )

    async def set_channel(backend: LocalBackend) -> None:
        await backend.set_channel(await _newest_id(backend), Channel(id=ChannelId("C1"), name="inc-1"))

    async def complete(backend: LocalBackend) -> None:
        (found,) = await backend.follow_ups(await _newest_id(backend))
        await backend.complete_follow_up(found.id, ANA, DAWN, "done")

    async def note(backend: LocalBackend, key: str) -> None:
        await backend.note(await _newest_id(backend), entry, key)

    async def unnote(backend: LocalBackend) -> None:
        await backend.unnote(await _newest_id(backend), "pinned")

    async def changed(backend: LocalBackend) -> None:
        await backend.change(await _newest_id(backend), change)

    async def add(backend: LocalBackend) -> None:
        await backend.add_follow_up(await _newest_id(backend), todo)

    yield "declare", lambda backend: backend.create(full_declaration())
    yield "set the channel", set_channel
    yield "note", lambda backend: note(backend, "noted")
    yield "pin", lambda backend: note(backend, "pinned")
    yield "unpin", unnote
    yield "change", changed
    yield "add a follow-up", add
    yield "complete it", complete
    yield "remember", lambda backend: backend.remember_people([ANA.model_copy(update={"name": "Ana T."})])


async def everything(backend: LocalBackend) -> Any:
    """What there is in the end, without what differs from run to run."""
    (incident,) = await backend.incidents()
    todos = await backend.follow_ups(incident.id)
    return (
        incident.model_dump(exclude={"id", "updated_at", "closed_at"}),
        [entry.model_dump(exclude={"id"}) for entry in await backend.timeline(incident.id)],
        [todo.model_dump(exclude={"id", "incident_id"}) for todo in todos],
    )


async def undisturbed(postgresql: PostgresqlServer) -> Any:
    backend = await replica_of(postgresql.create_database())
    for _, write in _written():
        await write(backend)
    found = await everything(backend)
    await backend.close()
    return found


@pytest.mark.parametrize("when", ["IMMEDIATE", "DEFERRED"], ids=["in the middle", "at the commit"])
async def test_a_write_whose_connection_is_ended_is_done_once(
    postgresql: PostgresqlServer, url: str, when: str
) -> None:
    backend, database = await replica_of(url), named(url)
    triggers = [TRIGGER.format(table=table, when=when) for table in WRITTEN]
    postgresql.execute("".join([BOMB, *triggers]), database)
    for name, write in _written():
        postgresql.execute(SET_OFF, database)
        await write(backend)
        exploded = postgresql.execute("SELECT is_called FROM tocsin.bomb", database)
        assert exploded == [(True,)], f"{name} was not disturbed"
    assert await everything(backend) == await undisturbed(postgresql)
    await backend.close()


class LosesAnswers:
    """Between the backend and its database: each first answer is lost, after the commit."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self._database = database
        self.lost = 0

    async def run(self, work: Callable[[PostgresqlConnection], T]) -> T:
        tries = 0

        def loses(db: PostgresqlConnection) -> T:
            nonlocal tries
            tries += 1
            result = work(db)
            if tries == 1:
                self.lost += 1
                db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return result

        return await self._database.run(loses)

    async def close(self) -> None:
        await self._database.close()


async def test_a_write_whose_answer_is_lost_is_done_once(postgresql: PostgresqlServer, url: str) -> None:
    backend = await replica_of(url)
    losing = LosesAnswers(in_postgresql(backend))
    backend.database = losing  # type: ignore[assignment]
    for _, write in _written():
        before = losing.lost
        await write(backend)
        assert losing.lost > before
    assert await everything(backend) == await undisturbed(postgresql)
    await backend.close()


# A database that cannot be used.


async def test_a_server_that_is_gone_is_told_within_four_seconds_and_used_again_once_it_is_back(
    stoppable_postgresql: PostgresqlServer,
) -> None:
    server = stoppable_postgresql
    backend = await replica_of(server.create_database())
    for how in (signal.SIGQUIT, signal.SIGINT):
        await backend.create(declaration(f"before {how}"))
        server.stop(how)
        for asked in (backend.create(declaration("asked")), backend.incidents()):
            with pytest.raises(Unavailable, match="cannot be reached"):
                async with asyncio.timeout(4):
                    await asked
        server.start()
        await backend.create(declaration(f"after {how}"))
    assert [incident.reference for incident in await backend.incidents()] == [
        "INC-4",
        "INC-3",
        "INC-2",
        "INC-1",
    ]
    await backend.close()


async def test_a_database_that_takes_no_changes_is_told_and_still_read(
    postgresql: PostgresqlServer, url: str
) -> None:
    backend, name = await replica_of(url), named(url)
    await backend.create(declaration())
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    postgresql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgresql.execute(ended)
    with pytest.raises(Unavailable, match="read-only") as told:
        await backend.create(declaration("another"))
    assert told.value.retry_after is not None
    assert len(await backend.incidents()) == 1
    postgresql.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgresql.execute(ended)
    assert (await backend.create(declaration("another"))).reference == "INC-2"
    await backend.close()


async def test_a_full_disk_is_told_and_leaves_no_gap(
    stoppable_postgresql: PostgresqlServer, small_disk: SmallDisk
) -> None:
    url = stoppable_postgresql.create_database()
    small_disk.take(url)
    backend, made = await replica_of(url), 0

    async def declare_until_full() -> None:
        nonlocal made
        while True:
            summary = random.Random(made).randbytes(20_000).hex()
            await backend.create(declaration(f"key {made}", summary=summary))
            made += 1

    with pytest.raises(Unavailable, match="disk of the incident database is full"):
        await declare_until_full()
    assert made
    assert (await backend.incidents(limit=1))[0].reference == f"INC-{made}"
    small_disk.grow()
    assert (await backend.create(declaration("room again"))).reference == f"INC-{made + 1}"
    await backend.close()


@pytest.mark.parametrize("character", ["\0", "\ud83d"], ids=["NUL", "half of a surrogate pair"])
async def test_a_character_that_cannot_be_kept_is_refused_in_a_sentence(url: str, character: str) -> None:
    backend = await replica_of(url)
    made = await backend.create(declaration())
    asked: list[Awaitable[Any]] = [
        backend.create(declaration("another", name=f"a{character}b")),
        backend.note(made.id, TimelineEntry(at=DAWN, by=ANA, verb="noted", text=character), "k"),
    ]
    for one in asked:
        with pytest.raises(
            Refused, match=r"has a (broken )?character in it that cannot be kept\. Remove it\."
        ):
            await one
    assert (await backend.create(declaration("third"))).reference == "INC-2"
    await backend.close()


async def test_who_is_invited_to_a_private_incident_sees_it_through_every_replica_until_removed(
    replicas: tuple[LocalBackend, LocalBackend],
) -> None:
    one, other = replicas
    secret = await one.create(declaration("secret", visibility="private"))

    async def found() -> list[str]:
        wanted = IncidentFilter(visible_to=BEN.slack_user_id)
        by_word = wanted.model_copy(update={"text": "checkout"})
        return [incident.id for asked in (wanted, by_word) for incident in await other.matching(asked)]

    async def changed(key: str, **people: Any) -> None:
        await one.change(secret.id, IncidentChange(key=key, by=ANA, at=DAWN, assignees=(BEN,), **people))

    assert await found() == []
    await changed("in", invited=(BEN.slack_user_id,))
    assert await found() == [secret.id] * 2
    await changed("out", removed=(BEN.slack_user_id,))
    assert await found() == []
