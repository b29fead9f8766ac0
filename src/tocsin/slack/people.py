"""What people are called: learnt from what they do, and asked of Slack only when somebody reads a page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tocsin.actions.best_effort import best_effort
from tocsin.actions.ports import Backend
from tocsin.incidents.model import Person, PersonId
from tocsin.slack.workspace import SlackWorkspace

KEPT = 10_000
FIRST_NAMES = 200
ASKED_AT_ONCE = 20
ASKING_SECONDS = 1.5


class People:
    """Names by Slack id, for as long as the process lives; the backend keeps them for its pages."""

    def __init__(self, workspace: SlackWorkspace, backend: Backend) -> None:
        self._workspace = workspace
        self._backend = backend
        self._asked: set[PersonId] = set()
        self.names: dict[str, str] = {}

    def meet(self, person: Person) -> Person:
        """Somebody did something: remember what Slack calls them; answers them by the best name we know."""
        known = self.names.get(person.slack_user_id or "")
        if known is None and person.slack_user_id and person.name and len(self.names) < KEPT:
            self.names[person.slack_user_id] = person.name
        return person.model_copy(update={"name": known}) if known else person

    async def greet(self) -> None:
        """Learn the first names in one call: everybody in a small workspace, and some in a large one."""
        async with best_effort("ask Slack for names"), asyncio.timeout(ASKING_SECONDS):
            named = await self._workspace.some_people(FIRST_NAMES)
            self.names.update({str(person.slack_user_id): str(person.name) for person in named})

    async def introduce(self, people: Iterable[PersonId]) -> None:
        """Ask Slack for the names we never asked for, for a second and a half at most."""
        unknown = [person for person in people if person not in self._asked][:ASKED_AT_ONCE]
        if not unknown:
            return
        self._asked.update(unknown)
        async with best_effort("ask Slack who people are"), asyncio.timeout(ASKING_SECONDS):
            found = await asyncio.gather(*(self._workspace.person(person) for person in unknown))
            named = [person for person in found if person is not None and person.name]
            self.names.update({str(person.slack_user_id): str(person.name) for person in named})
            await self._backend.remember_people(named)
