"""Incidents as they are now, for what has to know before something of them is sent."""

from __future__ import annotations

import asyncio

from tocsin.actions.open_now import OpenIncidents
from tocsin.actions.ports import Backend, loop_time
from tocsin.incidents.model import Incident

SHARED_SECONDS = 1.0
"""How long one answer of a remote backend serves all that is sent; most of it goes out at once."""

MOST_KEPT = 1_000


class CurrentIncidents:
    """Reads incidents where they are kept; one instance serves the whole process.

    Our own database is asked each time. A remote backend is asked for one incident once a second at most, and
    at once after a change that it made for us: its answer is what was asked for.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.open_now = OpenIncidents()
        """Those that are open, as last seen; it hears of each that is seen here."""
        self._answers: dict[str, tuple[Incident, float]] = {}
        self._asking: dict[str, asyncio.Task[Incident | None]] = {}

    def saw(self, incident: Incident) -> None:
        """Take note of an incident that the backend has just answered with."""
        self.open_now.saw(incident)
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
            self.saw(found)
        return found
