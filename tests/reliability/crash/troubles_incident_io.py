"""What may go wrong on the way to incident.io, and what people do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

from starlette.responses import JSONResponse
from support.bot import chosen, picked
from support.incident_io.server import LOST, NEVER_CAME, Fault, failing

from reliability.crash.scenarios import (
    a_choice_is_gone,
    alert,
    any_way,
    by_command,
    declared,
    from_a_message,
    privately,
)
from reliability.crash.stage import Stage
from reliability.crash.vendor_incident_io import IncidentIoVendor

V1, V2 = "/v1/incidents", "/v2/incidents"
A_MINUTE, TWENTY_MINUTES = 60.0, 1200.0
AGES = 100.0
"""How many times as fast an hour passes in which nobody can do anything."""


def _io(stage: Stage) -> IncidentIoVendor:
    return cast(IncidentIoVendor, stage.vendor)


def _create_fails(stage: Stage, *faults: Fault) -> None:
    """Whichever version it is sent to."""
    for path in (V1, V2):
        _io(stage).fail("POST", path, *faults)


def _slowed(stage: Stage) -> Fault:
    """429, with the time to wait in each of the ways that are documented (Rate limits)."""
    at = _io(stage).account.clock() + timedelta(seconds=stage.rng.choice((1, 2)))
    said = stage.rng.choice(("1", at.isoformat(), at.strftime("%a, %d %b %Y %H:%M:%S UTC")))
    limit = {"rate_limit": {"retry_after": said, "limit": 1200, "remaining": 0}}
    if stage.rng.random() < 0.5:
        return Fault(lambda: JSONResponse(limit, status_code=429))
    return Fault(lambda: JSONResponse(limit, status_code=429, headers={"Retry-After": said}))


def _lost(stage: Stage) -> Fault:
    """An answer that does not come, after the work was done or before."""
    never = _io(stage).never
    return stage.rng.choice(
        (
            LOST,
            NEVER_CAME,
            failing(503),
            Fault(lambda: JSONResponse({}, status_code=500), does=True),
            Fault(lambda: JSONResponse("busy", status_code=200), does=True),
            Fault(does=True, waits=never),
            Fault(waits=never),
        )
    )


async def it_is_busy(stage: Stage) -> None:
    _create_fails(stage, *(_slowed(stage) for _ in range(stage.rng.randint(1, 3))))
    await any_way(stage)


async def its_answers_get_lost(stage: Stage) -> None:
    """incident.io does what it was asked, and the answer never arrives; or it breaks before."""
    _create_fails(stage, *(_lost(stage) for _ in range(stage.rng.randint(1, 3))))
    await any_way(stage)


async def it_is_slow(stage: Stage) -> None:
    """The person is told *saved* before the answer comes."""
    vendor, seconds = _io(stage), stage.rng.uniform(1.5, 9.0)
    _create_fails(stage, Fault(waits=lambda: vendor.later(seconds), spares=True))
    await any_way(stage)


async def pressed_twice_while_slow(stage: Stage) -> None:
    vendor = _io(stage)
    _create_fails(stage, Fault(waits=lambda: vendor.later(1.0), spares=True))
    view = await stage.command("ben", "general")
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("major"))
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await asyncio.gather(stage.declare(view), stage.declare(view))


async def v1_is_gone(stage: Stage) -> None:
    """The message goes along as a link and a line of the timeline; both may get lost, too."""
    vendor = _io(stage)
    if stage.rng.random() < 0.3:
        vendor.fail("POST", V1, _lost(stage))
    vendor.account.has_v1 = False
    for path in (V2, "/v1/incident_attachments", "/v2/incident_timeline_items"):
        if stage.rng.random() < 0.5:
            vendor.fail("POST", path, stage.rng.choice((_lost, _slowed))(stage))
    await from_a_message(stage)


async def its_channel_comes_late(stage: Stage) -> None:
    """It is asked for until it is there, though not every question is answered."""
    vendor = _io(stage)
    vendor.patience = stage.rng.uniform(5.0, 90.0)
    for _ in range(stage.rng.randint(0, 4)):
        vendor.fail("GET", f"{V2}/", stage.rng.choice((_lost, _slowed))(stage))
    await any_way(stage)


async def its_channel_does_not_come(stage: Stage) -> None:
    """Ten minutes long; whoever declared it is told, and sees it when it comes after all."""
    _io(stage).patience = stage.rng.uniform(660.0, 900.0)
    stage.lives.haste = AGES
    await any_way(stage)


async def it_refuses_our_key(stage: Stage) -> None:
    """401, or 403 for creating alone, until the operator has mended it."""
    vendor = _io(stage)
    if stage.rng.random() < 0.5:
        vendor.account.key = "another-key"
    else:
        refused = Fault(lambda: JSONResponse({"errors": []}, status_code=403))
        _create_fails(stage, *[refused] * stage.rng.randint(1, 3))
    await _mended_later(stage, stage.rng.uniform(5.0, 2 * A_MINUTE), any_way)


async def it_is_away(stage: Stage) -> None:
    """For longer than people can wait: they get a channel of ours to work in."""
    vendor = _io(stage)
    vendor.server.down = _lost(stage) if stage.rng.random() < 0.5 else _slowed(stage)
    await _mended_later(stage, stage.rng.uniform(45.0, 4 * A_MINUTE), any_way)


async def it_forgets_our_key(stage: Stage) -> None:
    """It did what it was asked and nobody knows, for so long that its key may be forgotten: we must look."""
    vendor = _io(stage)
    vendor.forgets = True
    _create_fails(stage, Fault(lambda: JSONResponse({}, status_code=500), does=stage.rng.random() < 0.7))
    vendor.fail("GET", V2, *(_lost(stage) for _ in range(stage.rng.randint(0, 2))))

    async def then_away(stage: Stage) -> None:
        await by_command(stage)
        vendor.server.down = Fault(lambda: JSONResponse({}, status_code=429, headers={"Retry-After": "240"}))

    stage.lives.haste = AGES
    await _mended_later(stage, TWENTY_MINUTES, then_away)


async def a_stranger_leads(stage: Stage) -> None:
    """incident.io does not know whom somebody chose, so it is sent again without them."""
    vendor, chloe = _io(stage), stage.slack.person("chloe")
    vendor.account.users = [u for u in vendor.account.users if u["slack_user_id"] != chloe]
    if stage.rng.random() < 0.5:
        _create_fails(stage, _lost(stage))
    if stage.rng.random() < 0.5:
        await privately(stage)
        return
    view = await stage.command("ana", "general")
    await stage.button(view, "more_fields", "more_fields")
    token = stage.word()
    lead = {"incident_role_assignments__lead": picked(chloe)}
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("major"), **lead)
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await stage.declare(view)


async def it_refuses_a_choice(stage: Stage) -> None:
    """The chosen severity is gone there."""
    await a_choice_is_gone(stage, _forget_severity)


async def it_refuses_later(stage: Stage) -> None:
    """The refusal comes when the window has said *saved*: in a message, and it is mended from there."""
    vendor = _io(stage)
    view = await stage.command("chloe", "general")
    token = stage.word()
    stage.fill(view, f"Checkout is slow {token}", severity_id=chosen("critical"))
    _forget_severity(stage)
    _create_fails(
        stage, stage.rng.choice((failing(503), Fault(waits=lambda: vendor.later(4.0), spares=True)))
    )
    stage.intends(view, token, origin=stage.slack.channel("general"))
    await stage.submit(view)
    await stage.lives.quiet()
    refused = stage.told("chloe", "fix_and_send")
    if refused is None:
        return
    fixed = await stage.pressed_in_message("chloe", refused, "fix_and_send")
    another = stage.word()
    stage.fill(fixed, f"Checkout is slow {another}", severity_id=chosen("minor"))
    stage.intends(fixed, another, origin=stage.slack.channel("general"))
    await stage.declare(fixed)


async def two_while_away(stage: Stage) -> None:
    """Two people declare from one message while nothing can be created."""
    message = await alert(stage)
    views = [await stage.on_message(person, message) for person in ("ana", "ben")]
    _create_fails(stage, _lost(stage), _slowed(stage), _lost(stage))
    await asyncio.gather(*(declared(stage, view, message=message) for view in views))


TROUBLES: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    it_is_busy,
    its_answers_get_lost,
    it_is_slow,
    pressed_twice_while_slow,
    v1_is_gone,
    its_channel_comes_late,
    its_channel_does_not_come,
    it_refuses_our_key,
    it_is_away,
    it_forgets_our_key,
    a_stranger_leads,
    it_refuses_a_choice,
    it_refuses_later,
    two_while_away,
)


async def _mended_later(stage: Stage, seconds: float, act: Callable[[Stage], Awaitable[None]]) -> None:
    """Have people act now, and incident.io well again after so many seconds of the bot's time."""
    vendor = _io(stage)
    await act(stage)
    mending = asyncio.create_task(_mend(vendor, seconds))
    try:
        await stage.lives.quiet()
    finally:
        mending.cancel()
        _well(vendor)


async def _mend(vendor: IncidentIoVendor, seconds: float) -> None:
    await vendor.later(seconds)
    _well(vendor)


def _well(vendor: IncidentIoVendor) -> None:
    vendor.server.down = None
    vendor.account.key = vendor.key


def _forget_severity(stage: Stage) -> None:
    account = _io(stage).account
    account.severities = [severity for severity in account.severities if severity["id"] != "critical"]
