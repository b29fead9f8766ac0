"""Whether tests of Tocsin itself left anything, and told their person once how they went (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reliability.history.evidence import Evidence

REPORT = "Tocsin was tested:"


def left_of_tests(seen: Evidence) -> Iterator[str]:
    """A sentence for each thing that a test left behind, and for each report that is missing or double."""
    if seen.history.backend != "local":
        # People over a hosted backend only declare here.
        return
    for kept in seen.tests:
        if kept.row["incident_status_id"] != "canceled":
            yield f"the test {kept.reference} was left {kept.row['incident_status_id']}"
        if kept.row["mode"] != "test" or not kept.is_private:
            yield f"the test {kept.reference} was not a private test"
        if seen.cards_of(kept):
            yield f"the test {kept.reference} left a card"
    for channel in seen.test_channels:
        if not channel["archived"]:
            yield f"a test left #{channel['name']}"
    tests = Counter(kept.row["creator_slack_user_id"] for kept in seen.tests)
    for person, count in tests.items():
        reports = [text for text in seen.told_in_person(person) if text.startswith(REPORT)]
        if len(reports) != count:
            yield f"{person} was told {len(reports)} times of {count} tests"
