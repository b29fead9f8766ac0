"""Look at open incidents where they are kept: what changed there shows in Slack within a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from tocsin.actions.alarming import Alarms
from tocsin.actions.best_effort import best_effort
from tocsin.actions.following import Following, Watched, snapshot
from tocsin.actions.promises import KeepsIncidents
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentFilter

LOOK_SECONDS = 20.0
"""Three looks a minute: one may fail, and a change still shows within the minute."""

PAGE = 100
MOST_PAGES = 20
"""Two thousand open incidents are watched; the newest, where there are more."""

OPEN = IncidentFilter(is_open=True)


class Watching:
    """One instance serves the whole process; what it saw outlives it."""

    def __init__(
        self,
        *,
        backend: KeepsIncidents,
        ledger: Watched,
        following: Following,
        alarms: Alarms,
        found: Callable[[Sequence[Incident]], None] = lambda incidents: None,
    ) -> None:
        """`found` hears of all that is open, newest first, at each look."""
        self._found = found
        self._backend = backend
        self._ledger = ledger
        self._following = following
        self._alarms = alarms

    async def keep_watch(self) -> None:
        """For ever: look, and have Slack follow; what fails is tried again at the next look."""
        while True:
            async with best_effort("look at the open incidents"):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring up to date what is not as it was seen last. Raises Unavailable and Refused."""
        seen = await self._ledger.watched()
        found = await self._alarms.watched("backend", self._open)
        self._found(found)
        for incident in found:
            if seen.get(incident.id) != snapshot(incident):
                await self._follow(incident, seen)
        still = {incident.id for incident in found}
        for incident_id in seen.keys() - still:
            await self._ended(incident_id, seen)

    async def _open(self) -> list[Incident]:
        found: list[Incident] = []
        for _ in range(MOST_PAGES):
            page = await self._backend.matching(OPEN, after=found[-1].id if found else None, limit=PAGE)
            found += page
            if len(page) < PAGE:
                break
        return found

    async def _follow(self, incident: Incident, seen: Mapping[str, str]) -> None:
        before = seen.get(incident.id)
        # One that is new shows what it is: only a card whose face is known to be another is edited.
        was = Incident.model_validate_json(before) if before else incident
        async with best_effort("follow an incident"):
            await self._following.bring_up_to_date(incident.id, was)

    async def _ended(self, incident_id: str, seen: Mapping[str, str]) -> None:
        """It was open when last seen: it has ended there, or is beyond what is watched."""
        async with best_effort("follow an incident that has ended"):
            await self._following.bring_up_to_date(
                incident_id, Incident.model_validate_json(seen[incident_id])
            )
            if await self._backend.find(incident_id) is None:
                await self._ledger.remember_watched(incident_id, None)
