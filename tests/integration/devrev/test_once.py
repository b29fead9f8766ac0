"""Exactly one incident for one declaration, though DevRev takes no key and its list lags behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from integration.devrev.desk import DevRevDesk, declared
from slack_emulator.faults import Fault
from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable

LOST = Fault(status=500, after_effect=True)
CUT = Fault(reset=True, after_effect=True)
CREATE, LIST = "incidents.create", "incidents.list"


async def test_a_first_send_looks_nowhere(desk: DevRevDesk) -> None:
    await desk.backend.create(declared())
    assert [method for method, _ in desk.org.requests if method.startswith("incidents.")] == [CREATE]


@pytest.mark.parametrize(
    "fault", [LOST, CUT, Fault(status=503, after_effect=True), Fault(body="<html>", after_effect=True)]
)
async def test_an_incident_whose_answer_was_lost_is_adopted(desk: DevRevDesk, fault: Fault) -> None:
    desk.org.faults.plan(CREATE, fault)
    incident = await desk.persist(declared())
    assert incident.reference == "INC-1"
    assert len(desk.org.incidents) == 1
    assert incident.creator.name == "Ana Torres"


async def test_an_answer_that_takes_too_long_leaves_the_outcome_open(desk: DevRevDesk) -> None:
    backend = await desk.reopen(seconds=0.3)
    never = asyncio.Event()
    desk.org.faults.plan(CREATE, Fault(until=never))
    with pytest.raises(OutcomeUnknown) as unknown:
        await backend.create(declared())
    assert unknown.value.retry_after == 2.0
    never.set()
    assert (await desk.persist(declared())).reference == "INC-1"
    assert len(desk.org.incidents) == 1


@pytest.mark.parametrize("lag", [0, 1, 2, 3, 5, 8, 12, 15, 20, 29, 30, 31, 45, 60, 75, 89])
async def test_what_a_lagging_list_shows_in_time_is_adopted_soon_and_nothing_is_sent_twice(
    desk: DevRevDesk, lag: float
) -> None:
    desk.org.lag = lag
    desk.org.faults.plan(CREATE, CUT)
    begun = desk.clock.now
    await desk.persist(declared())
    waited = (desk.clock.now - begun).total_seconds()
    assert len(desk.org.incidents) == 1
    assert len(desk.sent(CREATE)) == 1
    assert waited <= max(lag, 2.0) + 10.0


async def test_the_list_is_asked_at_the_times_that_are_promised(desk: DevRevDesk) -> None:
    desk.org.lag = 1_000
    desk.org.faults.plan(CREATE, Fault(status=500))
    begun = desk.clock.now
    await desk.persist(declared())
    asked = [(at - begun).total_seconds() for method, at in desk.org.asked_at if method == LIST]
    assert {2.0, 5.0, 15.0, 30.0, 60.0, 90.0} <= set(asked)
    assert max(later - sooner for sooner, later in pairwise(asked)) < 10.0
    sent = [(at - begun).total_seconds() for method, at in desk.org.asked_at if method == CREATE]
    assert sent == [0.0, 90.0]


async def test_what_never_arrived_is_sent_again_once_it_has_not_appeared_for_90_seconds(
    desk: DevRevDesk,
) -> None:
    desk.org.faults.plan(CREATE, Fault(status=500))
    incident = await desk.persist(declared())
    assert incident.reference == "INC-1"
    assert [body["sync_metadata"] for body in desk.sent(CREATE)] == [
        desk.sent(CREATE)[0]["sync_metadata"]
    ] * 2


async def test_nothing_is_sent_while_the_list_cannot_be_asked(desk: DevRevDesk) -> None:
    desk.org.faults.plan(CREATE, CUT)
    desk.org.faults.plan(LIST, *[Fault(status=503) for _ in range(40)])
    await desk.persist(declared())
    assert len(desk.sent(CREATE)) == len(desk.org.incidents) == 1


async def test_a_refused_connection_or_a_pause_is_simply_tried_again(desk: DevRevDesk) -> None:
    desk.org.faults.plan(CREATE, Fault(status=429, retry_after=7))
    with pytest.raises(Unavailable) as slow:
        await desk.backend.create(declared())
    assert not isinstance(slow.value, OutcomeUnknown)
    assert slow.value.retry_after == 7.0
    await desk.backend.create(declared())
    assert not desk.sent(LIST)
    assert len(desk.org.incidents) == 1


@pytest.mark.parametrize("lag", [0, 95])
async def test_what_a_killed_process_sent_is_found_by_the_next_one(desk: DevRevDesk, lag: float) -> None:
    """The one that died may have been waiting for its answer for ten seconds: they count, too."""
    desk.org.lag = lag
    never = asyncio.Event()
    desk.org.faults.plan(CREATE, Fault(until=never))
    sending = asyncio.create_task(desk.backend.create(declared()))
    while not desk.org.incidents:
        await asyncio.wait({sending}, timeout=0.01)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    never.set()
    await desk.reopen()
    assert (await desk.persist(declared())).reference == "INC-1"
    assert len(desk.sent(CREATE)) == 1


async def test_a_restart_while_the_outcome_is_open_does_not_shorten_the_wait(desk: DevRevDesk) -> None:
    desk.org.lag = 80
    desk.org.faults.plan(CREATE, CUT)
    with pytest.raises(OutcomeUnknown):
        await desk.backend.create(declared())
    for _ in range(3):
        desk.clock.turn(11)
        await desk.reopen()
        with pytest.raises(OutcomeUnknown):
            await desk.backend.create(declared())
    await desk.persist(declared())
    assert len(desk.org.incidents) == 1


async def test_the_same_key_answers_with_the_first_incident_also_after_a_restart(desk: DevRevDesk) -> None:
    first = await desk.backend.create(declared("same"))
    again = await (await desk.reopen()).create(declared("same", name="Something else"))
    assert again == first
    assert len(desk.sent(CREATE)) == 1


async def test_twenty_at_once_with_one_key_are_one(desk: DevRevDesk) -> None:
    made = await asyncio.gather(*(desk.backend.create(declared("raced")) for _ in range(20)))
    assert len({incident.id for incident in made}) == 1
    assert len(desk.sent(CREATE)) == 1


async def test_an_organisation_that_refuses_the_key_there_gets_it_as_the_last_line(desk: DevRevDesk) -> None:
    desk.org.refused = {"sync_metadata"}
    desk.org.faults.plan(CREATE, Fault(), CUT)
    await desk.persist(declared("one"))
    await desk.persist(declared("two"))
    sent = desk.sent(CREATE)
    assert ["sync_metadata" in body for body in sent] == [True, False, False]
    assert sent[1]["body"].splitlines()[-1] == "tocsin:one"
    assert len(desk.org.incidents) == 2
    await desk.reopen()
    await desk.persist(declared("three"))
    assert "sync_metadata" not in desk.sent(CREATE)[-1]


async def test_a_field_of_the_organisation_can_carry_the_key(desk: DevRevDesk) -> None:
    await desk.reopen(key_field="tnt__tocsin_key")
    desk.org.refused = {"sync_metadata"}
    desk.org.lag = 20
    desk.org.faults.plan(CREATE, Fault(), CUT)
    incident = await desk.persist(declared("one"))
    assert desk.sent(CREATE)[-1]["custom_fields"] == {"tnt__tocsin_key": "tocsin:one"}
    assert "tocsin:one" not in desk.sent(CREATE)[-1]["body"]
    assert {"tnt__tocsin_key": ["tocsin:one"]} in [body.get("custom_fields") for body in desk.sent(LIST)]
    assert incident.reference == "INC-1"
    assert len(desk.org.incidents) == 1
    assert "tnt__tocsin_key" not in [field.id for field in (await desk.backend.form()).custom_fields]


async def test_a_key_field_that_is_not_there_gives_way_to_the_last_line(desk: DevRevDesk) -> None:
    await desk.reopen(key_field="tnt__typo")
    desk.org.refused = {"sync_metadata"}
    await desk.persist(declared("one"))
    assert desk.sent(CREATE)[-1]["body"].endswith("\ntocsin:one")
    assert len(desk.org.incidents) == 1


async def test_a_key_that_is_taken_and_not_kept_goes_elsewhere_from_then_on(desk: DevRevDesk) -> None:
    desk.org.dropped = {"sync_metadata"}
    await desk.persist(declared("one"))
    desk.org.faults.plan(CREATE, CUT)
    await desk.persist(declared("two"))
    assert desk.sent(CREATE)[-1]["body"].endswith("\ntocsin:two")
    assert len(desk.org.incidents) == 2


async def test_where_the_list_cannot_be_asked_for_the_key_the_newest_are_read(desk: DevRevDesk) -> None:
    desk.org.unlisted = {"sync_metadata"}
    desk.org.sparse = True
    for number in range(7):
        await desk.backend.create(declared(f"earlier-{number}"))
    desk.org.faults.plan(CREATE, CUT)
    await desk.persist(declared("one"))
    assert len(desk.org.incidents) == 8


async def test_a_refusal_may_be_put_right_and_sent_under_the_same_key(desk: DevRevDesk) -> None:
    with pytest.raises(Refused):
        await desk.backend.create(declared(severity_id="9999"))
    await desk.backend.create(declared())
    assert not desk.sent(LIST)


async def test_two_after_all_are_found_marked_and_told(desk: DevRevDesk) -> None:
    desk.org.lag = 200
    desk.org.faults.plan(CREATE, CUT)
    kept = await desk.persist(declared(summary="Since noon."))
    assert [i["title"] for i in desk.org.incidents.values()] == ["Checkout is slow"] * 2
    assert await desk.backend.sweep() == []
    desk.clock.turn(601)
    backend = await desk.reopen()
    (marked,) = await backend.sweep()
    assert (marked.reference, kept.reference) == ("INC-1", "INC-2")
    assert marked.name == "Duplicate of INC-2: Checkout is slow"
    assert "one declaration" in desk.org.entries[-1]["body"]
    assert desk.org.entries[-1]["visibility"] == "internal"
    assert "Close INC-1" in next(iter(desk.operator.told.values()))
    found = await backend.find("INC-2")
    assert found is not None
    assert found.name == "Checkout is slow"


async def test_a_duplicate_that_shows_after_hours_is_found_after_a_day(desk: DevRevDesk) -> None:
    desk.org.lag = 7_200
    desk.org.faults.plan(CREATE, CUT)
    await desk.persist(declared())
    desk.clock.turn(601)
    assert await desk.backend.sweep() == []
    desk.clock.turn(timedelta(hours=24).total_seconds())
    assert [incident.reference for incident in await desk.backend.sweep()] == ["INC-1"]
    assert await desk.backend.sweep() == []


async def test_where_all_went_well_nothing_is_swept(desk: DevRevDesk) -> None:
    await desk.backend.create(declared())
    desk.clock.turn(100_000)
    await desk.backend.sweep()
    assert not desk.sent(LIST)
