"""Permission to declare and to act: the directory of users, their groups and their standing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.model import Incident, Person, PersonId
from tocsin.incidents.parsing import people_called
from tocsin.incidents.permissions import Asker, Limits, Standing, Verb, permitted
from tocsin.slack.users import Account
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.command import Bounded
from tocsin.workflows.ports import IncidentBackend, loop_time
from tocsin.workflows.retry import best_effort

# Who people are: learnt from what they do, asked of Slack one by one, and never waited for on the way.

KEPT = 10_000
FIRST_NAMES = 200
MOST_LISTED = 999
"""People in one call (Slack, pagination: below 1000); in a larger workspace nobody is sure by a name."""

ASKED_AT_ONCE = 20
ASKING_SECONDS = 1.5

FRESH_SECONDS = 300.0
"""How long somebody's standing is taken for what it was."""

STALE_SECONDS = 3600.0
"""The same while Slack cannot be asked."""


class People:
    """Names and standings by Slack id, for as long as the process lives; the backend keeps the names."""

    def __init__(
        self, workspace: SlackWorkspace, backend: IncidentBackend, now: Callable[[], float] = loop_time
    ) -> None:
        self._workspace = workspace
        self._backend = backend
        self._now = now
        self._accounts: Bounded[PersonId, tuple[Account, float]] = Bounded(KEPT)
        self._asking: dict[PersonId, asyncio.Task[Account | None]] = {}
        self._in_vain: Bounded[PersonId, float] = Bounded(KEPT)
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
            for found in (await self._workspace.users.some_accounts(FIRST_NAMES))[0]:
                self._learn(found)

    async def introduce(self, people: Iterable[PersonId]) -> bool:
        """Have the backend keep what people are called; answers whether it keeps a name now.

        Slack is asked for those whom it never told of, for a second and a half at most. Whom it does not tell
        of is not asked for again within five minutes.
        """
        wanted = list(dict.fromkeys(people))[:ASKED_AT_ONCE]
        unknown = [who for who in wanted if who not in self.names and not self._asked_in_vain(who)]
        for found, who in zip(await asyncio.gather(*map(self.account, unknown)), unknown, strict=True):
            if found is None or not found.is_known:
                self._in_vain[who] = self._now()
        # Pages need names; an e-mail address is kept nowhere.
        known = [Person(slack_user_id=who, name=self.names[who]) for who in wanted if who in self.names]
        if not known:
            return False
        async with best_effort("keep what people are called") as failed:
            await self._backend.remember_people(known)
        return not failed

    def _asked_in_vain(self, person: PersonId) -> bool:
        return self._now() - self._in_vain.get(person, -FRESH_SECONDS) < FRESH_SECONDS

    async def called(
        self, names: Sequence[str], seconds: float = ASKING_SECONDS
    ) -> tuple[str, list[Account], bool]:
        """The people whom Slack calls by the first of these names that anybody has, and that name.

        It is a whole handle, display name or full name. The workspace is asked who is in it, in one call and
        for so many seconds at most; the last answer is whether there can be no others, which nobody knows of
        a workspace that is too large to list.
        """
        whole = False
        async with best_effort("look for somebody by name"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    listed, whole = await self._workspace.users.some_accounts(MOST_LISTED)
                    for account in listed:
                        self._learn(account)
        known = {person: account for person, (account, _) in self._accounts.items()}
        called = {person: account.names for person, account in known.items()}
        found = next(((name, ids) for name in names if (ids := people_called(name, called))), (names[-1], []))
        return found[0], [known[person] for person in found[1]], whole

    def known_standing(self, person: PersonId) -> Standing | None:
        """How somebody stands, without asking; None where that was never asked, or too long ago."""
        known = self._remembered(person, FRESH_SECONDS)
        return None if known is None else known.standing

    async def standing(self, person: PersonId, seconds: float = ASKING_SECONDS) -> Standing:
        """How somebody stands, asked of Slack for so many seconds at most where it is not known.

        While Slack cannot be asked, what it said within the last hour stands; else it is unknown.
        """
        found = await self.account(person, seconds)
        return Standing.UNKNOWN if found is None else found.standing

    async def account(
        self, person: PersonId, seconds: float = ASKING_SECONDS, *, within: float = FRESH_SECONDS
    ) -> Account | None:
        """Somebody's account, asked for as `standing` is; None where Slack does not say.

        Slack is not asked where it said so `within` so many seconds.
        """
        known = self._remembered(person, within)
        if known is not None:
            return known
        asking = self._asking.get(person)
        if asking is None:
            asking = self._asking[person] = asyncio.create_task(self._ask(person))
            asking.add_done_callback(lambda _: self._asking.pop(person, None))
        # Who stops waiting does not stop the asking: the next gesture finds the answer.
        done, _ = await asyncio.wait({asking}, timeout=seconds)
        return asking.result() if done else self._remembered(person, STALE_SECONDS)

    async def _ask(self, person: PersonId) -> Account | None:
        try:
            async with asyncio.timeout(2 * ASKING_SECONDS):
                found = await self._workspace.users.account(person)
        except (TocsinError, TimeoutError):
            return self._remembered(person, STALE_SECONDS)
        if found is None:
            return Account(Person(slack_user_id=person), Standing.UNKNOWN, is_known=False)
        self._learn(found)
        return self._remembered(person, FRESH_SECONDS)

    def last_standing(self, person: PersonId) -> Standing:
        """How somebody stood within the last hour, without asking."""
        known = self._remembered(person, STALE_SECONDS)
        return Standing.UNKNOWN if known is None else known.standing

    def _remembered(self, person: PersonId, seconds: float) -> Account | None:
        account, at = self._accounts.get(person, (None, 0.0))
        return account if account is not None and self._now() - at < seconds else None

    def _learn(self, account: Account) -> None:
        person = account.person.slack_user_id
        if person is None:
            return
        if account.person.name:
            self.names[str(person)] = account.person.name
        if account.owns_workspace:
            self.owner = person
        if account.standing is not Standing.UNKNOWN:
            self._accounts[person] = (account, self._now())


# Whether somebody may do something: the rules, with what Slack says of the person.

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
            self._members[group] = (frozenset(await self._workspace.users.group(group) or ()), self._now())
            if group not in self.handles:
                self.handles.update(await self._workspace.users.group_handles())


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
