"""Ports: everything outside that workflows need, one for each thing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tocsin.incidents.model import (
    Card,
    ChannelId,
    FieldOption,
    FollowUp,
    Form,
    FrozenModel,
    Incident,
    MessageTs,
    Person,
    PersonId,
    SourceMessage,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.postmortem import ScheduledArchive
from tocsin.incidents.requests import Declaration, FollowUpRequest, IncidentChange, IncidentFilter
from tocsin.incidents.updates import ChangeNotification, Reminder
from tocsin.incidents.validation import CardDestination

Introduce = Callable[[str, Iterable[PersonId]], Awaitable[bool]]
"""Looks up the names of people of a workspace; True if the backend knows more names afterwards."""


Clock = Callable[[], datetime]
"""The time, as an aware UTC datetime."""


def loop_time() -> float:
    """Seconds of the running event loop's clock, as all its timers count them (monotonic)."""
    return asyncio.get_running_loop().time()


class Channel(FrozenModel):
    """A Slack channel: its id, and the name Slack gave it."""

    id: ChannelId
    name: str


class CheckResult(FrozenModel):
    """One thing that was looked at: what it means, and, where it is not well, the one thing to do."""

    name: str
    ok: bool
    said: str
    fix: str = ""


FindPerson = Callable[[TeamId, PersonId], Awaitable[Person | None]]
"""Asks a workspace for a person's name and e-mail address; None where it does not know them."""


class IncidentBackend(Protocol):
    """A store of incidents; what it lacks is in `Form.lacks`.

    Every method raises Unavailable when the backend cannot be asked, OutcomeUnknown when a change may or
    may not have been made, and Refused when the backend says no. Every change carries a key, and a repeat of
    it changes nothing.
    """

    makes_channel: bool
    """The backend opens an incident's channel itself, some time after it was created."""

    is_remote: bool
    """It may be out of reach for hours while Tocsin itself is well."""

    def set_directory(self, find_person: FindPerson) -> None:
        """Ask Slack about people from now on; called once, before any workflow goes on.

        A backend that needs to know nobody does nothing.
        """

    async def diagnose(self) -> Sequence[CheckResult]:
        """Look at everything that declaring needs: key, rights, and what the account lacks.

        Nothing is changed, and no secret is told. What is wrong is a finding, never raised. Empty where there
        is nothing to look at.
        """
        ...

    async def close(self) -> None: ...

    async def form(self) -> Form:
        """Return what a declaration may choose from, as configured now."""
        ...

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return the first hundred options that match what was typed, best first.

        Asked of a field whose options are too many to list. What is chosen `beside`, by custom field, may
        limit them.
        """
        ...

    async def create(self, declaration: Declaration) -> Incident:
        """Create the incident, once for each `declaration.key`: a repeat answers with the first one."""
        ...

    async def follow_through(self, declaration: Declaration, incident: Incident) -> None:
        """Do what an incident needs after its reference is known; repeatable, and nothing for most."""

    async def find(self, reference: str) -> Incident | None:
        """Return the incident with this id, reference (`INC-12`, any case) or bare number (`12`)."""

    async def incidents(self, *, after: str | None = None, limit: int = 50) -> Sequence[Incident]:
        """Return incidents, newest first; `after` is the id of the last one of the page before."""
        ...

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        """Return the incidents that are wanted, newest first, page by page as `incidents` does."""
        ...

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        """Change what is set, tell `message` as an update, and note who did it in the timeline.

        Raises Refused with the fields that are wrong, and Conflict when the status is not the one seen.
        """
        ...

    async def set_channel(self, incident_id: str, channel: Channel) -> Incident:
        """Remember the incident's own Slack channel."""
        ...

    async def note(self, incident_id: str, entry: TimelineEntry, key: str) -> None:
        """Add to the timeline."""

    async def unnote(self, incident_id: str, key: str) -> None:
        """Take the entry with this key out of the timeline; nothing happens when there is none."""

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Return everything that happened, oldest first."""
        ...

    async def add_follow_up(self, incident_id: str, request: FollowUpRequest) -> FollowUp: ...

    async def complete_follow_up(self, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp: ...

    async def follow_ups(self, incident_id: str) -> Sequence[FollowUp]:
        """Return actions and follow-ups, oldest first."""
        ...

    async def remember_people(self, people: Iterable[Person]) -> None:
        """Keep what people are called, where the backend does not know it by itself."""


class KeyValueStore(Protocol):
    """A few facts that a backend must not forget, such as when it first tried; shared by all replicas.

    Every method raises Unavailable when it cannot be asked. Nothing in it is secret.
    """

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, fact: str) -> None:
        """Keep a fact durably under this name, in place of the one before."""
        ...

    async def set_if_absent(self, name: str, fact: str) -> str:
        """Keep a fact unless there is one under this name already; answers the one that is kept."""
        ...

    async def delete(self, name: str) -> None: ...


class Alerts(Protocol):
    """Alerts to the operator, of each trouble once and when it is mended; nothing in them is secret."""

    def raise_alert(self, about: str, sentence: str) -> None:
        """Say what is wrong with `about`, and what to do. Nothing happens while that is known."""
        ...

    def resolve(self, about: str) -> None:
        """Say that all is well with `about`; nothing happens where no trouble was known."""
        ...


class SlackChannels(Protocol):
    """The channels of a workspace; see SlackClient for what every method raises."""

    async def create(self, name: str, incident: Incident, *, private: bool) -> Channel:
        """Make a channel. Raises Unavailable for a public one where the incident is private by now."""
        ...

    async def find_own(self, names: Collection[str], incident: Incident, *, private: bool) -> Channel | None:
        """Return the channel of one of these names that this bot made for this incident, if there is one.

        No clock is asked: it is one whose purpose is this incident, or that has none yet.
        """

    async def name_of(self, channel: ChannelId) -> str:
        """Return the name of a channel as it is now, also where people gave it."""
        ...

    async def rename(self, channel: ChannelId, name: str, incident: Incident) -> Channel: ...

    async def set_topic(self, channel: ChannelId, incident: Incident) -> None: ...

    async def set_purpose(self, channel: ChannelId, incident: Incident) -> None: ...

    async def bookmark(self, channel: ChannelId, incident: Incident, again: bool) -> None:
        """Add the incident's permalink to the channel's bookmarks, where it has one."""

    async def rebookmark(self, channel: ChannelId, incident: Incident) -> None:
        """Give the bookmark with the permalink the incident's name, where there is one."""

    async def pin(self, channel: ChannelId, ts: MessageTs) -> None: ...

    async def archive(self, channel: ChannelId) -> None:
        """Archive a channel; nothing happens when it is archived already."""

    async def invite(
        self, channel: ChannelId, people: Sequence[PersonId], incident: Incident
    ) -> tuple[PersonId, ...]:
        """Bring people in, 100 at most in one call; answers those who could not be brought in.

        Raises Withheld for people without a part in a private incident.
        """
        ...

    async def remove(self, channel: ChannelId, people: Sequence[PersonId]) -> Sequence[PersonId]:
        """Take people out of a channel; answers those who could not be taken out."""
        ...

    async def members(self, channel: ChannelId) -> Sequence[PersonId] | None:
        """Return the people in a channel; None where the bot cannot see it."""

    async def is_private(self, channel: ChannelId) -> bool:
        """True if a channel is private; False where we cannot see it."""
        ...


class SlackMessages(Protocol):
    """The bot's messages in a workspace; see SlackClient for what every method raises.

    Each is posted once for its `key`. With `again` an earlier attempt may have arrived: what carries the key
    is looked for before anything is posted.
    """

    def fingerprints(self, incident: Incident) -> Mapping[str, str]:
        """Return hashes of what would be shown of it: `card`, `topic`, `purpose` and `bookmark`."""
        ...

    async def post_card(
        self, incident: Incident, spot: CardDestination, *, key: str, again: bool = False
    ) -> Card:
        """Post the incident's card to a channel or a person."""
        ...

    async def update_card(self, incident: Incident, card: Card) -> None:
        """Have a card say what the incident is now; nothing happens when the card is gone."""

    async def withdraw(self, card: Card) -> None:
        """Delete a card; nothing happens when it is gone."""

    async def tell(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """Send a direct message in mrkdwn, with something of an incident in it or of none."""

    async def tell_plainly(
        self, person: PersonId, sentence: str, about: Incident | None, key: str, again: bool = False
    ) -> None:
        """Send a direct message in which nothing that people wrote is a mention or a link.

        Raises Withheld where the person may not read of the incident any more.
        """

    async def ask_to_fix(
        self, person: PersonId, name: str, sentence: str, *, key: str, again: bool = False
    ) -> None:
        """Tell a person that their declaration was refused, with a button that opens it again."""

    async def say(self, channel: ChannelId, sentence: str, *, key: str, again: bool = False) -> None:
        """Post a sentence in plain words that says nothing of an incident."""

    async def say_here(
        self, channel: ChannelId, incident: Incident, text: str, *, key: str, again: bool = False
    ) -> None:
        """Post words about an incident to its own channel; `text` is mrkdwn."""

    async def post_news(
        self,
        channel: ChannelId,
        news: ChangeNotification,
        incident: Incident,
        *,
        key: str,
        thread: MessageTs | None = None,
        again: bool = False,
    ) -> MessageTs:
        """Post what has changed."""
        ...

    async def find_news(self, channel: ChannelId, key: str, thread: MessageTs) -> MessageTs | None:
        """Return the news that was posted with this key; None where there is none."""

    async def post_follow_up(
        self, channel: ChannelId, incident: Incident, follow_up: FollowUp, *, key: str, again: bool = False
    ) -> MessageTs:
        """Post what is to be done, with a button that completes it."""
        ...

    async def update_follow_up(
        self, channel: ChannelId, ts: MessageTs, incident: Incident, follow_up: FollowUp
    ) -> None:
        """Have that message say that it is done."""

    async def remind(
        self, incident: Incident, asked: Person | None, due: datetime, *, key: str, again: bool = False
    ) -> None:
        """Ask for the next update in the incident's channel."""

    async def say_leaving(
        self, channel: ChannelId, incident: Incident, due: datetime, *, key: str, again: bool = False
    ) -> MessageTs:
        """Say when the channel is archived, with a button that keeps it."""
        ...

    async def say_kept(self, channel: ChannelId, ts: MessageTs, by: Person) -> None:
        """Say in place of that who keeps it."""

    async def say_written(
        self, channel: ChannelId, incident: Incident, link: str, by: Person, *, key: str, again: bool = False
    ) -> MessageTs:
        """Post a message that leads to the post-incident document."""
        ...

    async def unfurl(self, channel: ChannelId, ts: MessageTs, shown: Mapping[str, Incident]) -> None:
        """Show each incident below the message, by the address that was posted.

        Raises SlackRefused where the message is gone, or no link of that address is in it.
        """

    async def fold(self, channel: ChannelId, ts: MessageTs, url: str) -> None:
        """Show nothing of an incident below a link any more; nothing happens when the message is gone."""


class SlackFiles(Protocol):
    """The files and canvases of a workspace; see SlackClient for what every method raises."""

    async def send(
        self, to: str, name: str, text: str, comment: str, *, about: Incident, again: bool = False
    ) -> str:
        """Share a text file with a person or in a channel, and answer its id.

        With `again` an earlier attempt may have arrived: one of this name is looked for first.
        """
        ...

    async def find_canvas(self, channel: ChannelId) -> str:
        """Return the id of the channel's own canvas; empty where it has none."""
        ...

    async def write_canvas(self, channel: ChannelId, title: str, markdown: str, *, about: Incident) -> str:
        """Give the channel its canvas, and answer its id. Raises SlackRefused where it has one."""
        ...

    def canvas_link(self, canvas: str) -> str:
        """Return the address at which Slack's clients open a canvas."""
        ...

    async def find_document(self, channel: ChannelId, kind: str, name: str) -> str:
        """Return the id of the channel's canvas, or of a file of this name there; else nothing."""
        ...

    async def delete_document(self, kind: str, document: str) -> None:
        """Delete a `canvas` or a `file`; nothing happens when it is gone."""


class SlackClient(Protocol):
    """A Slack workspace, as far as incidents need it.

    Every method raises Unavailable (with Slack's Retry-After in seconds), OutcomeUnknown when the answer was
    lost, and SlackRefused with Slack's error code. What would show something of an incident raises Withheld
    where it may not be read at the moment it is to be sent.
    """

    @property
    def channels(self) -> SlackChannels: ...

    @property
    def messages(self) -> SlackMessages: ...

    @property
    def files(self) -> SlackFiles: ...

    async def group_members(self, group: str) -> Sequence[PersonId] | None:
        """Return the people of a user group, given by id or `@handle`; None for one Slack does not know."""

    async def show_declared(
        self, view_id: str, person: PersonId | None, incident: Incident, problems: Sequence[str]
    ) -> bool:
        """Put the outcome into a person's modal; False when they have closed it."""
        ...

    async def show_already_declared(
        self, view_id: str, person: PersonId | None, incident: Incident
    ) -> bool: ...

    async def show_not_declared(self, view_id: str, sentence: str) -> bool: ...

    async def complete_step(self, run: str, outputs: Mapping[str, str], *, about: Incident | None) -> None:
        """End a workflow's step; nothing happens when the workflow does not wait for it any more.

        Raises Withheld where the incident that its outputs are about is private.
        """

    async def fail_step(self, run: str, sentence: str) -> None:
        """End a workflow's step with the reason why it was not done."""


WorkspaceOf = Callable[[TeamId], SlackClient]
"""The workspace with this id, also where Tocsin is installed no more: then everything waits."""


class SlackStateStore(Protocol):
    """A store of what Tocsin did in Slack and is to do there, for any backend.

    Every method raises Unavailable when the store cannot be asked.
    """

    async def claim_source(self, team: str, source: SourceMessage, key: str) -> str:
        """Take a message for a declaration; answers the key of the declaration that took it first."""
        ...

    async def release_source(self, team: str, source: SourceMessage, key: str) -> None:
        """Give the message back, when the declaration with this key was refused."""

    async def source_key(self, team: str, source: SourceMessage) -> str | None:
        """Return the key of the declaration made from this message."""

    async def remember_incident(self, key: str, incident: Incident) -> None:
        """Note the incident that the declaration with this key became."""

    async def incident_id(self, key: str) -> str | None:
        """Return the id of the incident that the declaration with this key became."""

    async def remember_card(self, incident_id: str, card: Card) -> None:
        """Note a card that was posted; one that is known already stays."""

    async def cards(self, incident_id: str) -> Sequence[Card]:
        """Return every card of the incident, the oldest first."""
        ...

    async def forget_card(self, card: Card) -> None:
        """Forget a card that was deleted."""

    async def remember_channel(self, channel: ChannelId, incident_id: str) -> None:
        """Note the incident that a channel is for; the first one stays."""

    async def incident_of_channel(self, channel: ChannelId) -> str | None:
        """Return the id of the incident that this channel is, or was, for."""

    async def fingerprints(self, incident_id: str) -> Mapping[tuple[str, str], str]:
        """Return what was shown where, so that what would look the same is left alone.

        By channel and thing, which is a card's `ts`, or `topic` and the like.
        """
        ...

    async def save_fingerprint(self, incident_id: str, channel: str, thing: str, face: str) -> None:
        """Note what a thing shows now."""

    async def delete_fingerprint(self, incident_id: str, channel: str, thing: str) -> None:
        """Forget a thing that shows nothing any more."""

    async def save_rendered(self, incident: Incident, card: Card, face: str, seen: str) -> None:
        """Note both that a card shows this face, and what the incident was then, or neither."""

    async def watched(self) -> Mapping[str, str]:
        """Return what each open incident was when last looked at, by its id."""
        ...

    async def remember_watched(self, incident_id: str, seen: str | None) -> None:
        """Note what an incident was when it was last looked at; None when it need not be watched any more."""

    async def find_reminder(self, incident_id: str) -> Reminder | None:
        """Return the incident's reminder; it has one at most."""

    async def due_reminders(self, now: datetime) -> Sequence[Reminder]:
        """Return those whose time has come, the longest due first, 100 at most."""
        ...

    async def remember_reminder(self, reminder: Reminder) -> None:
        """Keep a reminder in place of the one before."""

    async def claim_reminder(self, reminder: Reminder) -> bool:
        """Note that its message is on its way; False when another reminder has taken its place."""
        ...

    async def forget_reminder(self, incident_id: str, key: str | None = None) -> None:
        """Forget a reminder; with a key, only if it is still that one."""

    async def find_scheduled_archive(self, incident_id: str) -> ScheduledArchive | None:
        """Return when the incident's channel is archived, if it is to be."""

    async def archives_due(self, until: datetime) -> Sequence[ScheduledArchive]:
        """Return the channels due until then that are neither kept nor gone, the longest due first."""
        ...

    async def save_scheduled_archive(self, archive: ScheduledArchive) -> None:
        """Keep a departure in place of the one before."""


class FinishedWorkflow(FrozenModel):
    """The end of a workflow that was forgotten: the kind of its outcome, and the id of its incident."""

    kind: str = ""
    incident_id: str = ""


class WorkflowEngine(Protocol):
    """Durable workflows: what was started is finished, also by the next process."""

    async def start(self, verb: str, key: str, command: Mapping[str, Any]) -> None:
        """Commit to a workflow and begin it; nothing happens when this key was ever started before."""

    def step(self, name: str, act: Callable[[bool], Awaitable[Any]]) -> Awaitable[Any]:
        """Do one step of the running workflow, or recall what it answered before: plain JSON values.

        `act` is told by its argument that an earlier process may already have done it.
        """
        ...

    async def find_command(self, key: str) -> Any:
        """Return what a workflow was begun with; None when there is none of this key."""

    async def result(self, key: str) -> Any:
        """Return what a finished workflow answered; None while it runs, or when there is none of this key."""

    async def find_finished(self, key: str) -> FinishedWorkflow | None:
        """Return the end of a workflow that finished so long ago that its command and result are not kept."""
