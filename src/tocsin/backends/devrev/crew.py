"""Who in DevRev the people in Slack are, by their e-mail address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from tocsin.actions.ports import Clock, Directory
from tocsin.backends.devrev.client import DevRevClient
from tocsin.backends.devrev.wire import User
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Frozen, Person, PersonId, TeamId

ASKING_SECONDS: Final = 1.5
"""How long a declaration waits for names; it goes on without them."""

KNOWN_FOR: Final = timedelta(minutes=10)
MOST_KNOWN: Final = 5_000

log = structlog.get_logger()


class Member(Frozen):
    """Somebody in Slack, and their id in DevRev where they have one."""

    person: Person
    devrev_id: str | None = None

    @property
    def name(self) -> str:
        return self.person.name or "somebody in Slack"


class Crew:
    """Asks Slack for e-mail addresses and DevRev for who has them; what is found is kept for ten minutes."""

    def __init__(self, client: DevRevClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[PersonId, tuple[datetime, Member]] = {}
        self.directory: Callable[[TeamId], Directory] | None = None

    async def members(self, people: Mapping[PersonId, Person], team: str) -> dict[PersonId, Member]:
        """Everybody of a workspace, as far as they can be found in the time there is."""
        found = await asyncio.gather(*(self._member(known, TeamId(team)) for known in people.values()))
        return dict(zip(people, found, strict=True))

    async def _member(self, person: Person, team: TeamId) -> Member:
        who = person.slack_user_id
        at, known = self._known.get(who or PersonId(""), (None, None))
        if known is not None and at is not None and self._clock() - at < KNOWN_FOR:
            return known
        try:
            async with asyncio.timeout(ASKING_SECONDS):
                member = await self._asked(person, team)
        except (TocsinError, TimeoutError) as error:
            log.warning(
                "somebody could not be looked up", person=who, because=str(error) or "no answer in time"
            )
            return Member(person=person)
        if who and len(self._known) < MOST_KNOWN:
            self._known[who] = (self._clock(), member)
        return member

    async def _asked(self, person: Person, team: TeamId) -> Member:
        if self.directory is not None and person.slack_user_id and not (person.name and person.email):
            told = await self.directory(team).person(person.slack_user_id)
            if told is not None:
                person = person.model_copy(
                    update={"name": person.name or told.name, "email": told.email or person.email}
                )
        return Member(person=person, devrev_id=await self._devrev_id(person.email))

    async def _devrev_id(self, email: str | None) -> str | None:
        """An active person with this address (Dev Users, List); the answer is compared, not believed."""
        if not email:
            return None
        answer = await self._client.ask("dev-users.list", {"email": [email], "state": ["active"], "limit": 5})
        users = [User.model_validate(user) for user in answer.get("dev_users") or ()]
        wanted = email.casefold()
        return next((user.id for user in users if (user.email or "").casefold() == wanted and user.id), None)
