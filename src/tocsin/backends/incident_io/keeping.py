"""What incident.io does not tell of an incident that we declared there, remembered beside the journal."""

from __future__ import annotations

from typing import Literal

from tocsin.actions.ports import Memory
from tocsin.incidents.model import Frozen, Incident, Person, PersonId, SourceMessage, TeamId


class Kept(Frozen):
    """A declaration, as far as no answer of incident.io's says it."""

    key: str
    reporter: Person
    source: SourceMessage | None = None
    strangers: tuple[PersonId, ...] = ()
    """Who was to have a role, and whom incident.io does not know."""
    version: Literal["v1", "v2"] = "v2"
    team: TeamId = TeamId("")
    """The workspace it was declared in; incident.io tells that of its own channel."""


def kept_name(incident_id: str) -> str:
    return f"incident_io/declared/{incident_id}"


def completed(incident: Incident, kept: Kept) -> Incident:
    """The incident with its reporter, where incident.io names none, its source, workspace and strangers."""
    known = incident.creator.slack_user_id is not None
    return incident.model_copy(
        update={
            "creator": incident.creator if known else kept.reporter,
            "source": kept.source,
            "strangers": kept.strangers,
            "slack_team_id": kept.team or incident.slack_team_id,
        }
    )


async def recalled(memory: Memory | None, incident: Incident) -> Incident:
    """The incident with what is remembered of its declaration, if it was ours."""
    found = None if memory is None else await memory.recall(kept_name(incident.id))
    return incident if found is None else completed(incident, Kept.model_validate_json(found))
