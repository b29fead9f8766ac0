"""The open incidents, kept at hand so that forms and Home ask nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tocsin.incidents.model import Incident, PersonId
from tocsin.incidents.rules import visible_to

_REFERENCE = re.compile(r"#?(?:([a-z]{2,10})-)?([0-9]{1,15})", re.ASCII | re.IGNORECASE)


def is_reference(word: str, *, bare: bool = True) -> bool:
    """Whether a word looks like `INC-12` or `#12`, or, where `bare` numbers are taken for one, like `12`."""
    found = _REFERENCE.fullmatch(word)
    return found is not None and (bare or found[1] is not None or word.startswith("#"))


class OpenIncidents:
    """The open incidents as of the last look, newest first; usable while the backend is down."""

    def __init__(self) -> None:
        self.now: tuple[Incident, ...] = ()
        self.hearers: list[Callable[[], None]] = []
        """Told whenever what is open has changed."""

    def saw(self, incident: Incident) -> None:
        """An incident was declared or changed here: what is at hand follows at once."""
        others = [known for known in self.now if known.id != incident.id]
        opened = [incident] if incident.incident_status.is_open else []
        self._become(sorted(opened + others, key=lambda known: known.created_at, reverse=True))

    def looked(self, incidents: Sequence[Incident]) -> None:
        """All that is open, newest first, as somebody just looked; what is newer at hand stays."""
        known = {one.id: one for one in self.now}
        self._become(
            [max(known.get(one.id, one), one, key=lambda either: either.updated_at) for one in incidents]
        )

    def _become(self, incidents: Sequence[Incident]) -> None:
        now = tuple(incidents)
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
