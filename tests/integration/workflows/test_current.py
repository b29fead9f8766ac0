"""The incident as it is now, which is read before each message that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.declarations import ANA, DAWN, Ticking, declaration

from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentChange
from tocsin.workflows.queries import CurrentIncidents


class Counted(LocalBackend):
    """The local backend, which counts how often an incident is looked up, and may be held."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.looks = 0
        self.looked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def find(self, reference: str) -> Incident | None:
        self.looks += 1
        found = await super().find(reference)
        self.looked.set()
        await self.may_answer.wait()
        return found


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Counted]:
    path = tmp_path / "incidents.db"
    made = await Counted.open(path, IncidentConfig(), public_url="http://127.0.0.1", clock=Ticking())
    assert isinstance(made, Counted)
    yield made
    await made.close()


async def test_the_calls_of_one_moment_share_one_look_at_the_incident(backend: Counted) -> None:
    incident = await backend.create(declaration())
    current = CurrentIncidents(backend)
    found = await asyncio.gather(*(current.find(incident.id) for _ in range(8)))
    assert found == [incident] * 8
    assert backend.looks == 1


async def test_who_asks_after_a_change_is_never_told_how_it_was_before(backend: Counted) -> None:
    incident = await backend.create(declaration())
    current = CurrentIncidents(backend)
    backend.may_answer.clear()
    earlier = asyncio.create_task(current.find(incident.id))
    await backend.looked.wait()
    hidden = IncidentChange(key="hide", by=ANA, at=DAWN, visibility="private")
    await backend.change(incident.id, hidden)
    later = asyncio.create_task(current.find(incident.id))
    backend.may_answer.set()
    was, now = await asyncio.gather(earlier, later)
    assert [one.visibility for one in (was, now) if one] == ["public", "private"]


async def test_a_look_for_what_is_not_there_finds_nothing_and_the_next_look_is_a_new_one(
    backend: Counted,
) -> None:
    current = CurrentIncidents(backend)
    assert await current.find("01ARZ3NDEKTSV4RRFFQ69G5FAV") is None
    assert await current.find("01ARZ3NDEKTSV4RRFFQ69G5FAV") is None
    assert backend.looks == 2


async def test_the_open_incidents_are_listed_newest_first_without_those_that_ended(backend: Counted) -> None:
    at = Ticking()
    made = [await backend.create(declaration(f"key-{number}", at=at())) for number in range(3)]
    current, told = CurrentIncidents(backend), list[str]()
    current.open_now.subscribers.append(lambda: told.append("changed"))
    for incident in (made[1], made[2], made[0], made[1]):
        current.observe(incident)
    assert [one.id for one in current.open_now.now] == [one.id for one in reversed(made)]
    over = await backend.change(
        made[1].id, IncidentChange(key="c", by=ANA, at=at(), incident_status_id="closed")
    )
    current.observe(over)
    current.observe(over)
    assert [one.id for one in current.open_now.now] == [made[2].id, made[0].id]
    assert len(told) == 4
