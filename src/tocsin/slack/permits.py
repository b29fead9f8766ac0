"""Whether somebody may do something: the rules, with what Slack says of the person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Incident, PersonId
from tocsin.incidents.permissions import Asker, Limits, Standing, Verb, permitted
from tocsin.slack.people import FRESH_SECONDS, STALE_SECONDS, People
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.ports import loop_time
from tocsin.workflows.retry import best_effort

CHECK_SECONDS = 1.0
"""How long somebody who acts is kept waiting for Slack's word on them; an answer is due within three."""


class UserGroups:
    """Who is in the user groups that the rules name, asked of Slack group by group."""

    def __init__(self, workspace: SlackWorkspace, now: Callable[[], float] = loop_time) -> None:
        self._workspace = workspace
        self._now = now
        self._members: dict[str, tuple[frozenset[PersonId], float]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self.handles: dict[str, str] = {}

    def known(self, group: str, seconds: float = FRESH_SECONDS) -> frozenset[PersonId] | None:
        """Its members without asking; None where they were never asked for, or too long ago."""
        members, at = self._members.get(group, (None, 0.0))
        return members if members is not None and self._now() - at < seconds else None

    async def of(self, person: PersonId, groups: Iterable[str]) -> frozenset[str] | None:
        """Those of the groups that somebody is in; None where Slack cannot be asked about one of them."""
        wanted = list(groups)
        await asyncio.gather(*(self._ask(group) for group in wanted if self.known(group) is None))
        found = {group: self.known(group, STALE_SECONDS) for group in wanted}
        if any(members is None for members in found.values()):
            return None
        return frozenset(group for group, members in found.items() if members and person in members)

    async def _ask(self, group: str) -> None:
        asking = self._asking.get(group)
        if asking is None:
            asking = self._asking[group] = asyncio.create_task(self._learn(group))
            asking.add_done_callback(lambda _: self._asking.pop(group, None))
        # Who stops waiting does not stop the asking: the next gesture finds the answer.
        await asyncio.wait({asking})

    async def _learn(self, group: str) -> None:
        async with best_effort(f"ask Slack who is in {group}"):
            # Nobody is in a group that Slack does not know.
            self._members[group] = (frozenset(await self._workspace.group(group) or ()), self._now())
            if group not in self.handles:
                self.handles.update(await self._workspace.group_handles())


class Permits:
    """The one place where it is decided who may do what in a workspace."""

    def __init__(self, people: People, groups: UserGroups, limits: Limits) -> None:
        self._people = people
        self._groups = groups
        self._limits = limits

    async def check(
        self,
        person: PersonId | None,
        verb: Verb,
        incident: Incident | None = None,
        *,
        private: bool = False,
        seconds: float = CHECK_SECONDS,
    ) -> str:
        """Empty when it is allowed, and what to note when it is allowed unchecked. Raises Refused.

        Asks Slack only what it does not know yet, for so many seconds at most.
        """
        needed = self._needed(verb, private)
        standing, groups = Standing.UNKNOWN, None
        if person is not None:
            standing, groups = await asyncio.gather(
                self._people.standing(person, seconds), self._of(person, needed, seconds)
            )
        asker = Asker(person=person, standing=standing, groups=groups, handles=self._groups.handles)
        return permitted(asker, verb, incident, self._limits, private=private)

    async def check_opening(self, person: PersonId | None, verb: Verb, incident: Incident) -> None:
        """Raises Refused where a form that shows an incident is not to be opened for a person.

        Their standing must be known: as Slack told it within the last hour, else asked for a second at most.
        Of user groups nobody is asked: who is in none of them is told when the form is sent.
        """
        needed = self._needed(verb, False)
        standing = self._people.last_standing(person) if person else Standing.UNKNOWN
        if person is not None and standing is Standing.UNKNOWN:
            standing = await self._people.standing(person, CHECK_SECONDS)
        known = {group: self._groups.known(group) for group in needed}
        groups = frozenset(g for g, members in known.items() if members is None or person in members)
        asker = Asker(person=person, standing=standing, groups=groups, handles=self._groups.handles)
        permitted(asker, verb, incident, self._limits)

    def refusal(self, person: PersonId | None, verb: Verb, incident: Incident | None = None) -> str:
        """Why somebody may not do this, as far as it is known without asking anybody; else nothing."""
        standing = self._people.known_standing(person) if person is not None else None
        if person is None or standing is None:
            return ""
        needed = self._needed(verb, False)
        if standing is Standing.MEMBER and incident is None and not needed:
            return ""
        known = {group: self._groups.known(group) for group in needed}
        groups = None
        if all(members is not None for members in known.values()):
            groups = frozenset(group for group, members in known.items() if person in (members or ()))
        asker = Asker(person=person, standing=standing, groups=groups, handles=self._groups.handles)
        try:
            permitted(asker, verb, incident, self._limits)
        except Refused as refusal:
            return refusal.sentence
        return ""

    def knows(self, person: PersonId | None) -> bool:
        """Whether nothing need be asked when they declare."""
        if person is None:
            return True
        groups = self._needed("declare", bool(self._limits.private))
        return self._people.known_standing(person) is not None and all(
            self._groups.known(group) is not None for group in groups
        )

    async def learn(self, person: PersonId | None) -> None:
        """Ask now what will have to be known when they declare."""
        # A refusal is told when they do it.
        with contextlib.suppress(Refused):
            await self.check(person, "declare", private=bool(self._limits.private))

    def _needed(self, verb: Verb, private: bool) -> list[str]:
        limits = self._limits.groups(verb, private=private)
        return list(dict.fromkeys(group for groups in limits for group in groups))

    async def _of(self, person: PersonId, groups: list[str], seconds: float) -> frozenset[str] | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._groups.of(person, groups)
        except TimeoutError:
            return None
