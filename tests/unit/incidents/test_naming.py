"""What people type for a severity, a status or a role."""

from __future__ import annotations

import pytest

from tocsin.config import IncidentConfig
from tocsin.incidents.errors import Refused
from tocsin.incidents.parsing import match_prefix, parse_filter

FORM = IncidentConfig().form()


@pytest.mark.parametrize(
    "typed",
    [
        "monitoring",
        "“monitoring”",
        "MONITORING.",
        "*monitoring*",
        "(mon)",
        "`monitoring`!",
        "\u00a0monitoring\u200b",
    ],
)
def test_quotes_and_a_full_stop_are_no_part_of_a_choice(typed: str) -> None:
    status, rest = match_prefix(typed, FORM.statuses, "status")
    assert (status.name, rest) == ("Monitoring", "")


@pytest.mark.parametrize(
    "typed",
    [
        "fixing: a rollback",
        "“fixing”, a rollback",
        "fixing\na rollback",
        "fixing - a rollback",
        "fix\u00a0a rollback",
    ],
)
def test_what_follows_a_choice_is_said_of_it(typed: str) -> None:
    status, rest = match_prefix(typed, FORM.statuses, "status")
    assert (status.name, rest) == ("Fixing", "a rollback")


def test_what_is_no_choice_is_answered_with_those_there_are() -> None:
    with pytest.raises(Refused, match="There are Minor, Major and Critical"):
        match_prefix("sev9", FORM.severities, "severity")


def test_a_list_may_be_asked_for_with_commas_and_quotes() -> None:
    wanted, title, said = parse_filter("“closed”, critical.", FORM, None)
    assert (wanted.is_open, wanted.severity_id, title, said) == (
        False,
        "critical",
        "Closed incidents: Critical",
        "",
    )
