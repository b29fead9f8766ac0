"""The same over a hosted backend: a fair sample, with that backend's own faults and its record read."""

from __future__ import annotations

import asyncio
import os

import pytest

from crash.backends import BACKENDS, DEVREV, INCIDENT_IO
from crash.campaign import Totals, again, campaign
from crash.run import Plan
from crash.switch import Kill
from crash.unreached_elsewhere import REASONS

RUNS = 24
SECONDS = 30.0
"""No run is begun later, so that the whole takes about a minute."""

SEED = 3


def test_a_killed_bot_over_incident_io_loses_nothing_and_does_nothing_twice(sampled: Totals) -> None:
    print("\n".join(sampled.lines()))
    assert not sampled.broken, "\n".join(sampled.broken)
    assert sampled.lost == sampled.duplicated == sampled.violations == 0
    assert sampled.hit, "about half of the runs are killed"


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_for_an_unreached_point_is_of_a_point_there_is(name: str) -> None:
    names = [point.name for point in BACKENDS[name].points()]
    assert not [stem for stem in REASONS[name] if not any(point.startswith(stem) for point in names)]


def test_a_window_that_was_finished_before_the_kill_says_the_same_after_the_restart() -> None:
    """The restarted bot shows it again, and must end with the channel as the first one did."""
    last = next(p.name for p in INCIDENT_IO.points() if "gathering.everyone(" in p.code)
    kill = Kill(last.replace(":before", ":after"), 1)
    report = asyncio.run(again(Plan("by_command", SEED, (kill,), "incident_io")))
    assert report.kills == [kill.point]
    assert not report.violations, "\n".join(report.violations)


def test_what_devrev_made_while_its_answer_was_lost_is_found_again_by_the_next_life() -> None:
    sent = next(p.name for p in DEVREV.points() if p.code.startswith("await creating.send("))
    kill = Kill(sent.replace(":before", ":after"), 1)
    report = asyncio.run(again(Plan("from_a_message", SEED, (kill,), "devrev")))
    assert report.kills == [kill.point]
    assert not report.violations, "\n".join(report.violations)


@pytest.fixture(scope="module")
def sampled() -> Totals:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("killing and watching processes this way needs Linux")
    return asyncio.run(campaign(RUNS, SEED, backend=INCIDENT_IO, lanes=4, seconds=SECONDS))
