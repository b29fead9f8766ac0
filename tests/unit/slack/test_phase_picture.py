"""The picture of the phases, and its words, of any number of phases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tocsin.incidents.phases import Phase
from tocsin.slack.phase_picture import MOST_PHASES, draw_phases, phase_words

BEGAN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("many", [2, 150, 500])
def test_an_incident_that_was_reopened_all_day_has_a_picture_and_few_words(many: int) -> None:
    minutes = [BEGAN + timedelta(minutes=number) for number in range(many + 1)]
    phases = [
        Phase(name=("Fixing", "Closed")[number % 2], category="live", began=began, ended=ended)
        for number, (began, ended) in enumerate(pairwise(minutes))
    ]
    long = phases[0].model_copy(update={"began": BEGAN - timedelta(days=30)})
    assert draw_phases([long, *phases[1:]]).startswith(b"\x89PNG")
    said = phase_words(phases).split(" · ")
    assert len(said) == min(many, MOST_PHASES + 1)
    assert (said[-1] == f"and {many - MOST_PHASES} more") == (many > MOST_PHASES)
