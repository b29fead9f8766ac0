"""Every field that incident.io documents of an incident is read by somebody, or left out for a reason.

The tables of the manual's page say where each is shown; here each is looked for there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.markdown import DOCS, table

from tocsin.backends.incident_io.mapping import incident_of
from tocsin.backends.incident_io.queries import incident_in
from tocsin.incidents.export import IncidentReport, as_document, as_record
from tocsin.incidents.model import Form, Incident, Role
from tocsin.incidents.permissions import Verb
from tocsin.incidents.tasks import Checklist
from tocsin.slack.views.card import card
from tocsin.slack.views.lists import show_blocks
from tocsin.slack.views.unfurl import details
from tocsin.slack.views.update import assign_modal

DATA = Path(__file__).parents[2] / "data" / "incident_io"
PAGE = DOCS / "incident_io.md"
ANSWERS = ("v1-create-answer", "v1-create-page-answer", "v2-show-answer")


def told(name: str) -> dict[str, Any]:
    answer = json.loads((DATA / f"{name}.json").read_text())
    return answer.get("incident", answer)  # type: ignore[no-any-return]


def leaves(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is neither an object nor a list, by the names that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{above}.{name}" if above else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, above)
    else:
        yield above, value


def fields_of(first_column: str) -> dict[str, str]:
    """The fields that a table of the page names, each with the second column."""
    rows = table(PAGE, first_column)
    return {name: row[1] for row in rows for name in row[0].split("`")[1::2]}


def texts(shown: Any) -> str:
    """Every text of blocks, as people read it."""
    return unescape(" ".join(str(text) for _, text in leaves(shown)))


def in_card(incident: Incident) -> str:
    return texts([block.to_dict() for block in card(incident)])


def in_show(incident: Incident) -> str:
    return texts([block.to_dict() for block in show_blocks(incident, (), Checklist())])


def in_form(incident: Incident) -> str:
    roles: tuple[Role, ...] = tuple(held.role for held in incident.incident_role_assignments)
    return texts(assign_modal(Form(roles=roles), incident, Verb.ROLE).to_dict())


PLACES: dict[str, Callable[[Incident], str]] = {
    "card": in_card,
    "show": in_show,
    "form of roles": in_form,
    "Markdown export": lambda incident: as_document(IncidentReport(incident=incident)),
    "Work Object": lambda incident: texts(details(incident)),
    "JSON export": lambda incident: json.dumps(as_record(incident), ensure_ascii=False),
}
UNUSUAL: dict[str, tuple[Any, str]] = {
    "mode": ("tutorial", "Tutorial"),
    "visibility": ("private", "Private"),
    "has_debrief": (True, "Debrief"),
    "workload_minutes_total": (61, "1 h 1 min"),
    "workload_minutes_working": (20, "20 min in working hours"),
    "workload_minutes_late": (40.7, "40 min late"),
    "workload_minutes_sleeping": (5, "5 min in sleeping hours"),
    "duration_metrics.value_seconds": (10_800, "3 h"),
    "status": ("triage", "Triage"),
    "creator.user.slack_user_id": ("U02AYNF2XJM", "<@U02AYNF2XJM>"),
}
"""What an answer says in place of the documented example, and what is read of it then."""


def answer_with(name: str, field: str) -> tuple[Incident, str]:
    """The documented answer with this creator or kind of value alone, and what somebody should read of it."""
    answer = copy.deepcopy(told(name))
    first, _, rest = field.partition(".")
    if first == "creator":
        kind = rest.partition(".")[0]
        answer["creator"] = {kind: answer["creator"][kind]}
    if first == "custom_field_entries" and (
        kind := rest.removeprefix("values.").partition(".")[0]
    ).startswith("value_"):
        # The example has all kinds of answers at once; an answer has one.
        for entry in answer["custom_field_entries"]:
            entry["values"] = [{kind: given[kind]} for given in entry["values"]]
    value = next(value for path, value in leaves(answer) if path == field)
    expected = value if isinstance(value, str) else json.dumps(value)
    if field in UNUSUAL:
        value, expected = UNUSUAL[field]
        if field in answer:
            answer[field] = value
    elif field.endswith(("_at", "value.value")):
        expected = str(int(datetime.fromisoformat(value).timestamp()))
    return incident_of(incident_in({"incident": answer})), expected


SHOWN = [
    (name, field, place)
    for field, place in fields_of("field").items()
    for name in ANSWERS[-1:] + ANSWERS[:1]
    if field in dict(leaves(told(name)))
]


@pytest.mark.parametrize(("name", "field", "place"), SHOWN)
def test_a_field_is_read_where_the_manual_says(name: str, field: str, place: str) -> None:
    incident, expected = answer_with(name, field)
    where = next(known for known in PLACES if place.startswith(known))
    assert expected in PLACES[where](incident)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_field_of_the_documented_answers_is_shown_or_left_out_for_a_reason(name: str) -> None:
    shown, left_out = fields_of("field"), fields_of("left out")
    assert not shown.keys() & left_out.keys()
    assert all(len(reason.split()) > 4 for reason in left_out.values())
    parts = tuple(f"{part}." for part in left_out)
    missing = [
        path
        for path, _ in leaves(told(name))
        if path not in shown and path not in left_out and not path.startswith(parts)
    ]
    assert missing == []


def test_every_field_of_a_declaration_is_sent_or_said_never_to_be() -> None:
    assert {path for path, _ in leaves(told("v1-create-request"))} == set(fields_of("sent"))


def test_the_manual_names_no_field_that_incident_io_does_not_document() -> None:
    documented = {path for name in ANSWERS for path, _ in leaves(told(name))}
    parts = {".".join(path.split(".")[:n]) for path in documented for n in range(1, 9)}
    assert fields_of("field").keys() <= documented
    assert fields_of("left out").keys() <= parts
