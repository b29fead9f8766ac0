"""Whatever people do in Slack, a private incident is read by its own people alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reliability.secrecy.kept import WORDS, Between
from reliability.secrecy.run import Found, canaries
from tocsin.incidents.model import Incident
from tocsin.incidents.requests import IncidentFilter
from tocsin.slack.disclosure import Disclosure
from tocsin.slack.gate import DisclosureGate

CAMPAIGN = pytest.mark.campaign("python -m tests.reliability.secrecy --gestures 20000")
FEW, SAMPLE = 80, 700
MOST_RUNS = 5
"""Runs in which everything that is wanted is met."""

SURFACES = {
    *("views.open", "views.update", "views.publish", "view_submission", "options", "whisper", "homes"),
    *("chat.postMessage", "chat.update", "conversations.setTopic", "bookmarks.add", "left"),
    *("file", "chat.unfurl", "details", "comments", "page", "paged", "api", "webhook"),
}
"""What a run must have looked at to mean anything."""


class Careless(Between):
    """A backend that lists incidents for people who may not see them."""

    async def matching(self, wanted: IncidentFilter, **page: Any) -> Sequence[Incident]:
        found: Sequence[Incident] = await self._behind.matching(
            wanted.model_copy(update={"visible_to": None}), **page
        )
        return found


class Forgetful(Between):
    """A backend that forgets that an incident is private whenever it is asked for it."""

    async def find(self, reference: str) -> Incident | None:
        found: Incident | None = await self._behind.find(reference)
        return found and found.model_copy(update={"visibility": "public"})


@contextmanager
def ungated() -> Iterator[None]:
    """Inside, the gate lets everything pass: it would hold back what the backend gives away."""

    async def passes(_: DisclosureGate, about: Disclosure) -> None:
        """Asks nothing."""

    asked, DisclosureGate.check = DisclosureGate.check, passes  # type: ignore[method-assign]
    try:
        yield
    finally:
        DisclosureGate.check = asked  # type: ignore[method-assign]


async def test_no_word_of_a_private_incident_is_where_others_read_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = await canaries(tmp_path, FEW, seed=1)
    logged = capfd.readouterr()
    assert found.leaks == []
    written = [line for line in (logged.out + logged.err).splitlines() if WORDS.search(line)]
    assert written == [], "what people wrote is in no log"
    assert (found.gestures, found.private >= 3) == (FEW, True)


@CAMPAIGN
async def test_no_word_is_anywhere_that_a_long_run_looks_at(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    looked_at: set[str] = set()
    async for found in _runs(tmp_path, SAMPLE, seed=350):
        logged = capfd.readouterr()
        print("\n".join(found.lines()))
        assert found.leaks == []
        written = [line for line in (logged.out + logged.err).splitlines() if WORDS.search(line)]
        assert written == [], "what people wrote is in no log"
        assert found.private >= 4
        looked_at |= set(found.looked_at)
        if looked_at >= SURFACES:
            return
    pytest.fail(f"never looked at: {SURFACES - looked_at}")


async def _runs(folder: Path, gestures: int, seed: int, **more: Any) -> AsyncIterator[Found]:
    """Some runs, from one seed after the other: how much one of them meets depends on who is quicker."""
    for number in range(MOST_RUNS):
        own = folder / f"{number}"
        own.mkdir()
        yield await canaries(own, gestures, seed + number, **more)


@pytest.mark.parametrize(
    ("careless", "gestures", "kinds"),
    [
        (Forgetful, 60, 1),
        pytest.param(Careless, 200, 1, marks=CAMPAIGN),
        pytest.param(Forgetful, 200, 4, marks=CAMPAIGN),
    ],
)
async def test_a_leak_would_be_seen(careless: Any, gestures: int, kinds: int, tmp_path: Path) -> None:
    leaked: set[str] = set()
    with ungated():
        async for found in _runs(tmp_path, gestures, seed=1, behind=careless, patience=1.0):
            print("\n".join(found.lines()))
            leaked |= {leak.partition(":")[0].partition(" ")[0] for leak in found.leaks}
            if len(leaked) >= kinds:
                return
    pytest.fail(f"only seen: {leaked}")
