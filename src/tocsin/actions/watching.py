"""Look at open incidents where they are kept: what changed there shows in Slack within a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tocsin.actions.alarming import Alarms
from tocsin.actions.best_effort import best_effort
from tocsin.actions.following import Following, Watched, snapshot
from tocsin.actions.open_now import OpenIncidents
from tocsin.actions.promises import KeepsIncidents
from tocsin.actions.withdraw import UNKNOWN
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentFilter

LOOK_SECONDS = 20.0
"""Three looks a minute: one may fail, and a change still shows within the minute."""

PAGE = 100
AT_ONCE = 20
"""Each waits a moment for changes that come together: one after the other, many would take minutes."""
MOST_WATCHED = 2_000
"""The newest of the open incidents, where there are more."""

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
        open_now: OpenIncidents,
    ) -> None:
        self._backend = backend
        self._ledger = ledger
        self._following = following
        self._alarms = alarms
        self._open_now = open_now
        self._one_look = asyncio.Lock()
        self.most = MOST_WATCHED

    async def keep_watch(self) -> None:
        """For ever: look, and have Slack follow; what fails is tried again at the next look."""
        while True:
            async with best_effort("look at the open incidents"):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring up to date what is not as it was seen last. Raises Unavailable and Refused."""
        async with self._one_look:
            await self._look()

    async def _look(self) -> None:
        self._open_now.looks()
        seen = await self._ledger.watched()
        found = await self._alarms.watched("backend", self._open)
        self._open_now.looked(found)
        changed = [incident for incident in found if seen.get(incident.id) != snapshot(incident)]
        for first in range(0, len(changed), AT_ONCE):
            await asyncio.gather(*(self._follow(one, seen) for one in changed[first : first + AT_ONCE]))
        for incident_id in seen.keys() - {incident.id for incident in found}:
            await self._gone(incident_id, _was(seen[incident_id]))

    async def _open(self) -> list[Incident]:
        found: list[Incident] = []
        while len(found) < self.most:
            limit = min(PAGE, self.most - len(found))
            page = await self._backend.matching(OPEN, after=found[-1].id if found else None, limit=limit)
            found += page
            if len(page) < limit:
                break
        return found

    async def _follow(self, incident: Incident, seen: Mapping[str, str]) -> None:
        # One that is new shows what it is: only a card whose face is known to be another is edited.
        was = _was(seen.get(incident.id, UNKNOWN)) or incident
        async with best_effort("follow an incident"):
            await self._following.bring_up_to_date(incident.id, was)

    async def _gone(self, incident_id: str, was: Incident | None) -> None:
        """Has Slack follow an incident that was seen, and is not among those that are looked at any more.

        It has ended, or is older than as many as are looked at: then whoever changes it here has its cards
        follow.
        """
        async with best_effort("follow an incident that is looked at no more"):
            await self._following.bring_up_to_date(incident_id, was)
            now = await self._backend.find(incident_id)
            if now is None or now.incident_status.is_open:
                await self._ledger.remember_watched(incident_id, None)


def _was(seen: str) -> Incident | None:
    return Incident.model_validate_json(seen) if seen != UNKNOWN else None
