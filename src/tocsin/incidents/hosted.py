"""Everything of an incident at a hosted product, as it is brought over into Tocsin's own database."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tocsin.incidents.model import (
    Automation,
    FrozenModel,
    Incident,
    Person,
    Severity,
    Status,
)


class HostedUpdate(FrozenModel):
    """An update: its message, and the status and the severity that it set, as far as it did."""

    id: str
    at: datetime
    by: Person | None = None
    message: str = ""
    status: Status | None = None
    severity: Severity | None = None


class HostedItem(FrozenModel):
    """An item of the timeline that a person or a program wrote."""

    id: str
    at: datetime
    by: Person | None = None
    title: str
    description: str = ""


class HostedToDo(FrozenModel):
    """An action or a follow-up."""

    id: str
    kind: Literal["action", "follow_up"]
    title: str
    description: str = ""
    status: str = "outstanding"
    """`outstanding`, `completed` or `not_doing`."""
    assignee: Person | None = None
    creator: Person | None = None
    issue_url: str | None = None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None

    @property
    def done_at(self) -> datetime | None:
        """The time of its end, also if it was decided not to do it; None while it is outstanding."""
        return None if self.status == "outstanding" else self.completed_at or self.updated_at


class HostedAttachment(FrozenModel):
    """A resource that is attached to an incident."""

    id: str
    resource_type: str = "arbitrary_url"
    external_id: str = ""
    permalink: str = ""
    title: str = ""


class HostedIncident(FrozenModel):
    """An incident with everything that belongs to it.

    Its role assignments have the reporter's too, and members only if it is private.
    """

    incident: Incident
    updates: tuple[HostedUpdate, ...] = ()
    items: tuple[HostedItem, ...] = ()
    to_dos: tuple[HostedToDo, ...] = ()
    attachments: tuple[HostedAttachment, ...] = ()

    @property
    def people(self) -> tuple[Person, ...]:
        """The people who are named in it."""
        incident = self.incident
        found = [
            incident.creator,
            *incident.role_holders,
            *incident.members,
            *(one.by for one in self.updates),
            *(one.by for one in self.items),
            *(person for one in self.to_dos for person in (one.assignee, one.creator)),
        ]
        return tuple(person for person in found if person is not None)


def actor(person: Person | None, automation: Automation | None) -> Person | None:
    """Return the person who acted, or the automation as one that has only a name."""
    if automation is not None and person in (None, Person()):
        return Person(name=automation.label)
    return person
