"""The outbox: each change writes its event in its own transaction, once, and nothing else does."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.declarations import ANA, BEN, DAWN, Ticking, declaration, full_declaration

from tocsin.backends.local import LocalBackend
from tocsin.backends.local.postgresql import SESSION
from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, PersonId
from tocsin.incidents.requests import FollowUpChange, FollowUpRequest, IncidentChange
from tocsin.incidents.webhooks import (
    DAY,
    EVENTS,
    PRIVATE_EVENTS,
    PUBLIC_EVENTS,
    Subscription,
    WebhookDelivery,
)
from tocsin.storage.postgresql import postgresql_engine
from tocsin.web.api.webhook_bodies import BODIES
from tocsin.workflows.ports import Channel

ALL = Subscription(name="all", events=frozenset(EVENTS))
PUBLIC = Subscription(name="public", events=frozenset(PUBLIC_EVENTS))
LATER = DAWN + timedelta(days=1)
CANARY = "heron-4711"


@asynccontextmanager
async def opened(where: Any, *subscriptions: Subscription) -> AsyncIterator[LocalBackend]:
    engine = postgresql_engine(where, session=SESSION, autocommit=True) if isinstance(where, str) else where
    backend = await LocalBackend.open(
        engine,
        IncidentConfig(),
        public_url="http://x",
        clock=Ticking(),
        subscriptions=subscriptions,
        bodies=BODIES,
    )
    yield backend
    await backend.close()


@pytest.fixture(params=["a file", pytest.param("in PostgreSQL", marks=pytest.mark.process)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "in PostgreSQL":
        return request.getfixturevalue("postgresql").create_database()
    return tmp_path / "incidents.db"


@pytest.fixture
async def backend(where: Any) -> AsyncIterator[LocalBackend]:
    async with opened(where, ALL, PUBLIC) as backend:
        yield backend


def change(key: str, **what: Any) -> IncidentChange:
    return IncidentChange(**{"key": key, "by": ANA, "at": DAWN, **what})


def action(key: str, **what: Any) -> FollowUpRequest:
    return FollowUpRequest(
        **{"key": key, "by": ANA, "at": DAWN, "text": "Roll back", "kind": "action", **what}
    )


async def told(backend: LocalBackend, endpoint: str = "all") -> list[WebhookDelivery]:
    """What waits for this endpoint, oldest first."""
    found = await backend.deliveries.newest(100)
    return [one for one in reversed(found) if one.endpoint == endpoint]


def types(deliveries: Sequence[WebhookDelivery]) -> list[str]:
    return [one.event_type.removesuffix("_v1").removesuffix("_v2") for one in deliveries]


def parsed(deliveries: Sequence[WebhookDelivery]) -> set[str]:
    """The types of the bodies, each read by the model that incident.io's own SDK has for it."""
    for one in deliveries:
        stem = f"webhooks_{one.event_type.replace('.', '_')}_response_body"
        model = getattr(
            importlib.import_module(f"incident_io.models.{stem}"),
            "".join(word.capitalize() for word in stem.split("_")),
        )
        said = json.loads(one.payload)
        assert not model.from_dict(said).additional_properties
        assert "null" not in one.payload
    return {one.event_type for one in deliveries}


async def declared(backend: LocalBackend, **what: Any) -> Incident:
    return await backend.create(full_declaration("declared", **what))


async def test_each_change_writes_its_events_and_a_repeat_writes_none(backend: LocalBackend) -> None:
    gestures: list[tuple[Any, list[str]]] = []

    async def does(what: Any, *expected: str) -> Any:
        before = len(await told(backend))
        first = await what()
        await what()
        new = types((await told(backend))[before:])
        gestures.append((new, [f"public_incident.{one}" for one in expected]))
        return first

    incident = await does(lambda: backend.create(full_declaration("one")), "incident_created")
    id_ = incident.id
    room = Channel(id=ChannelId("C0INC"), name="inc-1")
    await does(lambda: backend.set_channel(id_, room), "incident_updated")
    await does(lambda: backend.change(id_, change("a", severity_id="minor")), "incident_updated")
    await does(
        lambda: backend.change(id_, change("b", incident_status_id="monitoring", message="Better now")),
        "incident_updated",
        "incident_status_updated",
    )
    await does(lambda: backend.change(id_, change("c", message="Still")), "incident_updated")
    task = await does(lambda: backend.add_follow_up(id_, action("d")), "action_created")
    give = FollowUpChange(key="e", by=ANA, at=DAWN, assignee=BEN)
    await does(lambda: backend.change_follow_up(task.id, give), "action_updated")
    await does(lambda: backend.complete_follow_up(task.id, ANA, DAWN, "f"), "action_updated")
    later = await does(lambda: backend.add_follow_up(id_, action("g", kind="follow_up")), "follow_up_created")
    await does(lambda: backend.complete_follow_up(later.id, ANA, DAWN, "h"), "follow_up_updated")
    assert [new for new, _ in gestures] == [expected for _, expected in gestures]
    assert parsed(await told(backend)) == set(PUBLIC_EVENTS)

    before = len(await told(backend))
    with pytest.raises(Refused):
        await backend.change(id_, change("i", severity_id="minor"))
    with pytest.raises(Refused):
        await backend.create(declaration("refused", severity_id="apocalyptic"))
    await backend.change_follow_up(task.id, give.model_copy(update={"key": "again"}))
    assert len(await told(backend)) == before


async def test_a_body_is_the_state_at_the_event(backend: LocalBackend) -> None:
    incident = await declared(backend)
    await backend.change(incident.id, change("a", incident_status_id="monitoring", message="Better now"))
    await backend.change(incident.id, change("b", name="Checkout is down"))
    created, _, status, renamed = (json.loads(one.payload) for one in await told(backend))
    first = created["public_incident.incident_created_v2"]
    assert created["event_type"] == "public_incident.incident_created_v2"
    assert (first["id"], first["name"], first["incident_status"]["id"]) == (
        incident.id,
        incident.name,
        "investigating",
    )
    moved = status["public_incident.incident_status_updated_v2"]
    assert (moved["previous_status"]["id"], moved["new_status"]["id"]) == ("investigating", "monitoring")
    assert (moved["message"], moved["incident"]["name"]) == ("Better now", incident.name)
    assert renamed["public_incident.incident_updated_v2"]["name"] == "Checkout is down"


async def test_of_a_private_incident_only_ids_are_written_and_only_for_whom_may_know(
    backend: LocalBackend,
) -> None:
    incident = await declared(
        backend, visibility="private", name=CANARY, summary=CANARY, slack_team_id="T0NORTH"
    )
    await backend.change(incident.id, change("a", invited=(PersonId("U0CHLOE"),), message=CANARY))
    await backend.change(incident.id, change("b", removed=(PersonId("U0CHLOE"),)))
    await backend.change(incident.id, change("c", removed=(PersonId("U0NOBODY"),)))
    await backend.change(incident.id, change("d", incident_status_id="monitoring", message=CANARY))
    task = await backend.add_follow_up(incident.id, action("e", text=CANARY))
    found = await told(backend)
    assert types(found) == [
        "private_incident.incident_created",
        "private_incident.membership_granted",
        "private_incident.incident_updated",
        "private_incident.membership_revoked",
        "private_incident.incident_updated",
        "private_incident.incident_updated",
        "private_incident.incident_updated",
        "private_incident.action_created",
    ]
    bodies = [json.loads(one.payload)[one.event_type] for one in found]
    member = {"incident_id": incident.id, "user_id": "U0CHLOE", "actor_user_id": ANA.slack_user_id}
    only = {"id": incident.id}
    assert bodies == [only, member, only, member, only, only, only, {"id": task.id}]
    assert CANARY not in "".join(one.model_dump_json() for one in found)
    assert await told(backend, "public") == []
    assert parsed(found) <= set(PRIVATE_EVENTS)


async def test_what_was_public_at_the_event_is_told_by_its_id_once_the_incident_is_private(
    backend: LocalBackend,
) -> None:
    incident = await declared(backend, name=CANARY)
    await backend.change(incident.id, change("a", incident_status_id="monitoring", message=CANARY))
    assert CANARY in (await told(backend))[0].payload
    await backend.change(incident.id, change("b", visibility="private"))
    for one in [*await told(backend), *await told(backend, "public")]:
        assert one.event_type.startswith("private_incident.")
        assert json.loads(one.payload) == {"event_type": one.event_type, one.event_type: {"id": incident.id}}
    # The event of a status has no private form, so no endpoint can have asked for it.
    assert "private_incident.incident_status_updated_v2" not in EVENTS


async def test_without_webhooks_nothing_is_written(where: Any) -> None:
    async with opened(where) as backend:
        incident = await declared(backend)
        await backend.change(incident.id, change("a", severity_id="minor"))
        assert await backend.deliveries.newest(10) == []
    async with opened(where, PUBLIC) as backend:
        await backend.change(incident.id, change("b", severity_id="major"))
        assert types(await told(backend, "public")) == ["public_incident.incident_updated"]


async def test_a_later_event_waits_for_the_one_before_it_of_the_same_incident_alone(
    backend: LocalBackend,
) -> None:
    first, second = await backend.create(declaration("one")), await backend.create(declaration("two"))
    await backend.change(first.id, change("a", severity_id="minor"))
    deliveries = backend.deliveries
    created, other, updated = await told(backend)
    assert await deliveries.due("all", LATER, 10) == [
        (created.event_id, first.id),
        (other.event_id, second.id),
    ]
    held = created.model_copy(update={"attempts": 1, "due_at": LATER + timedelta(hours=1)})
    await deliveries.save(held)
    assert await deliveries.due("all", LATER, 10) == [(other.event_id, second.id)]
    assert len(await deliveries.due("public", LATER, 10)) == 2
    for ended in ("failed", "delivered", "withheld"):
        await deliveries.save(held.model_copy(update={"state": ended}))
        due = await deliveries.due("all", LATER, 10)
        assert due == [(other.event_id, second.id), (updated.event_id, first.id)]
    assert await deliveries.send_again(created.event_id, "all", LATER) == 1
    again = await deliveries.find(created.event_id, "all")
    assert again is not None
    assert (again.state, again.attempts, again.webhook_id) == ("pending", 0, created.webhook_id)
    due = await deliveries.due("all", LATER, 10)
    assert due == [(other.event_id, second.id), (created.event_id, first.id)]
    await deliveries.save(again.model_copy(update={"state": "delivered"}))
    due = await deliveries.due("all", LATER, 10)
    assert due == [(other.event_id, second.id), (updated.event_id, first.id)]


async def test_what_comes_while_an_event_waits_is_the_next_one_once_that_is_given_up(
    backend: LocalBackend,
) -> None:
    incident = await backend.create(declaration("one"))
    item = await backend.add_follow_up(incident.id, action("task"))
    await backend.complete_follow_up(item.id, BEN, DAWN, "done")
    deliveries, seen = backend.deliveries, list[int]()
    while due := await deliveries.due("all", LATER, 10):
        ((event_id, _),) = due
        seen.append(event_id)
        one = await deliveries.find(event_id, "all")
        assert one is not None
        await deliveries.save(one.model_copy(update={"state": "failed"}))
    assert seen == [one.event_id for one in await told(backend)]
    assert len(seen) > 2


async def test_events_that_a_replica_of_an_earlier_version_left_behind_are_found(
    backend: LocalBackend,
) -> None:
    incident = await backend.create(declaration("one"))
    created = (await told(backend))[0]
    await backend.database.run(lambda db: db.execute("UPDATE webhook_deliveries SET is_next = 0") and None)
    assert await backend.deliveries.due("all", LATER, 10) == []
    await backend.deliveries.mark_next()
    assert await backend.deliveries.due("all", LATER, 10) == [(created.event_id, incident.id)]


async def test_the_log_forgets_after_thirty_days_and_gives_up_what_nobody_takes(
    backend: LocalBackend,
) -> None:
    await backend.create(declaration("one"))
    deliveries = backend.deliveries
    await deliveries.tidy(DAWN + DAY)
    assert [one.state for one in await told(backend)] == ["pending"]
    await deliveries.tidy(DAWN + 3 * DAY)
    assert [one.state for one in await told(backend)] == ["failed"]
    await deliveries.tidy(DAWN + timedelta(days=31))
    assert await told(backend) == []


async def test_an_endpoint_that_is_gone_stays_so_until_it_is_enabled_or_moves(backend: LocalBackend) -> None:
    deliveries, url = backend.deliveries, "https://hooks.example.com/secret"
    assert not await deliveries.is_disabled("all", url)
    await deliveries.disable("all", url, DAWN)
    await deliveries.disable("all", url, LATER)
    assert await deliveries.is_disabled("all", url)
    assert not await deliveries.is_disabled("all", f"{url}/2")
    assert await deliveries.enable("all")
    assert not await deliveries.enable("all")
    assert not await deliveries.is_disabled("all", url)
