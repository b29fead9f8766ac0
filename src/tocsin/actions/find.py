"""Which incident is meant, and which there are, for this person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tocsin.actions.promises import KeepsIncidents
from tocsin.incidents.model import ChannelId, Incident, PersonId, TimelineEntry
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.rules import visible_to


class Channels(Protocol):
    async def incident_of_channel(self, channel: ChannelId) -> str | None: ...


class FindIncidents:
    """Every way to an incident. One instance serves the whole process."""

    def __init__(self, *, backend: KeepsIncidents, channels: Channels) -> None:
        self._backend = backend
        self._channels = channels

    async def here(self, channel: ChannelId) -> Incident | None:
        """The incident whose own channel this is; whoever is in it may know of it. Raises Unavailable."""
        incident_id = await self._channels.incident_of_channel(channel)
        found = None if incident_id is None else await self._backend.find(incident_id)
        # The public channel that a private incident has left knows nothing of it any more.
        left = found is not None and found.is_private and found.slack_channel_id != channel
        return None if left else found

    async def named(self, reference: str, person: PersonId | None) -> Incident | None:
        """The incident with this reference, id or number; a private one as if there were none."""
        found = await self._backend.find(reference)
        return found if found is not None and visible_to(person, found) else None

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 20
    ) -> Sequence[Incident]:
        """Newest first; set `visible_to` unless the asker may know of everything. Raises Unavailable."""
        return await self._backend.matching(wanted, after=after, limit=limit)

    async def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Everything that happened, oldest first."""
        return await self._backend.timeline(incident_id)
