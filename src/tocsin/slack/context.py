"""Everything a listener needs of one workspace, and the registry of all workspaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.incidents.announcements import AnnouncementRule
from tocsin.incidents.calls import CallRule
from tocsin.incidents.model import ChannelId, Incident, MessageTs, PersonId, TeamId
from tocsin.incidents.permissions import Membership, PermissionLimits, Verb
from tocsin.incidents.tasks import AssignedItem
from tocsin.slack.authorization import ASKING_SECONDS, CHECK_SECONDS, Authorizer, People, UserGroups
from tocsin.slack.mentions import Mentions
from tocsin.slack.messages import ReactionsAndPins
from tocsin.slack.payloads import EventCallback, Payload
from tocsin.slack.registry import WorkspaceRegistry
from tocsin.slack.shared_channels import SharedChannels
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.channels import seen_by, without_channel
from tocsin.workflows.command import PATIENCE, Bounded
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.ports import Clock, loop_time
from tocsin.workflows.queries import FindIncidents, OpenIncidentsCache
from tocsin.workflows.registry import IncidentWorkflows
from tocsin.workflows.retry import best_effort

# Recent viewers of Home.

RECENT_SECONDS = 1800.0
MOST_VIEWERS = 100
"""People whose Home is kept up to date; Slack takes about a hundred views.publish a minute (Tier 4)."""


class HomeViewers:
    """The people of one workspace who looked at Home in the last half hour."""

    def __init__(self) -> None:
        self._at: dict[PersonId, float] = {}

    def add(self, person: PersonId) -> None:
        """Note that a person looks now; the one who looked longest ago is forgotten first."""
        self._at.pop(person, None)
        self._at[person] = asyncio.get_running_loop().time()
        while len(self._at) > MOST_VIEWERS:
            self._at.pop(next(iter(self._at)))

    def recent(self) -> list[PersonId]:
        """Return the people who looked in the last half hour."""
        since = asyncio.get_running_loop().time() - RECENT_SECONDS
        self._at = {person: at for person, at in self._at.items() if at >= since}
        return list(self._at)


# Work that goes on after the acknowledgement, kept until it is done.


class Tasks:
    """Holds running tasks until they are done; Bolt and asyncio both forget tasks without a reference."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, doing: str, work: Coroutine[Any, Any, Any]) -> None:
        """Start work in the background; what goes wrong in it is logged."""

        async def run() -> None:
            async with best_effort(doing):
                await work

        task = asyncio.create_task(run(), name=doing)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settled(self) -> None:
        """Until nothing is in hand."""
        while self._running:
            await asyncio.wait(self._running)

    async def finish(self, seconds: float) -> None:
        """Wait for what is in hand, at most so many seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


# Who declares so many incidents in a minute that it may be a slip, or a script.

MOST_DECLARED = 5
LIMITED_SECONDS = 60.0
"""So many declarations within so many seconds are a bad day; one more is asked about."""

REMEMBERED = 10_000


class DeclarationLimiter:
    """Counts each person's declarations of the last minute, in memory."""

    def __init__(self, now: Callable[[], float] = loop_time) -> None:
        self._now = now
        self._lately: Bounded[PersonId, dict[str, float]] = Bounded(REMEMBERED)

    def exceeds(self, person: PersonId, key: str, *, sure: bool) -> bool:
        """Return True if this is one too many, and the person has to confirm it; else count it.

        The same key is one declaration, however often it comes.
        """
        now = self._now()
        lately = {one: at for one, at in self._lately.get(person, {}).items() if now - at < LIMITED_SECONDS}
        is_too_many = key not in lately and len(lately) >= MOST_DECLARED and not sure
        if not is_too_many:
            lately.setdefault(key, now)
        self._lately[person] = lately
        return is_too_many


# What the listeners have at hand: the actions, the form's choices, and the people we know.

LEAST_PATIENCE = 0.5
"""Seconds for what was asked, however long it took to find out whether it may be done."""

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Help:
    """Lines of help: things to type or pick, for one incident and anywhere."""

    here: Lines = ()
    anywhere: Lines = ()


async def _do_nothing() -> None:
    """A bot token in the settings is the operator's to change."""


@dataclass
class WorkspaceContext:
    """Built once for each workspace, handed to every listener."""

    declare: DeclareIncident
    workflows: IncidentWorkflows
    """Every verb on an incident that exists."""
    forms: FormCache
    workspace: SlackWorkspace
    people: People
    shared_channels: SharedChannels
    tasks: Tasks
    clock: Clock
    rules: tuple[AnnouncementRule, ...] = ()
    calls: tuple[CallRule, ...] = ()
    limits: PermissionLimits = field(default_factory=PermissionLimits)
    use_this_channel: bool = False
    """True if the declare form proposes the channel that it was opened in."""
    help: Help = field(default_factory=lambda: Help())
    pages: str = ""
    """Address of the incidents' pages, without a final slash; links to them are unfurled."""
    home_viewers: HomeViewers = field(default_factory=HomeViewers)
    declaration_limiter: DeclarationLimiter = field(default_factory=DeclarationLimiter)
    peer_teams: Callable[[], frozenset[TeamId] | None] = lambda: None
    """The workspaces whose incidents are this one's to see; None, all that there are."""
    check_uninstalled: Callable[[], Awaitable[None]] = _do_nothing
    """Slack says that Tocsin may have been uninstalled here: find out, and act on it."""
    assigned_to: Callable[[PersonId, int], Awaitable[Sequence[AssignedItem]]] | None = None
    """Reader of a person's open actions and follow-ups; None where the backend cannot be asked for them."""
    announce: ChannelId | None = None
    """Channel in which every public incident is announced, beside those of the rules."""
    authorizer: Authorizer = field(init=False)
    mentions: Mentions = field(init=False)
    """Names of the people, user groups and channels that a text mentions."""

    def __post_init__(self) -> None:
        self.mentions = Mentions(self.workspace, self.people)
        self.authorizer = Authorizer(self.people, UserGroups(self.workspace), self.limits)

    @property
    def announced_in(self) -> tuple[ChannelId, ...]:
        """Every channel in which an incident may be announced."""
        of_rules = (ChannelId(channel) for rule in self.rules for channel in rule.channels)
        return tuple(dict.fromkeys([*([self.announce] if self.announce else ()), *of_rules]))

    async def greet(self) -> None:
        """Learn, in a second and a half at most, what most declarations need to know of people and places."""
        places = (self.shared_channels.is_shared(channel, ASKING_SECONDS) for channel in self.announced_in)
        await asyncio.gather(self.people.greet(), self._learn_alerts(), *places)

    async def _learn_alerts(self) -> None:
        """Ask once; a form that shows an alert finds it out, too."""
        async with best_effort("find out if forms may have alerts"), asyncio.timeout(ASKING_SECONDS):
            await self.workspace.learn_alerts()

    async def check_permission(
        self,
        payload: Payload | EventCallback,
        verb: Verb,
        incident: Incident | None = None,
        *,
        private: bool = False,
        seconds: float = CHECK_SECONDS,
    ) -> str:
        """Check that the person of this payload may do this. Raises Refused with a sentence for them.

        `incident` is what it is done to, None for declaring and listing; `private` is what is about to be
        declared. Answers nothing when all is well, and what to note when a declaration goes unchecked.
        A person who may not know of a private incident reads `permissions.NOT_SEEN`; say the same, word for
        word, of an incident that is not there. Asks Slack at most `seconds`, and not before a form opens.
        """
        by = payload.by.slack_user_id
        return await self.authorizer.check(by, verb, incident, private=private, seconds=seconds)

    @property
    def find(self) -> FindIncidents:
        return self.workflows.find.within(self.peer_teams())

    @property
    def open_now(self) -> OpenIncidentsCache:
        return self.workflows.open_now.within(self.peer_teams())

    @property
    def marks(self) -> ReactionsAndPins:
        """Reactions and pins on messages."""
        return ReactionsAndPins(self.workspace.client, self.workspace.api)

    def open_to(self, person: PersonId | None) -> tuple[Incident, ...]:
        """Return the open incidents to offer a person; none unless they are known to be a member."""
        if not self.open_now.now:
            return ()
        known = person is not None and self.people.last_membership(person) is Membership.MEMBER
        return self.open_now.seen_by(person) if known else ()

    async def as_seen(self, person: PersonId | None, incidents: Iterable[Incident]) -> list[Incident]:
        """The incidents as this person may read of them: a private channel is named to who is in it.

        Where we open the channels ourselves, everybody who may see a private incident is in its own.
        """

        async def one(incident: Incident) -> Incident:
            if not (self.workflows.hosted_channels and incident.is_private and incident.slack_channel_id):
                return incident
            async with best_effort("see who is in a channel"), asyncio.timeout(CHECK_SECONDS):
                return await seen_by(self.workspace, incident, person)
            return without_channel(incident)

        return list(await asyncio.gather(*map(one, incidents)))

    def permalink(self, channel: ChannelId, ts: MessageTs, thread: MessageTs | None = None) -> str | None:
        """The address of a message, made without asking Slack (its form is that of chat.getPermalink)."""
        home = self.workspace.home_url
        if not home:
            return None
        address = f"{home}archives/{channel}/p{ts.replace('.', '')}"
        return f"{address}?thread_ts={thread}&cid={channel}" if thread and thread != ts else address


@dataclass
class AckTracker:
    """One payload on its way through, from when it came in until its answer has been written out."""

    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    timed: Callable[[float], None] | None = None
    """Hears how many seconds it took until the answer was written."""

    def patience_left(self) -> float:
        """Return the seconds that the person can still wait for what is being done."""
        return max(LEAST_PATIENCE, PATIENCE - (asyncio.get_running_loop().time() - self.began))

    def written(self) -> None:
        """Note that the answer is out."""
        self.acknowledged.set()
        if self.timed is not None:
            self.timed(asyncio.get_running_loop().time() - self.began)


class WorkspaceContexts:
    """The context of each workspace in the registry, made when it is first needed."""

    def __init__(
        self, registry: WorkspaceRegistry, new_context: Callable[[SlackWorkspace], WorkspaceContext]
    ) -> None:
        self.registry = registry
        self._new_context = new_context
        self._contexts: dict[TeamId, WorkspaceContext] = {}

    @property
    def open(self) -> list[WorkspaceContext]:
        """The contexts of workspaces in which Tocsin is installed now."""
        return [self._of(workspace) for workspace in self.registry.installed]

    async def find(self, team: TeamId, org: str = "") -> WorkspaceContext | None:
        """Return the context of this workspace, or None where Tocsin is not installed. Raises Unavailable."""
        workspace = await self.registry.find(team, org)
        if workspace is None:
            return None
        is_new = workspace.team_id not in self._contexts
        context = self._of(workspace)
        if is_new:
            context.tasks.begin("learn names", context.greet())
        return context

    def context_of(self, team: TeamId) -> WorkspaceContext:
        """Return the context of this workspace, also where Tocsin was uninstalled."""
        return self._of(self.registry.workspace_of(team))

    def _of(self, workspace: SlackWorkspace) -> WorkspaceContext:
        if workspace.team_id not in self._contexts:
            self._contexts[workspace.team_id] = self._new_context(workspace)
        return self._contexts[workspace.team_id]
