"""A workspace that two replicas on one PostgreSQL serve, each of which can be killed, replaced or cut off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import dict_row
from support.alerts import TOKEN, VARIABLE
from support.fleet import Fleet
from support.postgresql import PostgresqlServer

from reliability.crash.life import API_TOKEN
from reliability.history.deeds import Deed
from reliability.history.history import INCIDENT_TABLES, JOURNAL_TABLES, Answered, History, Press
from reliability.stateful.scene import Scene

REPLICAS = 2
MOST_KILLS = 2
"""In one example: the others wait nine seconds before they take over."""
FORM_SECONDS = 5.0
"""For which a person waits for a form whose replica may have died."""


class Replicated(Scene):
    """Each example has a database and replicas of its own; Slack spreads payloads over their sockets."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server, self._count, self._asked = server, 0, 0
        self.killed = 0
        """How often a replica was killed, in all examples together."""
        super().__init__(asyncio.SelectorEventLoop())
        self.fleet: Fleet | None = None

    def fresh(self) -> None:
        self.run(self._fresh())

    async def _fresh(self) -> None:
        await self._end()
        await self.workspace.sockets.disconnected(self.slack.app.app_id)
        self.forget()
        self._count += 1
        folder = self.folder / f"example-{self._count}"
        folder.mkdir()
        settings = {
            "TOCSIN_CONFIG": str(self.folder / "tocsin.toml"),
            "TOCSIN_API_TOKEN": API_TOKEN,
            VARIABLE: TOKEN,
        }
        database = self._server.create_database()
        self.fleet = Fleet(self.slack, database, folder, over_sockets=True, settings=settings)
        for _ in range(REPLICAS):
            await self.fleet.add()

    @property
    def running(self) -> Fleet:
        assert self.fleet is not None
        return self.fleet

    async def tried(self, method: str, count: int) -> None:
        # A replica that has died will not call any more.
        with suppress(TimeoutError):
            await self.workspace.heard(method, count, FORM_SECONDS)

    async def kill(self, which: int) -> None:
        """kill -9 of one of them; another one begins at once."""
        if len(self.kills) < MOST_KILLS:
            self.kills.append(self.slack.clock.now())
            self.killed += 1
            await self.running.kill(self._alive()[which % REPLICAS])
            await self.running.add()

    async def replace_one(self, which: int) -> None:
        """As at an update: a new one begins, an old one is told to stop, and hands over."""
        old = self._alive()[which % REPLICAS]
        await self.running.add()
        await self.running.kill(old, signal.SIGTERM)
        await self.running.replicas[old].process.wait()

    def cut_connections(self) -> None:
        """End the sessions of both in the database."""
        name = psycopg.conninfo.conninfo_to_dict(self.running.database)["dbname"]
        self._server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    def _alive(self) -> list[int]:
        return [n for n, one in enumerate(self.running.replicas) if one.process.returncode is None]

    async def quiet(self) -> None:
        """Until every workflow has ended, and every replica has finished what it was doing, and stopped."""
        self.recover()
        await self.running.until(lambda: not any(row["is_pending"] for row in self.rows("tocsin_alerts")))
        while True:
            await self.running.quiet()
            for number in self._alive():
                await self.running.replicas[number].stopped()
            if self.running.is_quiet():
                return
            await self.running.add()

    def kept(self) -> Sequence[dict[str, Any]]:
        return self._rows("SELECT * FROM tocsin.incidents ORDER BY number")

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.running.database, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def rows(self, table: str) -> Sequence[dict[str, Any]]:
        return self._rows(f"SELECT * FROM tocsin.{table}")

    async def address(self) -> str:
        """Of either, by turns, as behind a balancer."""
        alive = self._alive()
        self._asked += 1
        return str(self.running.replicas[alive[self._asked % len(alive)]].url)

    def history(
        self, presses: Iterable[Press], answered: Sequence[Answered] = (), deeds: Sequence[Deed] = ()
    ) -> History:
        tables = {
            name: self._rows(f"SELECT * FROM tocsin.{name}") for name in (*INCIDENT_TABLES, *JOURNAL_TABLES)
        }
        ended = (
            "SELECT workflow_uuid, status FROM dbos.workflow_status WHERE name = 'story' ORDER BY created_at"
        )
        stories = {row["workflow_uuid"]: str(row["status"]) for row in self._rows(ended)}
        whole = History.of(
            self.workspace, self.folder, presses, kills=self.kills, kept={}, answered=answered, deeds=deeds
        )
        return replace(whole, tables=tables, stories=stories)

    async def _end(self) -> None:
        if self.fleet is not None:
            await self.fleet.close()

    def close(self) -> None:
        self.run(self._end())
        super().close()
