"""What may go wrong on the way to DevRev, which takes no key and shows what it made a while later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from support.bot import chosen

from reliability.crash.scenarios import alert, any_way, declared
from reliability.crash.stage import Stage
from reliability.crash.vendor_devrev import LONGEST_LAG, DevRevVendor
from slack_emulator.faults import Fault

CREATE, LIST, NOTE = "incidents.create", "incidents.list", "timeline-entries.create"


def _devrev(stage: Stage) -> DevRevVendor:
    return cast(DevRevVendor, stage.vendor)


def _lost(stage: Stage) -> Fault:
    """An answer that does not come, after the work was done or before."""
    over = _devrev(stage).over
    return stage.rng.choice(
        (
            Fault(status=500, after_effect=True),
            Fault(reset=True, after_effect=True),
            Fault(body="<html>busy</html>", after_effect=True),
            Fault(until=over, reset=True, after_effect=True),
            Fault(status=503),
            Fault(reset=True),
        )
    )


async def it_is_busy(stage: Stage) -> None:
    slow = [Fault(status=429, retry_after=stage.rng.choice((1, 2))) for _ in range(stage.rng.randint(1, 3))]
    _devrev(stage).org.faults.plan(CREATE, *slow)
    await any_way(stage)


async def its_answers_get_lost(stage: Stage) -> None:
    """What it made shows up a minute later at most, and until then nothing is sent again."""
    org = _devrev(stage).org
    org.lag = stage.rng.uniform(0.0, LONGEST_LAG)
    org.faults.plan(CREATE, *(_lost(stage) for _ in range(stage.rng.choice((1, 1, 2)))))
    await any_way(stage)


async def its_list_fails_too(stage: Stage) -> None:
    """While the list cannot be asked, nothing is sent again."""
    org = _devrev(stage).org
    org.lag = stage.rng.uniform(0.0, LONGEST_LAG)
    org.faults.plan(CREATE, _lost(stage))
    org.faults.plan(LIST, *(Fault(status=503) for _ in range(stage.rng.randint(1, 4))))
    await any_way(stage)


async def it_takes_the_key_elsewhere(stage: Stage) -> None:
    """Its schema has no `sync_metadata`, so that the key is a line of the body."""
    org = _devrev(stage).org
    org.refused, org.sparse = {"sync_metadata"}, stage.rng.random() < 0.5
    org.lag = stage.rng.uniform(0.0, LONGEST_LAG)
    if stage.rng.random() < 0.7:
        org.faults.plan(CREATE, _lost(stage))
    await any_way(stage)


async def it_refuses_our_token(stage: Stage) -> None:
    """401 until the operator has mended it."""
    org = _devrev(stage).org
    right, org.token = org.token, "another"
    await any_way(stage)
    mending = asyncio.create_task(_mend(stage, right, stage.rng.uniform(5.0, 120.0)))
    try:
        await stage.lives.quiet()
    finally:
        mending.cancel()
        org.token = right


async def it_is_away(stage: Stage) -> None:
    """For longer than people can wait: they get a channel of ours, which becomes the incident's."""
    away = [Fault(status=429, retry_after=30) for _ in range(stage.rng.randint(2, 4))]
    _devrev(stage).org.faults.plan(CREATE, *away)
    await any_way(stage)


async def its_notes_get_lost(stage: Stage) -> None:
    _devrev(stage).org.faults.plan(NOTE, *(_lost(stage) for _ in range(2)))
    await any_way(stage)


async def it_refuses_a_choice(stage: Stage) -> None:
    """The chosen severity is gone there; the person chooses another and submits again."""
    org = _devrev(stage).org
    view = await stage.command("ana", "general")
    token, gone = stage.word(), stage.severities[0]
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen(gone))
    org.severities = [severity for severity in org.severities if str(severity["id"]) != gone]
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await stage.submit(view)
    if view.payload.get("submit"):
        stage.fill(view, f"Checkout is slow {token}", severity_id=chosen(stage.severities[2]))
        await stage.declare(view)


async def two_while_away(stage: Stage) -> None:
    """Two people declare from one message while nothing can be created."""
    message = await alert(stage)
    views = [await stage.on_message(person, message) for person in ("ana", "ben")]
    _devrev(stage).org.faults.plan(CREATE, _lost(stage), Fault(status=429, retry_after=2))
    await asyncio.gather(*(declared(stage, view, message=message) for view in views))


TROUBLES: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    it_is_busy,
    its_answers_get_lost,
    its_list_fails_too,
    it_takes_the_key_elsewhere,
    it_refuses_our_token,
    it_is_away,
    its_notes_get_lost,
    it_refuses_a_choice,
    two_while_away,
)


async def _mend(stage: Stage, token: str, seconds: float) -> None:
    vendor = _devrev(stage)
    until = vendor.org.clock().timestamp() + seconds
    while vendor.org.clock().timestamp() < until:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await vendor.over.wait()
    vendor.org.token = token
