"""Queries for incidents, and caches of the open ones and of the backend's latest answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tocsin.incidents.model import ChannelId, Incident, PersonId, TeamId, TimelineEntry
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.validation import is_in_teams, is_visible_to
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, loop_time
from tocsin.workflows.used_channel import earlier_topic, holder

# Finding and listing incidents, as far as a person may see them.


class FindIncidents:
    """Lookup of incidents by channel, reference or filter, in all workspaces or in some of them."""

    def __init__(
        self, *, backend: IncidentBackend, channels: SlackStateStore, teams: frozenset[TeamId] | None = None
    ) -> None:
        """`teams` are the workspaces whose incidents are found; None means all."""
        self._backend = backend
        self._channels = channels
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> FindIncidents:
        """Return the same lookup, limited to the incidents of these workspaces."""
        return FindIncidents(backend=self._backend, channels=self._channels, teams=teams)

    async def here(self, channel: ChannelId) -> Incident | None:
        """Return the incident of its own channel, whose members may all see it; None if there is none.

        Raises Unavailable.
        """
        incident_id = await self._channels.incident_of_channel(channel)
        found = None if incident_id is None else await self._find(incident_id)
        # A private incident has moved out of its former public channel, whose members may not see it.
        left = found is not None and found.is_private and found.slack_channel_id != channel
        return None if left else found

    async def holder(self, channel: ChannelId) -> Incident | None:
        """Return the incident whose channel this stays; None if a new incident may use the channel."""
        return await holder(self._backend, self._channels, channel)

    async def is_left(self, incident: Incident) -> bool:
        """True if an incident is over whose channel goes on without it, since it was there before."""
        if incident.incident_status.is_open:
            return False
        return await earlier_topic(self._channels, incident, incident.slack_channel_id) is not None

    async def named(self, reference: str, person: PersonId | None) -> Incident | None:
        """Return the incident with this reference, id or number; None if the person may not see it."""
        found = await self._find(reference)
        return found if found is not None and is_visible_to(person, found) else None

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 20
    ) -> Sequence[Incident]:
        """Return a page of the incidents that match the filter, newest first. Raises Unavailable.

        Set `visible_to` in the filter unless the reader may see every incident. Tests that have ended are
        left out.
        """
        wanted = wanted.model_copy(update={"teams": self._teams})
        found: list[Incident] = []
        while len(found) < limit:
            asked = limit - len(found)
            page = await self._backend.matching(wanted, after=after, limit=asked)
            found += [one for one in page if one.mode != "test" or one.incident_status.is_open]
            if len(page) < asked:
                break
            after = page[-1].id
        return found

    async def _find(self, reference: str) -> Incident | None:
        found = await self._backend.find(reference)
        return found if found is not None and is_in_teams(self._teams, found) else None

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Return the timeline's entries, oldest first."""
        return await self._backend.timeline(incident_id)


# A cache of the open incidents, so that forms and the Home tab need no call to the backend.


@dataclass
class _AtHand:
    """Contents of the cache, shared by the views of all workspaces."""

    opened: dict[str, Incident] = field(default_factory=dict)
    """The open incidents by id, in no order."""
    newest_first: tuple[Incident, ...] | None = None
    """The same; None until it is asked for after a change, since sorting takes long if there are many."""
    meanwhile: dict[str, Incident] = field(default_factory=dict)
    """Incidents that were put into the cache since the last refresh began, by id."""
    subscribers: list[Callable[[], None]] = field(default_factory=list)


class OpenIncidentsCache:
    """Open incidents as of the last poll, newest first; usable while the backend is down."""

    def __init__(self, at_hand: _AtHand | None = None, teams: frozenset[TeamId] | None = None) -> None:
        self._at_hand = at_hand or _AtHand()
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> OpenIncidentsCache:
        """Return a view of the same cache, limited to these workspaces; None means all."""
        return OpenIncidentsCache(self._at_hand, teams)

    @property
    def now(self) -> tuple[Incident, ...]:
        all_now = self._at_hand.newest_first
        if all_now is None:
            opened = self._at_hand.opened.values()
            all_now = tuple(sorted(opened, key=lambda one: one.created_at, reverse=True))
            self._at_hand.newest_first = all_now
        return (
            all_now if self._teams is None else tuple(one for one in all_now if is_in_teams(self._teams, one))
        )

    @property
    def subscribers(self) -> list[Callable[[], None]]:
        """Callbacks for every change of the open incidents."""
        return self._at_hand.subscribers

    def put(self, incident: Incident) -> None:
        """Put an incident that was declared or changed here into the cache at once.

        Does nothing if the cached version is newer.
        """
        opened = self._at_hand.opened
        known = opened.get(incident.id)
        newest = self._at_hand.meanwhile[incident.id] = _newest(incident, known)
        if newest.incident_status.is_open:
            opened[incident.id] = newest
            changed = newest != known
        else:
            changed = opened.pop(incident.id, None) is not None
        if changed:
            self._changed()

    def begin_refresh(self) -> None:
        """Record that a query for all open incidents begins."""
        self._at_hand.meanwhile.clear()

    def replace_all(self, incidents: Iterable[Incident]) -> None:
        """Replace the cache with a fresh list, keeping entries that changed after the query began.

        Such an incident may have been declared or closed too late for the list.
        """
        known = self._at_hand.opened
        found = {one.id: _newest(one, known.get(one.id)) for one in incidents}
        for seen in self._at_hand.meanwhile.values():
            found[seen.id] = _newest(seen, found.get(seen.id))
        opened = {id_: one for id_, one in found.items() if one.incident_status.is_open}
        if opened != known:
            self._at_hand.opened = opened
            self._changed()

    def _changed(self) -> None:
        self._at_hand.newest_first = None
        for hear in self.subscribers:
            hear()

    def seen_by(self, person: PersonId | None) -> tuple[Incident, ...]:
        """Return the open incidents that this person may see."""
        return tuple(incident for incident in self.now if is_visible_to(person, incident))

    def of_channel(self, channel: str | None) -> Incident | None:
        """Return the open incident whose own channel this is; None if there is none."""
        return next((known for known in self.now if channel and known.slack_channel_id == channel), None)

    def find(self, reference: str) -> Incident | None:
        """Return the open incident with this id, reference (any case) or bare number; None if none has it."""
        wanted = reference.strip().lstrip("#").casefold()
        return next((known for known in self.now if wanted in _names(known)), None)


def _newest(one: Incident, other: Incident | None) -> Incident:
    """Return the version that was updated last; of two with the same time, the private one.

    A vendor may give times in whole seconds, and a public version could be from before the incident was made
    private.
    """
    if other is None or one.updated_at > other.updated_at:
        return one
    is_tied = one.updated_at == other.updated_at
    return one if is_tied and (one.is_private or not other.is_private) else other


def _names(incident: Incident) -> tuple[str, str, str]:
    reference = incident.reference.casefold()
    return incident.id.casefold(), reference, reference.rpartition("-")[2]


# Current incidents, for checks just before something of them is sent.

SHARED_SECONDS = 1.0
"""Seconds for which one answer of a remote backend is reused; most messages are sent within that time."""

MOST_KEPT = 1_000


class CurrentIncidents:
    """Reader of incidents at the backend; one instance serves the whole process.

    The local backend is asked each time, once for the calls of one moment. A remote backend is asked at most
    once a second for each incident; the incident that it returns for a change counts as such an answer.
    """

    def __init__(
        self, backend: IncidentBackend, changed: Callable[[str], None] = lambda incident_id: None
    ) -> None:
        """`changed` is told of each incident that was changed here, for the other replicas to hear."""
        self._backend = backend
        self._changed = changed
        self.open_now = OpenIncidentsCache()
        """Cache of the open incidents; every incident read here updates it."""
        self._answers: dict[str, tuple[Incident, float]] = {}
        self._asking: dict[str, asyncio.Task[Incident | None]] = {}

    def observe(self, incident: Incident) -> None:
        """Store an incident that was declared or changed here, and that the backend has just returned."""
        self._store(incident)
        self._changed(incident.id)

    async def hear(self, incident_id: str) -> None:
        """Ask for an incident that another replica has declared or changed. Raises Unavailable."""
        self._answers.pop(incident_id, None)
        if (found := await self._backend.find(incident_id)) is not None:
            self._store(found)

    def _store(self, incident: Incident) -> None:
        self.open_now.put(incident)
        if not self._backend.is_remote:
            return
        self._answers.pop(incident.id, None)
        self._answers[incident.id] = incident, loop_time()
        if len(self._answers) > MOST_KEPT:
            del self._answers[next(iter(self._answers))]

    async def find(self, incident_id: str) -> Incident | None:
        """Return the incident with this id; None if there is none. Raises Unavailable and Refused."""
        answer, at = self._answers.get(incident_id, (None, 0.0))
        if answer is not None and loop_time() - at < SHARED_SECONDS:
            return answer
        asking = self._asking.get(incident_id)
        if asking is None:
            asking = self._asking[incident_id] = asyncio.create_task(self._ask(incident_id))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(asking)

    async def _ask(self, incident_id: str) -> Incident | None:
        try:
            if self._backend.is_remote:
                found = await self._backend.find(incident_id)
                if found is not None:
                    self._store(found)
                return found
            # The calls of one moment share one read, which begins once all of them have asked.
            await asyncio.sleep(0)
        finally:
            del self._asking[incident_id]
        return await self._backend.find(incident_id)
