"""Who people are: learnt from what they do, asked of Slack one by one, and never waited for on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from tocsin.actions.best_effort import best_effort
from tocsin.actions.bounded import Bounded
from tocsin.actions.ports import Backend, loop_time
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.model import Person, PersonId
from tocsin.incidents.permissions import Standing
from tocsin.slack.accounts import Account
from tocsin.slack.workspace import SlackWorkspace

KEPT = 10_000
FIRST_NAMES = 200
ASKED_AT_ONCE = 20
ASKING_SECONDS = 1.5

FRESH_SECONDS = 300.0
"""How long somebody's standing is taken for what it was."""

STALE_SECONDS = 3600.0
"""The same while Slack cannot be asked."""


class People:
    """Names and standings by Slack id, for as long as the process lives; the backend keeps the names."""

    def __init__(
        self, workspace: SlackWorkspace, backend: Backend, now: Callable[[], float] = loop_time
    ) -> None:
        self._workspace = workspace
        self._backend = backend
        self._now = now
        self._asked: Bounded[PersonId, bool] = Bounded(KEPT)
        self._standings: Bounded[PersonId, tuple[Standing, float]] = Bounded(KEPT)
        self._asking: dict[PersonId, asyncio.Task[Standing]] = {}
        self.names: Bounded[str, str] = Bounded(KEPT)
        self.owner: PersonId | None = None
        """Who owns the workspace, where that is among the first people it tells of."""

    def meet(self, person: Person) -> Person:
        """Somebody did something: remember what Slack calls them; answers them by the best name we know."""
        known = self.names.get(person.slack_user_id or "")
        if known is None and person.slack_user_id and person.name:
            self.names[person.slack_user_id] = person.name
        return person.model_copy(update={"name": known}) if known else person

    async def greet(self) -> None:
        """Learn of the first people in one call: everybody in a small workspace, and some in a large one."""
        async with best_effort("ask Slack for names"), asyncio.timeout(ASKING_SECONDS):
            for found in await self._workspace.some_accounts(FIRST_NAMES):
                self._learn(found)

    async def introduce(self, people: Iterable[PersonId]) -> None:
        """Ask Slack for the names we never asked for, for a second and a half at most."""
        unknown = [person for person in people if person not in self._asked][:ASKED_AT_ONCE]
        if not unknown:
            return
        for person in unknown:
            self._asked[person] = True
        async with best_effort("ask Slack who people are"), asyncio.timeout(ASKING_SECONDS):
            found = await asyncio.gather(*(self._workspace.account(person) for person in unknown))
            for account in found:
                self._learn(account)
            known = [account.person for account in found if account is not None and account.person.name]
            # Pages need names; an e-mail address is kept nowhere.
            await self._backend.remember_people(p.model_copy(update={"email": None}) for p in known)

    def known_standing(self, person: PersonId) -> Standing | None:
        """How somebody stands, without asking; None where that was never asked, or too long ago."""
        return self._remembered(person, FRESH_SECONDS)

    async def standing(self, person: PersonId, seconds: float = ASKING_SECONDS) -> Standing:
        """How somebody stands, asked of Slack for so many seconds at most where it is not known.

        While Slack cannot be asked, what it said within the last hour stands; else it is unknown.
        """
        known = self.known_standing(person)
        if known is not None:
            return known
        asking = self._asking.get(person)
        if asking is None:
            asking = self._asking[person] = asyncio.create_task(self._ask(person))
            asking.add_done_callback(lambda _: self._asking.pop(person, None))
        # Who stops waiting does not stop the asking: the next gesture finds the answer.
        done, _ = await asyncio.wait({asking}, timeout=seconds)
        return asking.result() if done else self.last_standing(person)

    async def _ask(self, person: PersonId) -> Standing:
        try:
            async with asyncio.timeout(2 * ASKING_SECONDS):
                self._learn(await self._workspace.account(person))
        except (TocsinError, TimeoutError):
            return self.last_standing(person)
        return self.known_standing(person) or Standing.UNKNOWN

    def last_standing(self, person: PersonId) -> Standing:
        """How somebody stood within the last hour, without asking."""
        return self._remembered(person, STALE_SECONDS) or Standing.UNKNOWN

    def _remembered(self, person: PersonId, seconds: float) -> Standing | None:
        standing, at = self._standings.get(person, (None, 0.0))
        return standing if standing is not None and self._now() - at < seconds else None

    def _learn(self, account: Account | None) -> None:
        if account is None or account.person.slack_user_id is None:
            return
        person = account.person.slack_user_id
        if account.person.name:
            self.names[person] = account.person.name
        if account.owns_workspace:
            self.owner = person
        if account.standing is Standing.UNKNOWN:
            return
        self._standings[person] = (account.standing, self._now())
