"""Events: Slack sends each again until it was acknowledged, and each does its work once."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from tocsin.incidents.errors import Unavailable
from tocsin.slack.app import EventDeduplicator
from tocsin.slack.payloads import EventCallback


class Work:
    def __init__(self, *, fails: int = 0) -> None:
        self.done = 0
        self.fails = fails
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self) -> None:
        await self.held.wait()
        if self.fails:
            self.fails -= 1
            raise Unavailable("Not just now.")
        self.done += 1


async def test_an_event_that_is_sent_again_does_its_work_once() -> None:
    heard, work = EventDeduplicator(), Work()
    for _ in range(4):
        await heard.run_once("Ev1", work)
    await heard.run_once("Ev2", work)
    assert work.done == 2


async def test_an_event_that_comes_while_it_is_being_worked_on_waits_for_the_same_end() -> None:
    heard, work = EventDeduplicator(), Work()
    work.held.clear()
    both = asyncio.gather(heard.run_once("Ev1", work), heard.run_once("Ev1", work))
    await asyncio.wait({both}, timeout=0.01)
    assert not both.done()
    work.held.set()
    await both
    assert work.done == 1


async def test_an_event_whose_work_failed_is_done_when_slack_sends_it_again() -> None:
    heard, work = EventDeduplicator(), Work(fails=1)
    with pytest.raises(Unavailable):
        await heard.run_once("Ev1", work)
    await heard.run_once("Ev1", work)
    assert work.done == 1


def test_a_message_event_goes_by_the_name_it_is_subscribed_to() -> None:
    rooms = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
    for room, name in rooms.items():
        event = {"type": "message", "channel_type": room}
        assert EventCallback(event_id="Ev1", event=event).kind == f"message.{name}"
    assert EventCallback(event_id="Ev1", event={"type": "pin_added"}).kind == "pin_added"


async def test_what_fails_after_slack_has_stopped_waiting_is_written_down_once() -> None:
    heard, work = EventDeduplicator(), Work(fails=1)
    work.held.clear()
    with capture_logs() as logged:
        for _ in range(2):
            with pytest.raises(Unavailable, match="longer than Slack waits"):
                await heard.run_once("Ev1", work)
        work.held.set()
        with pytest.raises(Unavailable, match="Not just now"):
            await heard.run_once("Ev1", work)
    assert [entry["because"] for entry in logged] == ["Not just now."]
