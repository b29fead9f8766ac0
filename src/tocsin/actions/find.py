"""Which incident is meant, and which there are, for this person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tocsin.actions.promises import KeepsIncidents
from tocsin.incidents.model import ChannelId, Incident, PersonId, TeamId, TimelineEntry
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.validation import is_of, visible_to


class Channels(Protocol):
    async def incident_of_channel(self, channel: ChannelId) -> str | None: ...


class FindIncidents:
    """Every way to an incident, in the whole process or in some of its workspaces."""

    def __init__(
        self, *, backend: KeepsIncidents, channels: Channels, teams: frozenset[TeamId] | None = None
    ) -> None:
        """`teams` are the workspaces whose incidents are found; None, all of them."""
        self._backend = backend
        self._channels = channels
        self._teams = teams

    def within(self, teams: frozenset[TeamId] | None) -> FindIncidents:
        """The same, where only the incidents of these workspaces are there."""
        return FindIncidents(backend=self._backend, channels=self._channels, teams=teams)

    async def here(self, channel: ChannelId) -> Incident | None:
        """The incident whose own channel this is; whoever is in it may know of it. Raises Unavailable."""
        incident_id = await self._channels.incident_of_channel(channel)
        found = None if incident_id is None else await self._find(incident_id)
        # The public channel that a private incident has left knows nothing of it any more.
        left = found is not None and found.is_private and found.slack_channel_id != channel
        return None if left else found

    async def named(self, reference: str, person: PersonId | None) -> Incident | None:
        """The incident with this reference, id or number; a private one as if there were none."""
        found = await self._find(reference)
        return found if found is not None and visible_to(person, found) else None

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 20
    ) -> Sequence[Incident]:
        """Newest first; set `visible_to` unless the asker may know of everything. Raises Unavailable."""
        wanted = wanted.model_copy(update={"teams": self._teams})
        return await self._backend.matching(wanted, after=after, limit=limit)

    async def _find(self, reference: str) -> Incident | None:
        found = await self._backend.find(reference)
        return found if found is not None and is_of(self._teams, found) else None

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Everything that happened, oldest first."""
        return await self._backend.timeline(incident_id)
