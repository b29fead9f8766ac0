"""Who looked at Home lately."""

from __future__ import annotations

import asyncio

from tocsin.incidents.model import PersonId

LATELY_SECONDS = 1800.0
MOST = 100
"""People whose Home is kept up to date; Slack takes about a hundred views.publish a minute (Tier 4)."""


class Lookers:
    """The people of one workspace."""

    def __init__(self) -> None:
        self._at: dict[PersonId, float] = {}

    def looked(self, person: PersonId) -> None:
        """Somebody looks now; who looked longest ago is forgotten first."""
        self._at.pop(person, None)
        self._at[person] = asyncio.get_running_loop().time()
        while len(self._at) > MOST:
            self._at.pop(next(iter(self._at)))

    def lately(self) -> list[PersonId]:
        """Everybody who looked in the last half hour."""
        since = asyncio.get_running_loop().time() - LATELY_SECONDS
        self._at = {person: at for person, at in self._at.items() if at >= since}
        return list(self._at)
