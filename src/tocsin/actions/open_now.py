"""The open incidents, kept at hand so that forms and Home ask nobody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tocsin.actions.best_effort import best_effort
from tocsin.actions.promises import KeepsIncidents
from tocsin.incidents.model import Incident, PersonId
from tocsin.incidents.requests import IncidentFilter
from tocsin.incidents.rules import visible_to

REFRESH_SECONDS = 15.0
MOST_OPEN = 250

_REFERENCE = re.compile(r"#?(?:([a-z]{2,10})-)?([0-9]{1,15})", re.ASCII | re.IGNORECASE)


def is_reference(word: str, *, bare: bool = True) -> bool:
    """Whether a word looks like `INC-12` or `#12`, or, where `bare` numbers are taken for one, like `12`."""
    found = _REFERENCE.fullmatch(word)
    return found is not None and (bare or found[1] is not None or word.startswith("#"))


class OpenIncidents:
    """The open incidents as of the last look, newest first; usable while the backend is down."""

    def __init__(self, backend: KeepsIncidents) -> None:
        self._backend = backend
        self.now: tuple[Incident, ...] = ()
        self.hearers: list[Callable[[], None]] = []
        """Told whenever what is open has changed."""

    async def refresh(self) -> None:
        found = await self._backend.matching(IncidentFilter(is_open=True), limit=MOST_OPEN)
        self._become(tuple(found))

    async def keep_fresh(self) -> None:
        """Look again for ever, every 15 s; what fails is tried again at the next turn."""
        while True:
            async with best_effort("look for open incidents"):
                await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    def saw(self, incident: Incident) -> None:
        """An incident was declared or changed here: what is at hand follows at once."""
        others = [known for known in self.now if known.id != incident.id]
        opened = [incident] if incident.incident_status.is_open else []
        self._become(tuple(sorted(opened + others, key=lambda known: known.created_at, reverse=True)))

    def _become(self, now: tuple[Incident, ...]) -> None:
        if now != self.now:
            self.now = now
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


def _names(incident: Incident) -> tuple[str, str, str]:
    reference = incident.reference.casefold()
    return incident.id.casefold(), reference, reference.rpartition("-")[2]
