"""A few incidents with everything that the API reads, among them a private one with words of its own."""

from __future__ import annotations

from dataclasses import dataclass

from support.declarations import ANA, BEN, DAWN, declaration, full_declaration
from tocsin.backends.local import LocalBackend
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import FollowUpRequest, IncidentChange

SECRET = "Xylophone"
"""A word of the private incident that no answer may have unless its key may see private incidents."""


@dataclass
class World:
    """INC-1 is fixing and full, INC-2 closed, INC-3 private and fixing, INC-4 a test."""

    full: Incident
    closed: Incident
    private: Incident
    test: Incident
    follow_up: str
    action: str
    hidden_follow_up: str


async def filled_world(backend: LocalBackend) -> World:
    full = await backend.create(full_declaration("full"))
    closed = await backend.create(declaration("closed", name="Search is down", severity_id="minor"))
    private = await backend.create(
        declaration("private", name=f"{SECRET} leaks", summary=SECRET, visibility="private")
    )
    test = await backend.create(declaration("test", name="Only a test", mode="test"))
    fixing = {"incident_status_id": "fixing"}
    for incident, message, more in (
        (full, "We are on it", fixing),
        (private, f"{SECRET} is on it", fixing),
        (closed, "Done", {"incident_status_id": "closed"}),
        (full, "", {"severity_id": "major"}),
    ):
        key = f"{incident.id}-{message}"
        change = IncidentChange(key=key, by=BEN, at=DAWN, message=message, **more)
        await backend.change(incident.id, change)

    async def add(incident: Incident, kind: str, text: str) -> str:
        asked = FollowUpRequest(key=f"{text}", by=ANA, at=DAWN, kind=kind, text=text, assignee=BEN)
        return (await backend.add_follow_up(incident.id, asked)).id

    follow_up = await add(full, "follow_up", "Add a test")
    action = await add(full, "action", "Roll back")
    hidden = await add(private, "follow_up", f"Lock up the {SECRET}")
    await add(private, "action", f"Hide the {SECRET}")
    found = {one.id: one for one in await backend.incidents()}
    return World(
        found[full.id], found[closed.id], found[private.id], found[test.id], follow_up, action, hidden
    )
