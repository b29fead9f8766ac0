"""What DevRev has no field for, and Tocsin therefore remembers of an incident."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tocsin.actions.ports import Memory
from tocsin.incidents.model import Frozen, Person, SourceMessage


class Kept(Frozen):
    """Who declared it in Slack and where from, who holds which role, and its own channel."""

    reporter: Person = Person()
    team: str = ""
    source: SourceMessage | None = None
    roles: dict[str, Person] = Field(default_factory=dict)
    owner: str = ""
    """The DevRev user whom the lead was found to be; another owner in DevRev means another lead."""
    channel_id: str = ""
    channel_name: str = ""
    channel_at: datetime | None = None


class Keeper:
    """The records by the incident's DevRev id. Without a memory, as when only reading, nothing is known."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory

    async def of(self, incident_id: str) -> Kept:
        fact = None if self._memory is None else await self._memory.recall(_name(incident_id))
        return Kept() if fact is None else Kept.model_validate_json(fact)

    async def keep(self, incident_id: str, kept: Kept) -> None:
        if self._memory is not None:
            await self._memory.remember(_name(incident_id), kept.model_dump_json(exclude_defaults=True))


def _name(incident_id: str) -> str:
    return f"devrev/incident/{incident_id}"
