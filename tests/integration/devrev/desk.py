"""DevRev and the backend over it, in one time that only moves when it is turned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.declarations import DAWN
from support.devrev import FakeOrg, running_org
from support.devrev.org import DON
from support.first_files import own_tables

from tocsin.backends.devrev import DevRevBackend, DevRevClient
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import Incident, Person, PersonId
from tocsin.incidents.requests import Declaration
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

ANA = Person(slack_user_id=PersonId("U0ANA"), name="Ana Torres", email="ana@northwind.example")
BEN = Person(slack_user_id=PersonId("U0BEN"), name="Ben Okafor", email="ben@northwind.example")
SEV0, SEV1, SEV2 = "11", "18", "25"
PERMALINK = "https://app.devrev.example/northwind/works/{display_id}"
STAGE = f"{DON}:custom_stage"


class Turned:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = DAWN

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Slack:
    """Who is who in Slack."""

    def __init__(self, *people: Person) -> None:
        self.people = {person.slack_user_id: person for person in people}
        self.asked: list[str] = []

    async def person(self, person: PersonId) -> Person | None:
        self.asked.append(person)
        return self.people.get(person)


class Heard:
    """An operator who writes down what they are told."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def raise_alert(self, about: str, sentence: str) -> None:
        self.told.setdefault(about, sentence)

    def resolve(self, about: str) -> None:
        self.told.pop(about, None)


@dataclass
class DevRevDesk:
    org: FakeOrg
    url: str
    folder: Path
    clock: Turned
    operator: Heard = field(default_factory=Heard)
    backends: list[tuple[DevRevBackend, SqlKeyValueStore]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def backend(self) -> DevRevBackend:
        return self.backends[-1][0]

    async def reopen(self, **settings: Any) -> DevRevBackend:
        """The backend as the next process has it: nothing but what is in the files."""
        self.settings |= settings
        given = {"seconds": 10.0, "token": self.org.token} | self.settings
        client = DevRevClient(given.pop("token"), self.url, seconds=given.pop("seconds"))
        memory = SqlKeyValueStore(Database(own_tables(self.folder / "journal.db")))
        backend = DevRevBackend(
            client,
            store=memory,
            clock=self.clock,
            roles=IncidentConfig().form().roles,
            operator=self.operator,
            **{"permalink": PERMALINK, **given},
        )
        slack = Slack(ANA, BEN)
        backend.set_directory(lambda team, person: slack.person(person))
        self.backends.append((backend, memory))
        return backend

    async def persist(self, declaration: Declaration, *, most: float = 3600.0) -> Incident:
        """What a declaration comes to when it is tried again whenever it says so, for so many seconds."""
        until = self.clock.now + timedelta(seconds=most)
        while True:
            try:
                return await self.backend.create(declaration)
            except Unavailable as error:
                if self.clock.now >= until:
                    raise
                self.clock.turn(0.5 if error.retry_after is None else error.retry_after)

    def sent(self, method: str) -> list[Any]:
        return [body for asked, body in self.org.requests if asked == method]

    async def close(self) -> None:
        for backend, memory in self.backends:
            await backend.close()
            memory.database.close()


def declared(key: str = "key-1", **changes: Any) -> Declaration:
    plain = {"name": "Checkout is slow", "severity_id": SEV1, "reporter": ANA, "at": DAWN}
    return Declaration(**{**plain, "key": key, **changes})


@asynccontextmanager
async def devrev_desk(folder: Path, **settings: Any) -> AsyncIterator[DevRevDesk]:
    clock = Turned()
    async with running_org(FakeOrg(clock=clock)) as (org, url):
        desk = DevRevDesk(org, url, folder, clock)
        await desk.reopen(**settings)
        try:
            yield desk
        finally:
            await desk.close()
