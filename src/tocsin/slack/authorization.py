"""Permission to declare and to act: the directory of users, their user groups, and the rules."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

from tocsin.incidents.errors import Refused, TocsinError, Unavailable
from tocsin.incidents.model import Incident, Person, PersonId
from tocsin.incidents.parsing import people_called
from tocsin.incidents.permissions import Actor, Membership, PermissionLimits, Verb, permitted
from tocsin.slack.users import WorkspaceUser
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.command import Bounded
from tocsin.workflows.ports import IncidentBackend, loop_time
from tocsin.workflows.retry import best_effort

# The directory of people: learnt from payloads, asked of Slack one by one, never waited for on the way.

KEPT = 10_000
FIRST_NAMES = 200
MOST_LISTED = 999
"""Users in one call (Slack, pagination: below 1000); in a larger workspace a name is never unambiguous."""

ASKED_AT_ONCE = 20
ASKING_SECONDS = 1.5

FRESH_SECONDS = 300.0
"""Seconds for which a person's account is used without asking Slack again."""

STALE_SECONDS = 3600.0
"""Seconds for which it is used while Slack cannot be asked."""


class People:
    """Cache of names and memberships by Slack id; the backend stores the names."""

    def __init__(
        self, workspace: SlackWorkspace, backend: IncidentBackend, now: Callable[[], float] = loop_time
    ) -> None:
        self._workspace = workspace
        self._backend = backend
        self._now = now
        self._accounts: Bounded[PersonId, tuple[WorkspaceUser, float]] = Bounded(KEPT)
        self._asking: dict[PersonId, asyncio.Task[WorkspaceUser | None]] = {}
        self._in_vain: Bounded[PersonId, float] = Bounded(KEPT)
        self.names: Bounded[str, str] = Bounded(KEPT)
        self.owner: PersonId | None = None
        """Owner of the workspace, if among the first users that Slack lists."""

    def meet(self, person: Person) -> Person:
        """Remember the Slack name of a person who did something; returns them with the best name known."""
        known = self.names.get(person.slack_user_id or "")
        if known is None and person.slack_user_id and person.name:
            self.names[person.slack_user_id] = person.name
        return person.model_copy(update={"name": known}) if known else person

    async def greet(self) -> None:
        """Learn the first users in one call: all of a small workspace, some of a large one."""
        async with best_effort("ask Slack for names"), asyncio.timeout(ASKING_SECONDS):
            for found in (await self._workspace.users.some_accounts(FIRST_NAMES))[0]:
                self._learn(found)

    async def introduce(self, people: Iterable[PersonId]) -> bool:
        """Have the backend store people's names; returns True if it stores a name now.

        Asks Slack, for a second and a half at most, about people whose names are not known. A person whom
        Slack does not know is not asked about again within five minutes.
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

    async def find_by_name(
        self, names: Sequence[str], seconds: float = ASKING_SECONDS
    ) -> tuple[str, list[WorkspaceUser], bool]:
        """Return the first of these names that users have, these users, and True if there are no others.

        A name is a whole handle, display name or full name. Lists the workspace's users in one call, for
        `seconds` at most; in a workspace that is too large to list, other users may have the name as well.
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

    async def find_by_email(self, email: str, seconds: float = ASKING_SECONDS) -> Person | None:
        """Return the person with this e-mail address; None if Slack has none.

        Slack is not asked if it told so less than five minutes ago. Raises Unavailable if Slack does not
        answer within so many seconds, and SlackRefused.
        """
        met = (self._remembered(person, FRESH_SECONDS) for person in self._accounts)
        for account in filter(None, met):
            if (account.person.email or "").casefold() == email.casefold():
                return account.person
        try:
            async with asyncio.timeout(seconds):
                found = await self._workspace.users.account_of_email(email)
        except TimeoutError:
            raise Unavailable("Slack could not be asked whose e-mail address that is.") from None
        if found is None:
            return None
        self._learn(found)
        return found.person

    def known_membership(self, person: PersonId) -> Membership | None:
        """Return a person's membership from the cache; None if Slack was not asked, or too long ago."""
        known = self._remembered(person, FRESH_SECONDS)
        return None if known is None else known.membership

    async def membership(self, person: PersonId, seconds: float = ASKING_SECONDS) -> Membership:
        """Return a person's membership; asks Slack, for `seconds` at most, if it is not in the cache.

        While Slack cannot be asked, its answer counts for an hour; after that the membership is unknown.
        """
        found = await self.account(person, seconds)
        return Membership.UNKNOWN if found is None else found.membership

    async def account(
        self, person: PersonId, seconds: float = ASKING_SECONDS, *, within: float = FRESH_SECONDS
    ) -> WorkspaceUser | None:
        """Return a person's account, looked up as in `standing`; None if Slack does not tell.

        Slack is not asked if its last answer is less than `within` seconds old.
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

    async def _ask(self, person: PersonId) -> WorkspaceUser | None:
        try:
            async with asyncio.timeout(2 * ASKING_SECONDS):
                found = await self._workspace.users.account(person)
        except (TocsinError, TimeoutError):
            return self._remembered(person, STALE_SECONDS)
        if found is None:
            return WorkspaceUser(Person(slack_user_id=person), Membership.UNKNOWN, is_known=False)
        self._learn(found)
        return self._remembered(person, FRESH_SECONDS)

    def last_membership(self, person: PersonId) -> Membership:
        """Return a person's membership as Slack told it within the last hour, without asking."""
        known = self._remembered(person, STALE_SECONDS)
        return Membership.UNKNOWN if known is None else known.membership

    def _remembered(self, person: PersonId, seconds: float) -> WorkspaceUser | None:
        account, at = self._accounts.get(person, (None, 0.0))
        return account if account is not None and self._now() - at < seconds else None

    def _learn(self, account: WorkspaceUser) -> None:
        person = account.person.slack_user_id
        if person is None:
            return
        if account.person.name:
            self.names[str(person)] = account.person.name
        if account.owns_workspace:
            self.owner = person
        if account.membership is not Membership.UNKNOWN:
            self._accounts[person] = (account, self._now())


# Authorization: the rules, with what Slack says of the person.

CHECK_SECONDS = 1.0
"""Seconds that an action waits for Slack's answer about the person; its own answer is due within three."""


class UserGroups:
    """Cache of the members of the user groups that the rules name, looked up group by group."""

    def __init__(self, workspace: SlackWorkspace, now: Callable[[], float] = loop_time) -> None:
        self._workspace = workspace
        self._now = now
        self._members: dict[str, tuple[frozenset[PersonId], float]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self.handles: dict[str, str] = {}

    def known(self, group: str, seconds: float = FRESH_SECONDS) -> frozenset[PersonId] | None:
        """Return a group's members from the cache; None if Slack was not asked, or too long ago."""
        members, at = self._members.get(group, (None, 0.0))
        return members if members is not None and self._now() - at < seconds else None

    async def of(self, person: PersonId, groups: Iterable[str]) -> frozenset[str] | None:
        """Return those of the groups that a person is in; None if Slack cannot be asked about one of them."""
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


class Authorizer:
    """Authorizer of a workspace: the one place that decides what a person may do."""

    def __init__(self, people: People, groups: UserGroups, limits: PermissionLimits) -> None:
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
        """Check a permission. Returns a note if it is granted unchecked, else an empty string.

        Raises Refused if it is not granted. Asks Slack only what is not in the cache, for `seconds` at most.
        """
        needed = self._needed(verb, private)
        membership, groups = Membership.UNKNOWN, None
        if person is not None:
            membership, groups = await asyncio.gather(
                self._people.membership(person, seconds), self._of(person, needed, seconds)
            )
        actor = Actor(person=person, membership=membership, groups=groups, handles=self._groups.handles)
        return permitted(actor, verb, incident, self._limits, private=private)

    async def check_opening(self, person: PersonId | None, verb: Verb, incident: Incident) -> None:
        """Raise Refused if a form that shows an incident may not be opened for a person.

        Their membership must be known: from Slack within the last hour, or by asking for a second at most.
        User groups are not asked about: a person who is in none of them is told so when they submit the form.
        """
        needed = self._needed(verb, False)
        membership = self._people.last_membership(person) if person else Membership.UNKNOWN
        if person is not None and membership is Membership.UNKNOWN:
            membership = await self._people.membership(person, CHECK_SECONDS)
        known = {group: self._groups.known(group) for group in needed}
        groups = frozenset(g for g, members in known.items() if members is None or person in members)
        actor = Actor(person=person, membership=membership, groups=groups, handles=self._groups.handles)
        permitted(actor, verb, incident, self._limits)

    def refusal(self, person: PersonId | None, verb: Verb, incident: Incident | None = None) -> str:
        """Return the reason why a person may not do this, by the cache alone; empty if there is none."""
        membership = self._people.known_membership(person) if person is not None else None
        if person is None or membership is None:
            return ""
        needed = self._needed(verb, False)
        if membership is Membership.MEMBER and incident is None and not needed:
            return ""
        known = {group: self._groups.known(group) for group in needed}
        groups = None
        if all(members is not None for members in known.values()):
            groups = frozenset(group for group, members in known.items() if person in (members or ()))
        actor = Actor(person=person, membership=membership, groups=groups, handles=self._groups.handles)
        try:
            permitted(actor, verb, incident, self._limits)
        except Refused as refusal:
            return refusal.sentence
        return ""

    def knows(self, person: PersonId | None) -> bool:
        """True if cached membership and groups suffice to authorize a declaration without calling Slack."""
        if person is None:
            return True
        groups = self._needed(Verb.DECLARE, bool(self._limits.private))
        return self._people.known_membership(person) is not None and all(
            self._groups.known(group) is not None for group in groups
        )

    async def learn(self, person: PersonId | None) -> None:
        """Ask Slack now for what is needed to authorize a declaration."""
        # A refusal is told when they do it.
        with contextlib.suppress(Refused):
            await self.check(person, Verb.DECLARE, private=bool(self._limits.private))

    def _needed(self, verb: Verb, private: bool) -> list[str]:
        limits = self._limits.groups(verb, private=private)
        return list(dict.fromkeys(group for groups in limits for group in groups))

    async def _of(self, person: PersonId, groups: list[str], seconds: float) -> frozenset[str] | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._groups.of(person, groups)
        except TimeoutError:
            return None
