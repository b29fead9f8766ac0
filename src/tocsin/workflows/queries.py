"""Incidents found and listed, and a cache of those that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tocsin.incidents.model import ChannelId, Incident, PersonId, TeamId, TimelineEntry
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.validation import is_in_teams, is_visible_to
from tocsin.workflows.ports import IncidentBackend, SlackStateStore, loop_time

# Which incident is meant, and which there are, for this person.


class FindIncidents:
    """Every way to an incident, in the whole process or in some of its workspaces."""

    def __init__(
        self, *, backend: IncidentBackend, channels: SlackStateStore, teams: frozenset[TeamId] | None = None
    ) -> None:
        """`teams` are the workspaces whose incidents are found; None, all of them."""
        self._backend = backend
        self._channels = channels
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> FindIncidents:
        """The same, where only the incidents of these workspaces are there."""
        return FindIncidents(backend=self._backend, channels=self._channels, teams=teams)

    async def here(self, channel: ChannelId) -> Incident | None:
        """Return the incident whose own channel this is; its members may know of it. Raises Unavailable."""
        incident_id = await self._channels.incident_of_channel(channel)
        found = None if incident_id is None else await self._find(incident_id)
        # The public channel that a private incident has left knows nothing of it any more.
        left = found is not None and found.is_private and found.slack_channel_id != channel
        return None if left else found

    async def named(self, reference: str, person: PersonId | None) -> Incident | None:
        """The incident with this reference, id or number; a private one as if there were none."""
        found = await self._find(reference)
        return found if found is not None and is_visible_to(person, found) else None

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 20
    ) -> Sequence[Incident]:
        """Newest first; set `visible_to` unless the asker may know of everything. Raises Unavailable."""
        wanted = wanted.model_copy(update={"teams": self._teams})
        return await self._backend.matching(wanted, after=after, limit=limit)

    async def _find(self, reference: str) -> Incident | None:
        found = await self._backend.find(reference)
        return found if found is not None and is_in_teams(self._teams, found) else None

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Everything that happened, oldest first."""
        return await self._backend.timeline(incident_id)


# The open incidents, kept at hand so that forms and Home ask nobody.


@dataclass
class _AtHand:
    """The incidents that all workspaces look at."""

    now: tuple[Incident, ...] = ()
    meanwhile: dict[str, Incident] = field(default_factory=dict)
    """The incidents that were put here since the last refresh began."""
    subscribers: list[Callable[[], None]] = field(default_factory=list)


class OpenIncidentsCache:
    """The open incidents as of the last look, newest first; usable while the backend is down."""

    def __init__(self, at_hand: _AtHand | None = None, teams: frozenset[TeamId] | None = None) -> None:
        self._at_hand = at_hand or _AtHand()
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> OpenIncidentsCache:
        """The same, where only the incidents of these workspaces are seen; None, of all."""
        return OpenIncidentsCache(self._at_hand, teams)

    @property
    def now(self) -> tuple[Incident, ...]:
        all_now = self._at_hand.now
        return (
            all_now if self._teams is None else tuple(one for one in all_now if is_in_teams(self._teams, one))
        )

    @property
    def subscribers(self) -> list[Callable[[], None]]:
        """Told whenever what is open has changed."""
        return self._at_hand.subscribers

    def put(self, incident: Incident) -> None:
        """Put an incident that was declared or changed here into the cache at once.

        What is older than what is at hand changes nothing.
        """
        known = {one.id: one for one in self._at_hand.now}
        newest = _newest(incident, known.get(incident.id))
        self._at_hand.meanwhile[incident.id] = known[incident.id] = newest
        self._become(known.values())

    def begin_refresh(self) -> None:
        """Note that a query for all that is open begins."""
        self._at_hand.meanwhile.clear()

    def replace_all(self, incidents: Iterable[Incident]) -> None:
        """Replace the cache with a fresh list, keeping entries that changed after the query began.

        What was declared meanwhile may be missing from what was found, and what was closed still be in it.
        """
        known = {one.id: one for one in self._at_hand.now}
        found = {one.id: _newest(one, known.get(one.id)) for one in incidents}
        for seen in self._at_hand.meanwhile.values():
            found[seen.id] = _newest(seen, found.get(seen.id))
        self._become(found.values())

    def _become(self, incidents: Iterable[Incident]) -> None:
        opened = [incident for incident in incidents if incident.incident_status.is_open]
        now = tuple(sorted(opened, key=lambda known: known.created_at, reverse=True))
        if now != self._at_hand.now:
            self._at_hand.now = now
            for hear in self.subscribers:
                hear()

    def seen_by(self, person: PersonId | None) -> tuple[Incident, ...]:
        """Those that this person may know of."""
        return tuple(incident for incident in self.now if is_visible_to(person, incident))

    def of_channel(self, channel: str | None) -> Incident | None:
        """The open incident whose own channel this is."""
        return next((known for known in self.now if channel and known.slack_channel_id == channel), None)

    def find(self, reference: str) -> Incident | None:
        """The open incident with this id or reference, in any case, or with this bare number."""
        wanted = reference.strip().lstrip("#").casefold()
        return next((known for known in self.now if wanted in _names(known)), None)


def _newest(one: Incident, other: Incident | None) -> Incident:
    """Return the one updated last; of two updated at the same time, which a vendor may tell in whole seconds,
    the private one: a public copy would give away what has just become private."""
    if other is None or one.updated_at > other.updated_at:
        return one
    is_tied = one.updated_at == other.updated_at
    return one if is_tied and (one.is_private or not other.is_private) else other


def _names(incident: Incident) -> tuple[str, str, str]:
    reference = incident.reference.casefold()
    return incident.id.casefold(), reference, reference.rpartition("-")[2]


# Incidents as they are now, for what has to know before something of them is sent.

SHARED_SECONDS = 1.0
"""Seconds that one answer of a remote backend serves all that is sent; most of it goes out at once."""

MOST_KEPT = 1_000


class CurrentIncidents:
    """Reads incidents where they are kept; one instance serves the whole process.

    Our own database is asked each time. A remote backend is asked for one incident once a second at most, and
    at once after a change that it made for us: its answer is what was asked for.
    """

    def __init__(self, backend: IncidentBackend) -> None:
        self._backend = backend
        self.open_now = OpenIncidentsCache()
        """Those that are open, as last seen; it hears of each that is seen here."""
        self._answers: dict[str, tuple[Incident, float]] = {}
        self._asking: dict[str, asyncio.Task[Incident | None]] = {}

    def observe(self, incident: Incident) -> None:
        """Take note of an incident that the backend has just answered with."""
        self.open_now.put(incident)
        if not self._backend.is_remote:
            return
        self._answers.pop(incident.id, None)
        self._answers[incident.id] = incident, loop_time()
        if len(self._answers) > MOST_KEPT:
            del self._answers[next(iter(self._answers))]

    async def find(self, incident_id: str) -> Incident | None:
        """Return the incident with this id; None where there is none. Raises Unavailable and Refused."""
        if not self._backend.is_remote:
            return await self._backend.find(incident_id)
        answer, at = self._answers.get(incident_id, (None, 0.0))
        if answer is not None and loop_time() - at < SHARED_SECONDS:
            return answer
        asking = self._asking.get(incident_id)
        if asking is None:
            asking = self._asking[incident_id] = asyncio.create_task(self._ask(incident_id))
            asking.add_done_callback(lambda _: self._asking.pop(incident_id, None))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(asking)

    async def _ask(self, incident_id: str) -> Incident | None:
        found = await self._backend.find(incident_id)
        if found is not None:
            self.observe(found)
        return found
