"""Ports: protocols of the backend, the Slack client, the stores and the engine that workflows call."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol

from tocsin.incidents.alerts import AlertBatch, AlertEvent, AlertGroup, AlertRoute
from tocsin.incidents.model import (
    AlertSummary,
    Card,
    ChannelId,
    FieldOption,
    FollowUp,
    Form,
    FrozenModel,
    Incident,
    Person,
    PersonId,
    SourceMessage,
    TeamId,
    TimelineEntry,
)
from tocsin.incidents.paging import Acknowledgement, Page
from tocsin.incidents.postmortem import ScheduledArchive
from tocsin.incidents.requests import (
    Declaration,
    FollowUpChange,
    FollowUpRequest,
    IncidentChange,
    IncidentFilter,
    IncidentQuery,
    ListedIncidents,
)
from tocsin.incidents.updates import Reminder

Introduce = Callable[[str, Iterable[PersonId]], Awaitable[bool]]
"""Looks up the names of people in a workspace; returns True if the backend knows more names afterwards."""


Clock = Callable[[], datetime]
"""Returns the current time as an aware UTC datetime."""


def loop_time() -> float:
    """Return the time of the running event loop's clock in seconds (monotonic)."""
    return asyncio.get_running_loop().time()


class Channel(FrozenModel):
    """A Slack channel: its id, and the name Slack gave it."""

    id: ChannelId
    name: str


class CheckResult(FrozenModel):
    """Result of one diagnostic check: what was found and, if it is not `ok`, the fix."""

    name: str
    ok: bool
    said: str
    fix: str = ""


FindPerson = Callable[[TeamId, PersonId], Awaitable[Person | None]]
"""Asks a workspace for a person's name and e-mail address; returns None if it does not know them."""


class IncidentBackend(Protocol):
    """A system that stores incidents; the verbs that it lacks are in `Form.lacks`.

    Every method raises Unavailable if the backend cannot be reached, OutcomeUnknown if a change may or may
    not have been made, and Refused if the backend rejects it. Every change carries an idempotency key: a
    repeat changes nothing.
    """

    makes_channel: bool
    """True if the backend creates an incident's channel itself, some time after the incident."""

    is_remote: bool
    """True if the backend may be unavailable for hours while Tocsin itself works."""

    cannot_filter_by: tuple[str, ...]
    """Fields of `IncidentQuery` for which the backend's own list has no filter."""

    def set_directory(self, find_person: FindPerson) -> None:
        """Set the function that looks up people in Slack; called once, before any workflow is resumed.

        A backend that needs no names does nothing.
        """

    async def diagnose(self) -> Sequence[CheckResult]:
        """Check everything that declaring needs: the key, its permissions, the account's settings.

        Changes nothing and shows no secret. Problems are findings and never raised. Returns an empty list if
        there is nothing to check.
        """
        ...

    async def close(self) -> None: ...

    async def form(self) -> Form:
        """Return the choices of the declare form, as configured now."""
        ...

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return the best hundred options that match the `typed` text, best first.

        For a field with too many options to list. The values chosen in other custom fields (`beside`, by
        field) may limit them.
        """
        ...

    async def create(self, declaration: Declaration) -> Incident:
        """Create the incident, once for each `declaration.key`: a repeat returns the first one."""
        ...

    async def follow_through(self, declaration: Declaration, incident: Incident) -> None:
        """Add to the incident what can wait until its reference is known; repeatable. Most do nothing."""

    async def find(self, reference: str) -> Incident | None:
        """Return the incident with this id, reference (`INC-12`, any case) or bare number (`12`)."""

    async def incidents(self, *, after: str | None = None, limit: int = 50) -> Sequence[Incident]:
        """Return a page of incidents, newest first; `after` is the id of the last one of the page before."""
        ...

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        """Return a page of the incidents that match the filter, newest first, as `incidents` does."""
        ...

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        """Return a page of the list of incidents. Filters in `cannot_filter_by` are not applied.

        Raises Refused, with the field `after`, for a cursor that names no place that the viewer may know.
        """
        ...

    async def change(self, incident_id: str, change: IncidentChange) -> Incident:
        """Change the fields that are set, add `message` as an update, and add the person to the timeline.

        Raises Refused with the invalid fields, and Conflict if the status is not the one the person saw.
        """
        ...

    async def set_channel(self, incident_id: str, channel: Channel) -> Incident:
        """Store the incident's own Slack channel."""
        ...

    async def set_alerts(self, incident_id: str, alerts: AlertSummary) -> Incident:
        """Store the summary of the incident's alerts, which its card shows; no change of the incident."""
        ...

    async def note(self, incident_id: str, entry: TimelineEntry, key: str) -> None:
        """Add an entry to the timeline."""

    async def unnote(self, incident_id: str, key: str) -> None:
        """Remove the entry with this key from the timeline; does nothing if there is none."""

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Return the timeline's entries, oldest first."""
        ...

    async def merged_into(self, incident_id: str) -> str | None:
        """Return the id of the incident that this one was merged into; None if the backend knows of none."""

    async def add_follow_up(self, incident_id: str, request: FollowUpRequest) -> FollowUp: ...

    async def complete_follow_up(self, follow_up_id: str, by: Person, at: datetime, key: str) -> FollowUp: ...

    async def change_follow_up(self, follow_up_id: str, change: FollowUpChange) -> FollowUp:
        """Give an action or follow-up to a person, or link its issue."""
        ...

    async def follow_ups(self, incident_id: str) -> Sequence[FollowUp]:
        """Return actions and follow-ups, oldest first."""
        ...

    async def remember_people(self, people: Iterable[Person]) -> None:
        """Store people's names, if the backend does not know them by itself."""


class KeyValueStore(Protocol):
    """Durable key-value store shared by all replicas, for a few facts such as the time of a first attempt.

    Every method raises Unavailable if the store cannot be reached. It holds no secrets.
    """

    async def get(self, name: str) -> str | None: ...

    async def set(self, name: str, fact: str) -> None:
        """Store a fact durably under this name, replacing the one before."""
        ...

    async def set_if_absent(self, name: str, fact: str) -> str:
        """Store a fact unless there is one under this name; return the stored one."""
        ...

    async def delete(self, name: str) -> None: ...


class Alerts(Protocol):
    """Alerts to the operator, one for each problem and one for its end; they contain no secrets."""

    def raise_alert(self, about: str, sentence: str) -> None:
        """Report a problem with `about`, and what to do; does nothing while it is known."""
        ...

    def resolve(self, about: str) -> None:
        """Report that the problem with `about` is over; does nothing if none was known."""
        ...


class SlackStateStore(Protocol):
    """Store of the bot's posts in Slack and of its scheduled actions there, for any backend.

    Every method raises Unavailable if the store cannot be reached.
    """

    async def claim_source(self, team: str, source: SourceMessage, key: str) -> str:
        """Claim a message for a declaration; return the key of the declaration that claimed it first."""
        ...

    async def release_source(self, team: str, source: SourceMessage, key: str) -> None:
        """Release the message if the declaration with this key holds it: that declaration was refused."""

    async def source_key(self, team: str, source: SourceMessage) -> str | None:
        """Return the key of the declaration from this message; None if there is none."""

    async def remember_incident(self, key: str, incident: Incident) -> None:
        """Store the incident that the declaration with this key created."""

    async def incident_id(self, key: str) -> str | None:
        """Return the id of the incident that the declaration with this key created; None if there is none."""

    async def remember_card(self, incident_id: str, card: Card) -> None:
        """Store a card that was posted; a known one stays as it is."""

    async def cards(self, incident_id: str) -> Sequence[Card]:
        """Return all cards of the incident, oldest first."""
        ...

    async def forget_card(self, card: Card) -> None:
        """Forget a card that was deleted."""

    async def remember_channel(self, channel: ChannelId, incident_id: str) -> None:
        """Store the incident that a channel belongs to; a channel's first incident stays."""

    async def claim_channel(
        self, channel: ChannelId, incident_id: str, *, instead_of: str | None = None
    ) -> str:
        """Store the incident that a channel belongs to, unless that is another one than `instead_of`.

        Returns the id of the incident that the channel belongs to then.
        """
        ...

    async def incident_of_channel(self, channel: ChannelId) -> str | None:
        """Return the id of the incident that this channel belongs to, or did; None if there is none."""

    async def fingerprints(self, incident_id: str) -> Mapping[tuple[str, str], str]:
        """Return the hashes of the rendered posts, so that a post that would look the same is not edited.

        By channel and thing, which is a card's `ts`, `topic`, or a prefix from `channels.py` with an id.
        """
        ...

    async def save_fingerprint(self, incident_id: str, channel: str, thing: str, face: str) -> None:
        """Store the hash of the content that a thing shows now."""

    async def delete_fingerprint(self, incident_id: str, channel: str, thing: str) -> None:
        """Forget a thing that is no longer shown."""

    async def save_rendered(self, incident: Incident, card: Card, face: str, seen: str) -> None:
        """Store a card, its hash and the incident's snapshot at that time in one transaction."""

    async def watched(self) -> Mapping[str, str]:
        """Return the snapshot of each open incident as of the last poll, by id."""
        ...

    async def remember_watched(self, incident_id: str, seen: str | None) -> None:
        """Store the incident's snapshot as of the last poll; None ends the polling of it."""

    async def find_reminder(self, incident_id: str) -> Reminder | None:
        """Return the incident's only reminder; None if it has none."""

    async def due_reminders(self, now: datetime) -> Sequence[Reminder]:
        """Return at most 100 reminders that are due, longest due first."""
        ...

    async def remember_reminder(self, reminder: Reminder) -> None:
        """Store a reminder, replacing the incident's earlier one."""

    async def claim_reminder(self, reminder: Reminder) -> bool:
        """Record that its message is being posted; return False if another reminder has replaced it."""
        ...

    async def forget_reminder(
        self, incident_id: str, key: str | None = None, *, overdue_since: datetime | None = None
    ) -> None:
        """Delete the incident's reminder; with a key, only if it still has that key.

        With `overdue_since` it was posted, and the update is overdue until there is another reminder or none.
        """

    async def overdue_updates(self) -> Mapping[str, datetime]:
        """Return when the updates were due whose reminders were posted, by incident id, longest due first."""
        ...

    async def find_scheduled_archive(self, incident_id: str) -> ScheduledArchive | None:
        """Return the planned archiving of the incident's channel; None if there is none."""

    async def archives_due(self, until: datetime) -> Sequence[ScheduledArchive]:
        """Return the archivings due until then that are neither cancelled nor done, longest due first."""
        ...

    async def save_scheduled_archive(self, archive: ScheduledArchive) -> None:
        """Store a planned archiving, replacing the incident's earlier one."""

    async def claim_page(self, page: Page) -> Page:
        """Store a page; return another one if its sender did not know of it (`Page.after`)."""
        ...

    async def mark_page(
        self, key: str, acknowledged: Acknowledgement | None, ended_at: datetime | None
    ) -> None:
        """Store that a page was acknowledged, or is over, unless that is stored already."""

    async def pages(self, incident_id: str) -> Sequence[Page]:
        """Return the incident's pages, oldest first."""
        ...

    async def open_pages(self, since: datetime) -> Sequence[Page]:
        """Return at most 100 pages since then that are not over, newest first."""
        ...


class AlertStore(ABC):
    """Store of alerts and of their groups. Every method raises Unavailable."""

    @abstractmethod
    async def receive(
        self, source: str, events: Sequence[tuple[AlertEvent, AlertRoute]], at: datetime
    ) -> None:
        """Store the events in one transaction; what is known already is counted and stored once.

        An event of a page that Tocsin itself sent is left out: else its alert would declare an incident.
        """

    @abstractmethod
    async def due(self) -> tuple[list[tuple[str, str | None]], list[AlertGroup]]:
        """Return the keys and ids of groups with new events, and the groups whose work is unfinished.

        A group with an id is there once, with one of the keys of its new events.
        """

    @abstractmethod
    async def begin_batch(self, group_key: str, group_id: str | None, at: datetime) -> AlertGroup | None:
        """Put the new events of a group into its next batch, and return the group.

        Without a group of this key, the first alert that fires begins one; beyond the limit of a rule's
        groups, all that waits for one joins the newest. Returns None if there is nothing to do yet: the last
        batch is unfinished, or too recent.
        """

    @abstractmethod
    async def pause(self, group_key: str, group_id: str | None, at: datetime) -> float:
        """Return the seconds until the next batch of this group may begin; 0 if it may at once."""

    @abstractmethod
    async def crowding(self, group_key: str, at: datetime) -> list[AlertGroup]:
        """Return the open groups of a rule, if they are so many that this key would join one of them now."""

    @abstractmethod
    async def end(self, group_id: str) -> None:
        """End a group whose incident is over: further alerts begin another one."""

    @abstractmethod
    async def group(self, group_id: str) -> AlertGroup | None:
        """Return the group with this id."""

    @abstractmethod
    async def batch(self, group_id: str, number: int) -> AlertBatch:
        """Return a batch: what fired in it and what was resolved, and the first alert of the group."""

    @abstractmethod
    async def set_incident(self, group_id: str, incident_id: str) -> None:
        """Store the incident of a group; a known one stays."""

    @abstractmethod
    async def move(self, group_id: str, incident_id: str) -> None:
        """Attach a group, with all of its alerts, to another incident than before."""

    @abstractmethod
    async def group_before(self, group: AlertGroup) -> AlertGroup | None:
        """Return the group that had the key of this one before it; None if it is the first."""

    @abstractmethod
    async def fail(self, group_id: str, failure: str) -> None:
        """End a group that could not get an incident, with the reason."""

    @abstractmethod
    async def begin_again(self, group_id: str, number: int) -> None:
        """End a group whose incident is over; what fired in its last batch waits for a new group."""

    @abstractmethod
    async def finish(self, group_id: str, number: int, at: datetime, *, closes: bool) -> None:
        """Record that a batch is attached; with `closes`, the group is closed if it stays resolved."""

    @abstractmethod
    async def end_quiet(self, at: datetime) -> None:
        """End the groups all of whose alerts have been resolved for a while, and mark them as closing."""

    @abstractmethod
    async def next_quiet(self) -> datetime | None:
        """Return the next time at which a group may be closed; None if none may."""

    @abstractmethod
    async def closed(self, group_id: str) -> None:
        """Record that the closing of a group's incident has begun."""

    @abstractmethod
    async def forget(self, before: datetime) -> None:
        """Delete alerts that no incident has and that nothing was heard of since then, and their groups."""

    @abstractmethod
    async def summary(self, incident_id: str) -> AlertSummary:
        """Return the numbers and the newest titles of an incident's alerts."""


class FinishedWorkflow(FrozenModel):
    """Outcome of a deleted workflow: its kind and the id of its incident."""

    kind: str = ""
    incident_id: str = ""


# A workflow may be taken over by another replica. From then on this one must send nothing more for it.

_still_ours: ContextVar[Callable[[], None]] = ContextVar("still_ours", default=lambda: None)


def own_by(check: Callable[[], None]) -> None:
    """Have `check_ownership` call this in the running workflow; it raises Unavailable."""
    _still_ours.set(check)


def check_ownership() -> None:
    """Raise Unavailable if another replica may go on with this workflow; called before every request."""
    _still_ours.get()()


class WorkflowEngine(Protocol):
    """Engine of durable workflows: a started workflow is finished, if need be by the next process."""

    async def start(self, verb: str, key: str, command: Mapping[str, Any]) -> bool:
        """Persist a workflow and start it; return False if this key was ever started before."""
        ...

    def is_resumed(self) -> bool:
        """True in a workflow that an earlier process may have begun."""
        ...

    def step(self, name: str, act: Callable[[bool], Awaitable[Any]]) -> Awaitable[Any]:
        """Run one step of the running workflow, or return its recorded result, which is plain JSON.

        The argument of `act` is True if an earlier process may have run it already.
        """
        ...

    def is_running(self, key: str) -> bool:
        """True if this process runs the workflow."""
        ...

    async def find_command(self, key: str) -> Any:
        """Return the command that a workflow was started with; None if there is none with this key."""

    async def result(self, key: str) -> Any:
        """Return the result of a finished workflow; None while it runs, or if there is none with this key."""

    async def find_finished(self, key: str) -> FinishedWorkflow | None:
        """Return the outcome of a workflow that was deleted long after its end; None if there is none."""
