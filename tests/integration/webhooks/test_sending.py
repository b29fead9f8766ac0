"""Webhooks reach their endpoint: signed, in order, again and again for a day, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.declarations import ANA, DAWN, declaration
from support.first_files import new_incidents
from support.webhooks import (
    SECRET,
    Receiver,
    break_off,
    drip,
    hang,
    pour,
    running_receiver,
    status,
)

from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import FollowUpRequest, IncidentChange
from tocsin.incidents.webhooks import DAY, EVENTS, RETRIES, Subscription, WebhookDelivery
from tocsin.web.api.webhook_bodies import BODIES
from tocsin.webhooks.client import EndpointClient
from tocsin.webhooks.endpoints import Endpoint
from tocsin.webhooks.sender import AT_ONCE, WebhookSender
from tocsin.webhooks.signing import signing_keys

CANARY = "heron-4711"


def clock() -> datetime:
    return DAWN + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass
class Told:
    """The operator, and what counts the attempts."""

    alerts: dict[str, str] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def raise_alert(self, about: str, sentence: str) -> None:
        self.alerts[about] = sentence

    def resolve(self, about: str) -> None:
        self.resolved.append(about)

    def count(self, endpoint: str, outcome: str) -> None:
        self.counted.append(outcome)


@dataclass
class Sending:
    """A backend with an outbox, and the sender that empties it."""

    backend: LocalBackend
    told: Told
    receiver: Receiver
    look_seconds: float = 1.0

    async def declare(self, key: str = "one", **what: Any) -> Incident:
        return await self.backend.create(declaration(key, at=clock(), **what))

    async def change(self, incident: Incident, key: str, **what: Any) -> None:
        change = IncidentChange(**{"key": key, "by": ANA, "at": clock(), **what})
        await self.backend.change(incident.id, change)

    async def log(self) -> list[WebhookDelivery]:
        return list(reversed(await self.backend.deliveries.newest(100)))

    async def until(self, holds: Callable[[list[WebhookDelivery]], bool], hours: float = 72) -> None:
        """Wait for something in the log; time is virtual."""
        async with asyncio.timeout(hours * 3600):
            while True:
                if holds(await self.log()):
                    return
                await asyncio.sleep(self.look_seconds / 2)

    async def ended(self, state: str = "delivered") -> None:
        await self.until(lambda log: bool(log) and all(one.state == state for one in log))


def endpoint(url: str, *, events: frozenset[str] = frozenset(EVENTS), secrets: str = SECRET) -> Endpoint:
    return Endpoint(
        Subscription(name="hook", events=events),
        signing_keys(secrets),
        EndpointClient(url, allow_private_network=True),
    )


@asynccontextmanager
async def sender_of(
    backend: LocalBackend, told: Told, to: Endpoint, look_seconds: float = 1.0
) -> AsyncIterator[None]:
    sender = WebhookSender(
        [to],
        backend.deliveries,
        clock,
        told,
        check=lambda: None,
        count=told.count,
        set_pending=lambda name, count: None,
        look_seconds=look_seconds,
    )
    task = asyncio.create_task(sender.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await to.client.close()


@asynccontextmanager
async def sending_to(folder: Path, look_seconds: float = 1.0, **how: Any) -> AsyncIterator[Sending]:
    async with running_receiver() as receiver:
        to = endpoint(receiver.url, **how)
        backend = await LocalBackend.open(
            await new_incidents(folder / "incidents.db"),
            IncidentConfig(),
            public_url="http://x",
            clock=clock,
            subscriptions=[to.subscription],
            bodies=BODIES,
        )
        told = Told()
        async with sender_of(backend, told, to, look_seconds):
            yield Sending(backend, told, receiver, look_seconds)
        await backend.close()


@pytest.fixture
async def sending(tmp_path: Path) -> AsyncIterator[Sending]:
    async with sending_to(tmp_path) as sending:
        yield sending


@pytest.fixture
async def rarely(tmp_path: Path) -> AsyncIterator[Sending]:
    """Looks into the outbox once a minute, so that days go by with fewer looks."""
    async with sending_to(tmp_path, look_seconds=60) as sending:
        yield sending


@pytest.fixture
async def seldom(tmp_path: Path) -> AsyncIterator[Sending]:
    """Looks into the outbox every ten minutes, for a test in which nothing happens for days."""
    async with sending_to(tmp_path, look_seconds=600) as sending:
        yield sending


async def test_an_event_is_signed_and_told_once(sending: Sending) -> None:
    incident = await sending.declare()
    await sending.change(incident, "a", severity_id="minor")
    await sending.ended()
    created, updated = sending.receiver.received
    assert [one.type for one in (created, updated)] == [
        "public_incident.incident_created_v2",
        "public_incident.incident_updated_v2",
    ]
    assert created.is_signed()
    assert updated.is_signed()
    assert not created.is_signed("whsec_" + "A" * 32)
    assert created.id != updated.id
    assert created.about["name"] == incident.name
    assert created.path == "/hook?token=hush"
    assert created.headers["content-type"] == "application/json"
    assert abs(int(created.headers["webhook-timestamp"]) - clock().timestamp()) < 60
    await asyncio.sleep(600)
    assert len(sending.receiver.received) == 2
    assert sending.told.counted == ["delivered", "delivered"]


async def test_with_two_secrets_either_verifies_so_that_they_can_be_changed(tmp_path: Path) -> None:
    newer = "whsec_" + "b" * 32
    async with sending_to(tmp_path, secrets=f"{newer} {SECRET}") as sending:
        await sending.declare()
        await sending.ended()
        assert [sending.receiver.received[0].is_signed(one) for one in (newer, SECRET)] == [True, True]


async def test_what_fails_is_sent_again_with_its_id_and_holds_its_own_incident_alone(
    rarely: Sending,
) -> None:
    receiver = rarely.receiver
    receiver.answers += [status(500), break_off]
    first = await rarely.declare("one")
    await rarely.until(lambda log: log[0].attempts == 2)
    await rarely.change(first, "a", severity_id="minor")
    second = await rarely.declare("two")
    await rarely.until(lambda log: log[2].state == "delivered")
    assert [one.state for one in await rarely.log()] == ["pending", "pending", "delivered"]
    receiver.answers += [hang]
    await rarely.ended()
    assert [one.about["id"] for one in receiver.received].index(second.id) == 2
    tried = [one for one in receiver.received if one.about["id"] == first.id]
    assert len({one.id for one in tried[:4]}) == 1
    assert all(one.is_signed() for one in receiver.received)
    assert tried[0].headers["webhook-timestamp"] != tried[3].headers["webhook-timestamp"]
    assert tried[4].type == "public_incident.incident_updated_v2"
    # A hang takes the whole 15 seconds.
    for pause, (before, after) in zip(RETRIES, pairwise(tried[:4]), strict=False):
        assert after.at - before.at == pytest.approx(pause.total_seconds(), rel=0.12, abs=80)


async def test_no_answer_holds_a_request_for_longer_or_is_read_for_longer_than_it_may(
    sending: Sending,
) -> None:
    """Hanging, dripping and pouring endpoints: what the log says, and how long each took."""
    for answer, expected, seconds in (
        (hang, "no answer within 15 s", 15.0),
        (drip, "no answer within 15 s", 15.0),
        (pour, "y" * 200, 0.0),
        (break_off, "the connection broke before the answer", 0.0),
        (status(302, "Location: http://127.0.0.1:1/"), "a redirect, which is not followed", 0.0),
        (status(503, body="busy\r\n\x1b[31m<b>"), "busy [31m<b>", 0.0),
    ):
        sending.receiver.answers.append(answer)
        before, known = len(sending.receiver.received), len(await sending.log())
        await sending.declare(f"key {known}")
        await sending.until(lambda log, known=known: log[known].attempts == 1)  # type: ignore[misc]
        tried = (await sending.log())[known]
        assert tried.answer == expected
        took = (tried.tried_at or DAWN) - DAWN - timedelta(seconds=sending.receiver.received[before].at)
        assert took.total_seconds() == pytest.approx(seconds, abs=0.2)
    await sending.ended()


async def test_after_a_day_an_event_is_given_up_the_operator_is_told_and_the_next_is_tried(
    rarely: Sending,
) -> None:
    sending = rarely
    sending.receiver.usually = status(500, body="no")
    incident = await sending.declare()
    await sending.until(lambda log: log[0].attempts == 1)
    await sending.change(incident, "a", severity_id="minor")
    await sending.ended("failed")
    log = await sending.log()
    assert log[0].attempts == len(RETRIES) + 2
    tried = [one.at for one in sending.receiver.received if one.id == log[0].webhook_id]
    assert tried[-1] - tried[0] == pytest.approx(DAY.total_seconds(), rel=0.01)
    assert log[1].attempts > 1
    (sentence,) = sending.told.alerts.values()
    assert "did not take an event for a day" in sentence
    assert "hush" not in sentence
    sending.receiver.usually = status(204)
    assert await sending.backend.deliveries.send_again(log[0].event_id, None, clock()) == 1
    await sending.until(lambda log: log[0].state == "delivered")
    assert sending.receiver.received[-1].id == log[0].webhook_id
    assert sending.told.resolved == ["webhook hook"]


async def test_an_endpoint_that_says_410_gets_nothing_more_until_it_is_enabled(rarely: Sending) -> None:
    sending = rarely
    sending.receiver.answers.append(status(410))
    incident = await sending.declare()
    await sending.until(lambda log: log[0].state == "failed")
    await sending.change(incident, "a", severity_id="minor")
    await asyncio.sleep(7200)
    assert len(sending.receiver.received) == 1
    assert "answered 410" in sending.told.alerts["webhook hook"]
    await sending.backend.deliveries.enable("hook")
    await sending.until(lambda log: log[1].state == "delivered")


async def test_an_endpoint_is_asked_a_few_at_a_time_and_when_it_wants(rarely: Sending) -> None:
    sending = rarely
    sending.receiver.usually = hang
    for number in range(12):
        await sending.declare(f"key {number}")
    await asyncio.sleep(70)
    assert sending.receiver.most_at_once == AT_ONCE
    sending.receiver.usually = status(204)
    sending.receiver.answers += [status(429, "Retry-After: 2000")]
    await sending.ended()
    limited = (await sending.log())[AT_ONCE]
    times = [one.at for one in sending.receiver.received if one.id == limited.webhook_id]
    assert times[1] - times[0] == pytest.approx(2000, abs=80)


async def test_what_has_become_private_is_never_told_not_even_in_a_later_attempt(tmp_path: Path) -> None:
    public = frozenset({"public_incident.incident_created_v2", "public_incident.incident_updated_v2"})
    for number, events in enumerate((frozenset(EVENTS), public)):
        folder = tmp_path / str(number)
        async with sending_to(folder, events=events) as sending:
            sending.receiver.answers.append(status(500))
            incident = await sending.declare(name=CANARY, summary=CANARY)
            await sending.until(lambda log: log[0].attempts == 1)
            await sending.change(incident, "a", visibility="private", message=CANARY)
            await sending.change(incident, "b", name=f"{CANARY} again", message=CANARY)
            await sending.until(lambda log: all(one.state != "pending" for one in log))
            later = sending.receiver.received[1:]
            assert CANARY not in "".join(one.body.decode() for one in later)
            assert [one.about for one in later] == [{"id": incident.id}] * (3 if number == 0 else 0)
            states = [one.state for one in await sending.log()]
            assert states == (["delivered"] * 3 if number == 0 else ["withheld"])


async def test_a_sender_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    async with running_receiver() as receiver:
        subscription = endpoint(receiver.url).subscription
        backend = await LocalBackend.open(
            await new_incidents(tmp_path / "incidents.db"),
            IncidentConfig(),
            public_url="http://x",
            clock=clock,
            subscriptions=[subscription],
            bodies=BODIES,
        )
        sending = Sending(backend, Told(), receiver)
        await sending.declare()
        receiver.answers.append(hang)
        async with sender_of(backend, sending.told, endpoint(receiver.url)):
            await asyncio.sleep(5)
            assert len(receiver.received) == 1
        assert [one.state for one in await sending.log()] == ["pending"]
        async with sender_of(backend, sending.told, endpoint(receiver.url)):
            await sending.ended()
        assert len({one.id for one in receiver.received}) == 1
        await backend.close()


async def test_what_an_earlier_version_left_is_sent_also_if_the_database_is_away_when_the_sender_begins(
    tmp_path: Path,
) -> None:
    async with running_receiver() as receiver:
        to, file = endpoint(receiver.url), await new_incidents(tmp_path / "incidents.db")
        backend = await LocalBackend.open(
            file,
            IncidentConfig(),
            public_url="http://x",
            clock=clock,
            subscriptions=[to.subscription],
            bodies=BODIES,
        )
        sending = Sending(backend, Told(), receiver)
        await sending.declare()
        await backend.database.run(
            lambda db: db.execute("UPDATE webhook_deliveries SET is_next = 0") and None
        )
        file.rename(tmp_path / "away.db")
        async with sender_of(backend, sending.told, to):
            await asyncio.sleep(30)
            (tmp_path / "away.db").rename(file)
            await sending.until(lambda log: log[0].state == "delivered", hours=1 / 30)
        await backend.close()


async def test_what_is_asked_for_again_is_sent_also_if_an_attempt_was_under_way(sending: Sending) -> None:
    sending.receiver.usually = status(410)
    await sending.declare()
    await sending.until(lambda log: log[0].state == "failed")
    (earlier,) = await sending.log()
    await sending.backend.deliveries.enable("hook")
    sending.receiver.usually = status(204)
    await asyncio.sleep(2)
    await sending.backend.deliveries.send_again(earlier.event_id, None, clock())
    await sending.backend.deliveries.save(earlier.model_copy(update={"state": "failed"}))
    await sending.ended()
    assert len(sending.receiver.received) == 2


async def test_an_answer_with_a_pause_that_is_no_number_one_can_read_is_an_attempt_like_others(
    rarely: Sending,
) -> None:
    sending = rarely
    sending.receiver.answers.append(status(503, f"Retry-After: {'9' * 5000}"))
    await sending.declare()
    await sending.until(lambda log: log[0].attempts == 1)
    assert (await sending.log())[0].status == 503
    await sending.ended()


async def test_a_task_that_was_done_long_after_it_was_asked_has_a_day_of_attempts(seldom: Sending) -> None:
    sending = seldom
    incident = await sending.declare()
    task = await sending.backend.add_follow_up(
        incident.id, FollowUpRequest(key="f", by=ANA, at=clock(), text="restart db-7")
    )
    await sending.ended()
    asked = clock()
    await asyncio.sleep(2 * DAY.total_seconds())
    sending.receiver.answers.append(status(500))
    await sending.backend.complete_follow_up(task.id, ANA, asked, "done")
    await sending.ended()
    assert (await sending.log())[-1].attempts == 2
