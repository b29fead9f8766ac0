"""How often the channel of an incident is asked for that its backend opens by itself."""

from __future__ import annotations

from itertools import accumulate, islice

from tocsin.workflows.channels import LONGEST_PAUSE, pauses


def test_the_channel_is_asked_for_within_a_second_then_every_five_for_a_minute_then_more_seldom() -> None:
    waits = list(islice(pauses(), 200))
    assert waits[0] < 1
    first_minute = [wait for wait, at in zip(waits, accumulate(waits), strict=True) if at <= 60]
    assert max(first_minute) <= 5
    assert len(first_minute) >= 12
    assert max(waits) <= LONGEST_PAUSE
    assert waits[-1] > 30
