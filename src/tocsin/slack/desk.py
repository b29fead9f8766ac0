"""What the listeners have at hand: the actions, the form's choices, and the people we know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tocsin.incidents.announcements import AnnouncementRule
from tocsin.incidents.model import ChannelId, Incident, MessageTs, PersonId, TeamId
from tocsin.incidents.permissions import Limits, Standing, Verb
from tocsin.slack.floods import Floods
from tocsin.slack.gestures import Command, Happening, Interaction
from tocsin.slack.lookers import Lookers
from tocsin.slack.marks import Marks
from tocsin.slack.mentions import Mentions
from tocsin.slack.people import ASKING_SECONDS, People
from tocsin.slack.permits import CHECK_SECONDS, Permits, UserGroups
from tocsin.slack.places import Places
from tocsin.slack.tasks import Tasks
from tocsin.slack.workspace import SlackWorkspace
from tocsin.workflows.change import ChangeIncident
from tocsin.workflows.channels import seen_by, unnamed
from tocsin.workflows.command import PATIENCE
from tocsin.workflows.declare import DeclareIncident
from tocsin.workflows.followups import FollowUps
from tocsin.workflows.form_cache import FormCache
from tocsin.workflows.ports import Clock, loop_time
from tocsin.workflows.queries import FindIncidents, OpenIncidents
from tocsin.workflows.registry import Managing
from tocsin.workflows.reminders import Remind
from tocsin.workflows.retry import best_effort
from tocsin.workflows.timeline import Notes

_answered: ContextVar[asyncio.Event | None] = ContextVar("answered", default=None)
_since: ContextVar[float | None] = ContextVar("since", default=None)
LEAST_PATIENCE = 0.5
"""Seconds for what was asked, however long it took to find out whether it may be done."""

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Help:
    """What to type or pick, and what it does: to one incident, and anywhere."""

    here: Lines = ()
    anywhere: Lines = ()


async def _stays() -> None:
    """A bot token in the settings is the operator's to change."""


@dataclass
class Desk:
    """Built once for each workspace, handed to every listener."""

    declare: DeclareIncident
    managing: Managing
    """Every verb on an incident that exists."""
    forms: FormCache
    workspace: SlackWorkspace
    people: People
    tasks: Tasks
    clock: Clock
    rules: tuple[AnnouncementRule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    help: Help = field(default_factory=lambda: Help())
    pages: str = ""
    """Where the incidents' pages are, without a final slash; links to them are shown."""
    lookers: Lookers = field(default_factory=Lookers)
    floods: Floods = field(default_factory=Floods)
    near: Callable[[], frozenset[TeamId] | None] = lambda: None
    """The workspaces whose incidents are this one's to see; None, all that there are."""
    look_whether_gone: Callable[[], Awaitable[None]] = _stays
    """Slack says that Tocsin may have been uninstalled here: find out, and act on it."""
    announce: ChannelId | None = None
    """Where public incidents are announced, whatever the rules say."""
    permits: Permits = field(init=False)
    places: Places = field(init=False)
    mentions: Mentions = field(init=False)
    """What whom and what a text mentions are called."""

    def __post_init__(self) -> None:
        self.mentions = Mentions(self.workspace, self.people)
        self.places = Places(self.workspace.readership)
        self.permits = Permits(self.people, UserGroups(self.workspace), self.limits)

    @property
    def announced_in(self) -> tuple[ChannelId, ...]:
        """Every channel in which an incident may be announced."""
        of_rules = (ChannelId(channel) for rule in self.rules for channel in rule.channels)
        return tuple(dict.fromkeys([*([self.announce] if self.announce else ()), *of_rules]))

    async def greet(self) -> None:
        """Learn, in a second and a half at most, what most declarations need to know of people and places."""
        places = (self.places.is_shared(channel, ASKING_SECONDS) for channel in self.announced_in)
        await asyncio.gather(self.people.greet(), *places)

    async def may(
        self,
        gesture: Command | Interaction | Happening,
        verb: Verb,
        incident: Incident | None = None,
        *,
        private: bool = False,
        seconds: float = CHECK_SECONDS,
    ) -> str:
        """Check that whoever made this gesture may do this. Raises Refused with a sentence for them.

        `incident` is what it is done to, None for declaring and listing; `private` is what is about to be
        declared. Answers nothing when all is well, and what to note when a declaration goes unchecked.
        Somebody who may not know of a private incident reads `permissions.NOT_SEEN`; say the same, word for
        word, of an incident that is not there. Asks Slack at most `seconds`, and not before a form opens.
        """
        by = gesture.by.slack_user_id
        return await self.permits.check(by, verb, incident, private=private, seconds=seconds)

    @property
    def find(self) -> FindIncidents:
        return self.managing.find.within(self.near())

    @property
    def open_now(self) -> OpenIncidents:
        return self.managing.open_now.within(self.near())

    @property
    def change(self) -> ChangeIncident:
        return self.managing.change

    @property
    def notes(self) -> Notes:
        return self.managing.notes

    @property
    def follow_ups(self) -> FollowUps:
        return self.managing.follow_ups

    @property
    def remind(self) -> Remind:
        return self.managing.remind

    @property
    def marks(self) -> Marks:
        """What people put on messages."""
        return Marks(self.workspace.client, self.workspace.calls)

    def open_to(self, person: PersonId | None) -> tuple[Incident, ...]:
        """The open incidents that may be shown to somebody unasked: none to who is not known as a member."""
        if not self.open_now.now:
            return ()
        known = person is not None and self.people.last_standing(person) is Standing.MEMBER
        return self.open_now.seen_by(person) if known else ()

    async def as_seen(self, person: PersonId | None, incidents: Iterable[Incident]) -> list[Incident]:
        """The incidents as this person may read of them: a private channel is named to who is in it.

        Where we open the channels ourselves, everybody who may see a private incident is in its own.
        """

        async def one(incident: Incident) -> Incident:
            if not (self.managing.hosted_channels and incident.is_private and incident.slack_channel_id):
                return incident
            async with best_effort("see who is in a channel"), asyncio.timeout(CHECK_SECONDS):
                return await seen_by(self.workspace, incident, person)
            return unnamed(incident)

        return list(await asyncio.gather(*map(one, incidents)))

    def permalink(self, channel: ChannelId, ts: MessageTs, thread: MessageTs | None = None) -> str | None:
        """The address of a message, made without asking Slack (its form is that of chat.getPermalink)."""
        home = self.workspace.home_url
        if not home:
            return None
        address = f"{home}archives/{channel}/p{ts.replace('.', '')}"
        return f"{address}?thread_ts={thread}&cid={channel}" if thread and thread != ts else address


@dataclass
class Delivery:
    """One payload on its way through, from when it came in until its answer has been written out."""

    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    timed: Callable[[float], None] | None = None
    """Hears how many seconds it took until the answer was written."""

    def written(self) -> None:
        """The answer is out."""
        self.acknowledged.set()
        if self.timed is not None:
            self.timed(asyncio.get_running_loop().time() - self.began)


@contextmanager
def answering(answered: asyncio.Event) -> Iterator[None]:
    """What is asked for inside is answered when this is set: until then it may have to be told otherwise."""
    token, since = _answered.set(answered), _since.set(loop_time())
    try:
        yield
    finally:
        _answered.reset(token)
        _since.reset(since)


def patience_left() -> float:
    """Seconds that whoever asked can wait for what is being done: less than since they asked."""
    began = _since.get()
    return PATIENCE if began is None else max(LEAST_PATIENCE, PATIENCE - (loop_time() - began))


def being_answered() -> asyncio.Event | None:
    """Set once whoever asked for what is being done has read the answer; None where nobody waits for one."""
    return _answered.get()
