"""What a person is told who catches up: what others did since, in few words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from support.declarations import ANA, BEN, DAWN
from support.incidents import incident

from tocsin.incidents.catchup import catch_up
from tocsin.incidents.model import Person, TimelineEntry

NOW = DAWN + timedelta(hours=1)


def entry(minutes: int, verb: str, text: str = "", by: Person = BEN) -> TimelineEntry:
    return TimelineEntry(at=DAWN + timedelta(minutes=minutes), by=by, verb=verb, text=text)


HAPPENED = (
    entry(0, "declared", "Checkout is slow (Major)"),
    entry(10, "gave an update:", "The cache is cold."),
    entry(20, "set the status to", "Fixing"),
    entry(30, "noted:", "The graph\nlooks odd."),
    entry(40, "added an action:", "Drain the node"),
    entry(50, "noted:", "my own words", by=ANA),
)


def told(since: int | None = None, timeline: Any = HAPPENED) -> list[str]:
    at = None if since is None else DAWN + timedelta(minutes=since)
    return catch_up(incident(), timeline, ANA.slack_user_id, at, NOW).splitlines()


def test_who_never_looked_is_told_everything_that_others_did_by_kind() -> None:
    first, *lines = told()
    assert first.startswith(f"{incident().reference} {incident().name} is ")
    assert first.endswith("What is new since it was declared:")
    assert lines == [
        "Updates",
        f"• {BEN.name} wrote an update: The cache is cold., 50 minutes ago",
        "Changes",
        f"• {BEN.name} declared Checkout is slow (Major), 1 hour ago",
        f"• {BEN.name} set the status to Fixing, 40 minutes ago",
        "To do",
        f"• {BEN.name} added an action: Drain the node, 20 minutes ago",
        "Notes",
        f"• {BEN.name} noted: The graph looks odd., 30 minutes ago",
    ]


def test_who_looked_before_is_told_what_came_after() -> None:
    first, *lines = told(since=25)
    assert first.endswith("What is new since you caught up 35 minutes ago:")
    assert [line for line in lines if not line.startswith("•")] == ["To do", "Notes"]


def test_where_nothing_new_happened_that_is_said() -> None:
    (only,) = told(since=45)
    assert only.startswith(
        f"Nothing new in {incident().reference} since you caught up 15 minutes ago. It is "
    )


def test_of_much_the_latest_is_told_and_the_rest_is_counted() -> None:
    many = [entry(n, "noted:", f"{n} " + "long " * 200) for n in range(1, 31)]
    _, heading, *lines = told(timeline=many)
    assert heading == "Notes (26 earlier not shown)"
    assert [line.split("noted: ")[1].split()[0] for line in lines] == ["27", "28", "29", "30"]
    assert len("\n".join(lines)) < 1200
