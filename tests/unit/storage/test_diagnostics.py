"""The doctor's findings on PostgreSQL, each of which names what is wrong and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tocsin.storage.diagnostics import DatabaseState, examine_database

WELL = DatabaseState(version=13, is_read_only=False, refusals=(), has_tables=True, replicas=2, ahead=-4.9)

ILL = {
    "an old version": (replace(WELL, version=12), "PostgreSQL 12", "13 or newer"),
    "a standby": (replace(WELL, is_read_only=True), "takes no changes", "Name the primary"),
    "a right that is missing": (
        replace(WELL, refusals=("GRANT CREATE ON DATABASE incidents TO tocsin;",)),
        "lacks rights",
        "GRANT CREATE ON DATABASE incidents TO tocsin;",
    ),
    "a clock that is ahead": (replace(WELL, ahead=5.6), "its clock is 6 s off", "timedatectl"),
    "a clock that is behind": (replace(WELL, ahead=-3600), "its clock is 3600 s off", "timedatectl"),
}


def test_a_database_that_is_well_is_told_in_a_line_and_its_replicas_in_another() -> None:
    told = [(check.name, check.ok, check.said) for check in examine_database(WELL)]
    assert told == [
        ("Database", True, "PostgreSQL 13, and it can be used."),
        ("Replicas", True, "2 run now."),
    ]


@pytest.mark.parametrize("name", ILL)
def test_what_is_wrong_with_a_database_is_told_with_its_fix(name: str) -> None:
    state, said, fix = ILL[name]
    (wrong,) = [check for check in examine_database(state) if not check.ok]
    assert wrong.name == "Database"
    assert said in wrong.said
    assert fix in wrong.fix


def test_everything_that_is_wrong_with_it_is_told_at_once() -> None:
    state = replace(WELL, version=12, is_read_only=True, refusals=("GRANT …;",), ahead=60)
    assert [check.ok for check in examine_database(state)] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("running", "most", "ok", "said"),
    [
        (0, 5, True, "none runs now."),
        (1, 5, True, "one runs now."),
        (5, 5, True, "5 run now."),
        (6, None, True, "6 run now."),
        (6, 5, False, "6 run now, and Slack gives connections in Socket Mode to 5."),
    ],
)
def test_more_replicas_than_slack_gives_connections_to_are_told(
    running: int, most: int | None, ok: bool, said: str
) -> None:
    *_, replicas = examine_database(replace(WELL, replicas=running), most)
    assert (replicas.name, replicas.ok, replicas.said) == ("Replicas", ok, said)
    assert bool(replicas.fix) is not ok
