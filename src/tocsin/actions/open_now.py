"""The open incidents, kept at hand so that forms and Home ask nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tocsin.incidents.model import Incident, PersonId, TeamId
from tocsin.incidents.validation import is_of, visible_to


@dataclass
class _AtHand:
    """What all workspaces look at."""

    now: tuple[Incident, ...] = ()
    meanwhile: dict[str, Incident] = field(default_factory=dict)
    """What was seen here since the last look began."""
    hearers: list[Callable[[], None]] = field(default_factory=list)


class OpenIncidents:
    """The open incidents as of the last look, newest first; usable while the backend is down."""

    def __init__(self, at_hand: _AtHand | None = None, teams: frozenset[TeamId] | None = None) -> None:
        self._at_hand = at_hand or _AtHand()
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> OpenIncidents:
        """The same, where only the incidents of these workspaces are seen; None, of all."""
        return OpenIncidents(self._at_hand, teams)

    @property
    def now(self) -> tuple[Incident, ...]:
        all_now = self._at_hand.now
        return all_now if self._teams is None else tuple(one for one in all_now if is_of(self._teams, one))

    @property
    def hearers(self) -> list[Callable[[], None]]:
        """Told whenever what is open has changed."""
        return self._at_hand.hearers

    def saw(self, incident: Incident) -> None:
        """An incident was declared or changed here: what is at hand follows at once.

        What is older than what is at hand changes nothing.
        """
        known = {one.id: one for one in self._at_hand.now}
        newest = _newest(incident, known.get(incident.id))
        self._at_hand.meanwhile[incident.id] = known[incident.id] = newest
        self._become(known.values())

    def looks(self) -> None:
        """Somebody begins to look at all that is open."""
        self._at_hand.meanwhile.clear()

    def looked(self, incidents: Iterable[Incident]) -> None:
        """All that was open at some time since the look began; what is newer at hand stays.

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
            for hear in self.hearers:
                hear()

    def seen_by(self, person: PersonId | None) -> tuple[Incident, ...]:
        """Those that this person may know of."""
        return tuple(incident for incident in self.now if visible_to(person, incident))

    def of_channel(self, channel: str | None) -> Incident | None:
        """The open incident whose own channel this is."""
        return next((known for known in self.now if channel and known.slack_channel_id == channel), None)

    def called(self, reference: str) -> Incident | None:
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
