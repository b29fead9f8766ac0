"""Backends to hold to the contract: each entry of the table opens one, and opens it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from support.declarations import DAWN, Ticking
from support.devrev import running_org
from support.devrev.catalogued import InDevRev, organisation
from support.first_files import new_incidents, own_tables
from support.incident_io.account import Account
from support.incident_io.server import running_incident_io
from support.postgresql import PostgresqlServer

from tocsin.backends.devrev import DevRevBackend, DevRevClient
from tocsin.backends.incident_io import IncidentIo
from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore
from tocsin.storage.postgresql import create_schema, postgresql_engine
from tocsin.workflows.ports import IncidentBackend

Reopen = Callable[[], Awaitable[IncidentBackend]]


@asynccontextmanager
async def _local(folder: Path) -> AsyncIterator[Reopen]:
    opened: list[LocalBackend] = []

    async def reopen() -> IncidentBackend:
        for earlier in opened:
            await earlier.close()
        backend = await LocalBackend.open(
            await new_incidents(folder / "incidents.db"),
            IncidentConfig(),
            public_url="http://127.0.0.1:8080",
            clock=Ticking(),
        )
        opened.append(backend)
        return backend

    yield reopen


@asynccontextmanager
async def _incident_io(folder: Path) -> AsyncIterator[Reopen]:
    opened: list[IncidentIo] = []
    memory = SqlKeyValueStore(Database(own_tables(folder / "journal.db")))
    account = Account(clock=Ticking(DAWN - timedelta(seconds=1)))
    async with running_incident_io(account) as server:

        async def reopen() -> IncidentBackend:
            for earlier in opened:
                await earlier.close()
            backend = IncidentIo(server.url, account.key, store=memory, clock=Ticking())
            opened.append(backend)
            return backend

        yield reopen
        for earlier in opened:
            await earlier.close()
    memory.database.close()


@asynccontextmanager
async def _devrev(folder: Path) -> AsyncIterator[Reopen]:
    opened: list[DevRevBackend] = []
    memory = SqlKeyValueStore(Database(own_tables(folder / "journal.db")))
    async with running_org(organisation()) as (org, url):

        async def reopen() -> IncidentBackend:
            for earlier in opened:
                await earlier.close()
            client = DevRevClient(org.token, url)
            link = "https://app.devrev.example/incidents/{display_id}"
            roles = IncidentConfig().form().roles
            backend = DevRevBackend(client, store=memory, clock=Ticking(), roles=roles, permalink=link)
            opened.append(backend)
            return cast(IncidentBackend, InDevRev(backend))

        yield reopen
        for earlier in opened:
            await earlier.close()
    memory.database.close()


@asynccontextmanager
async def _local_in_postgresql(server: PostgresqlServer) -> AsyncIterator[Reopen]:
    opened: list[LocalBackend] = []
    url = server.create_database()

    async def reopen() -> IncidentBackend:
        for earlier in opened:
            await earlier.close()
        backend = await local_in_postgresql(url)
        opened.append(backend)
        return backend

    yield reopen


async def local_in_postgresql(url: str) -> LocalBackend:
    """The local backend of one more replica on this database."""
    engine = postgresql_engine(url, session=SESSION, autocommit=True)
    create_schema(engine)
    return await LocalBackend.open(
        engine, IncidentConfig(), public_url="http://127.0.0.1:8080", clock=Ticking()
    )


KEPT_BY: dict[str, Callable[[Path], AbstractAsyncContextManager[Reopen]]] = {
    "local": _local,
    "incident_io": _incident_io,
    "devrev": _devrev,
}


IN_POSTGRESQL = "local in PostgreSQL"


@pytest.fixture(params=[*sorted(KEPT_BY), pytest.param(IN_POSTGRESQL, marks=pytest.mark.process)])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the backend as a new process would, closing it first where it was open."""
    if request.param == IN_POSTGRESQL:
        opened = _local_in_postgresql(request.getfixturevalue("postgresql"))
    else:
        opened = KEPT_BY[request.param](tmp_path)
    async with opened as opening:
        yield opening


@pytest.fixture
async def backend(reopen: Reopen) -> AsyncIterator[IncidentBackend]:
    opened = await reopen()
    yield opened
    await opened.close()


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    opened = await LocalBackend.open(
        await new_incidents(tmp_path / "kept" / "incidents.db"),
        IncidentConfig(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
    )
    yield opened
    await opened.close()
