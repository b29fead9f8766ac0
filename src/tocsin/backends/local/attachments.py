"""Attachments of incidents: links to what has to do with them (incident.io, Incident Attachments V1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tocsin.backends.local import create
from tocsin.backends.local.connection import SqlConnection
from tocsin.backends.local.postgresql import PostgresqlDatabase
from tocsin.backends.local.queries import incident_row, written
from tocsin.backends.local.sqlite import IncidentFile
from tocsin.incidents.model import Attachment, Person, TimelineEntry
from tocsin.workflows.ports import Clock

_COLUMNS = "a.id, a.incident_id, a.resource_type, a.external_id, a.permalink, a.title"
_OF_RESOURCE = "a.resource_type = ? AND a.external_id = ?"


def _attach(db: SqlConnection, asked: Attachment, by: Person, now: datetime) -> Attachment:
    """Attach a resource and return it with its id; one that is attached already stays as it is.

    Raises Refused if there is no such incident.
    """
    with db.transaction(asked.incident_id):
        incident_row(db, asked.incident_id)
        known = _listed(db, asked.incident_id, (asked.resource_type, asked.external_id))
        if known:
            return known[0]
        attached = asked.model_copy(update={"id": create.ulid(now)})
        db.execute(
            "INSERT INTO incident_attachments (id, incident_id, resource_type, external_id, permalink, title,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [*attached.model_dump().values(), written(now)],
        )
        said = " ".join(dict.fromkeys([asked.title, asked.permalink]))
        entry = TimelineEntry(at=now, by=by, verb="attached", text=said)
        create.add_to_timeline(db, asked.incident_id, entry, f"{attached.id}:attached")
        return attached


def _detach(db: SqlConnection, attachment_id: str, by: Person, now: datetime) -> None:
    """Take an attachment away; does nothing if it is gone."""
    known = _find(db, attachment_id)
    if known is None:
        return
    with db.transaction(known.incident_id):
        db.execute("DELETE FROM incident_attachments WHERE id = ?", [attachment_id])
        entry = TimelineEntry(at=now, by=by, verb="took away the attachment", text=known.title)
        create.add_to_timeline(db, known.incident_id, entry, f"{attachment_id}:detached")


def _find(db: SqlConnection, attachment_id: str) -> Attachment | None:
    """Return the attachment with this id; None if there is none."""
    rows = db.query(f"SELECT {_COLUMNS} FROM incident_attachments a WHERE a.id = ?", [attachment_id])
    return next((Attachment.model_validate(row) for row in rows), None)


def _listed(
    db: SqlConnection,
    incident_id: str | None,
    resource: tuple[str, str] | None = None,
    *,
    private: bool = True,
) -> Sequence[Attachment]:
    """Return attachments, oldest first: those of an incident, those to one resource, or both.

    The resource is given by its type and its external id; without `private` those of private incidents are
    left out.
    """
    conditions: list[str] = ["TRUE" if private else "i.visibility = 'public'"]
    values: list[str] = []
    if incident_id is not None:
        conditions.append("a.incident_id = ?")
        values.append(incident_id)
    if resource is not None:
        conditions.append(_OF_RESOURCE)
        values += resource
    rows = db.query(
        f"SELECT {_COLUMNS} FROM incident_attachments a JOIN incidents i ON i.id = a.incident_id"
        f" WHERE {' AND '.join(conditions)} ORDER BY a.id",
        values,
    )
    return [Attachment.model_validate(row) for row in rows]


class Attachments:
    """Attachments of the incidents in a database. Every method raises Unavailable."""

    def __init__(self, database: IncidentFile | PostgresqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def attach(self, asked: Attachment, by: Person) -> Attachment:
        """Attach a resource to its incident, once; return it with its id. Raises Refused without one."""
        now = self._clock()
        return await self._database.run(lambda db: _attach(db, asked, by, now))

    async def detach(self, attachment_id: str, by: Person) -> None:
        """Take an attachment away; does nothing if it is gone."""
        now = self._clock()
        await self._database.run(lambda db: _detach(db, attachment_id, by, now))

    async def find(self, attachment_id: str) -> Attachment | None:
        """Return the attachment with this id; None if there is none."""
        return await self._database.run(lambda db: _find(db, attachment_id))

    async def listed(
        self, incident_id: str | None, resource: tuple[str, str] | None = None, *, private: bool = True
    ) -> Sequence[Attachment]:
        """Return attachments, oldest first: those of an incident, or those to a resource."""
        return await self._database.run(lambda db: _listed(db, incident_id, resource, private=private))
