"""Tasks and runbooks that rules give: to which incidents, since which change, and to whom."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from support.incidents import ANA, DAWN, incident

from tocsin.incidents.model import (
    CustomField,
    FieldEntry,
    FieldValue,
    FollowUp,
    Form,
    IncidentType,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    Status,
)
from tocsin.incidents.tasks import IncidentConditions, Runbook, RunbookRule, Task, TaskPolicy, TaskRule
from tocsin.rules import read_rules
from tocsin.settings import ConfigurationError

MINOR, MAJOR, CRITICAL = (
    Severity(id=name.lower(), name=name, rank=rank)
    for rank, name in enumerate(("Minor", "Major", "Critical"))
)
FORM = Form(severities=(MINOR, MAJOR, CRITICAL))
CLOSED = Status(id="closed", name="Closed", category="closed")
TRIAGE = Status(id="triage", name="Triage", category="triage")
OUTAGE = IncidentType(id="outage", name="Outage")
COMMS = Role(id="comms", name="Communications lead")
BEN = Person(slack_user_id=PersonId("U0BEN"), name="Ben Okafor")
PAYMENTS = FieldEntry(
    custom_field=CustomField(id="area", name="Affected area"), values=(FieldValue(value_text="Payments"),)
)
RULES = """
[[tasks]]
severity_at_least = "major"
do = [
  { title = "Open the call" },
  { title = "Post on the status page", role = "communications lead", runbook = "https://wiki.example.com" },
]

[[tasks]]
severities = ["Critical"]
do = [{ title = "Wake the director" }, { title = "open the CALL" }]

[[tasks]]
incident_types = ["Outage"]
custom_fields = { "Affected area" = ["Payments"] }
do = [{ title = "Write to customers", kind = "follow_up" }]

[[runbooks]]
custom_fields = { "Affected area" = ["payments"] }
title = "Payments"
url = "https://wiki.example.com/payments"
"""


def policy(text: str = RULES) -> TaskPolicy:
    return read_rules(tomllib.loads(text)).task_policy


POLICY = policy()


def held(person: Person | None) -> dict[str, Any]:
    return {"incident_role_assignments": (RoleAssignment(role=COMMS, assignee=person),)}


def due(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    then = None if before is None else incident(**before)
    return [task.title for task in POLICY.tasks_due(then, incident(**after), FORM)]


@pytest.mark.parametrize(
    ("before", "after", "titles"),
    [
        (None, {"severity": MINOR}, []),
        (None, {"severity": MAJOR}, ["Open the call", "Post on the status page"]),
        (None, {"severity": CRITICAL}, ["Open the call", "Post on the status page", "Wake the director"]),
        (None, {"severity": None}, []),
        (None, {"severity": MINOR, "incident_type": OUTAGE}, []),
        (
            None,
            {"severity": MINOR, "incident_type": OUTAGE, "custom_field_entries": (PAYMENTS,)},
            ["Write to customers"],
        ),
        (None, {"severity": CRITICAL, "mode": "test"}, []),
        (None, {"severity": CRITICAL, "incident_status": TRIAGE}, []),
        (
            None,
            {"severity": CRITICAL, "visibility": "private"},
            ["Open the call", "Post on the status page", "Wake the director"],
        ),
        ({"severity": MINOR}, {"severity": MAJOR}, ["Open the call", "Post on the status page"]),
        ({"severity": MAJOR}, {"severity": CRITICAL}, ["Wake the director"]),
        ({"severity": CRITICAL}, {"severity": MINOR}, []),
        ({"severity": CRITICAL}, {"severity": CRITICAL, "name": "Another"}, []),
        ({"severity": MINOR}, {"severity": CRITICAL, "incident_status": CLOSED}, []),
        (
            {"severity": MAJOR, "incident_status": TRIAGE},
            {"severity": MAJOR},
            ["Open the call", "Post on the status page"],
        ),
        ({"severity": MAJOR}, {"severity": MAJOR, **held(BEN)}, ["Post on the status page"]),
        ({"severity": MAJOR, **held(BEN)}, {"severity": MAJOR, **held(None)}, []),
    ],
)
def test_tasks_are_due_since_their_rule_holds_and_when_their_role_is_taken(
    before: dict[str, Any] | None, after: dict[str, Any], titles: list[str]
) -> None:
    assert due(before, after) == titles


def test_a_task_is_the_same_one_in_every_rule_and_another_one_in_every_incident() -> None:
    one, other = Task(title="Open the call"), Task(title="open the CALL")
    assert one.key("1") == other.key("1")
    assert len({one.key("1"), one.key("2"), Task(title="Open the call", kind="follow_up").key("1")}) == 3


def test_a_task_goes_to_who_holds_its_role() -> None:
    task = Task(title="Post", role="COMMUNICATIONS lead")
    assert task.holder(incident(**held(BEN))) == BEN
    assert task.holder(incident(**held(None))) is None
    assert Task(title="Post").holder(incident(**held(BEN))) is None


def test_runbooks_are_those_of_the_incident_as_it_is_each_once() -> None:
    shown = incident(custom_field_entries=(PAYMENTS,))
    runbook = Runbook(title="Payments", url="https://wiki.example.com/payments")
    assert POLICY.runbooks_for(shown, FORM) == (runbook,)
    assert POLICY.runbooks_for(incident(), FORM) == ()
    twice = TaskPolicy(runbooks=(RunbookRule(runbook=runbook), RunbookRule(runbook=runbook)))
    assert twice.runbooks_for(incident(), FORM) == (runbook,)
    rule = TaskRule(when=IncidentConditions(severity_at_least="no such"), do=(Task(title="Never"),))
    assert TaskPolicy(rules=(rule,)).tasks_of(incident(severity=CRITICAL), FORM) == ()


def test_the_checklist_names_the_role_for_which_a_task_waits_until_somebody_has_it() -> None:
    waiting = FollowUp(id="1", incident_id="1", text="Post on the status page", created_at=DAWN)
    taken = waiting.model_copy(update={"id": "2", "assignee": ANA})
    checklist = POLICY.checklist(incident(), [waiting, taken], FORM)
    assert checklist.roles == {"1": "communications lead"}


def test_what_the_backend_cannot_keep_is_said_once() -> None:
    form = FORM.model_copy(update={"lacks": {"action": "No actions here.", "note": "No notes here."}})
    assert POLICY.lacking(form) == ("No actions here.",)
    assert POLICY.lacking(FORM) == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[tasks]]\nseverities = ['Major']", "tasks[1].do"),
        ("[[tasks]]\ndo = [{ title = ' ' }]", "tasks[1].do[1].title: give a title of at most 200 characters"),
        ("[[tasks]]\ndo = [{ titel = 'x' }]", "tasks[1].do[1].titel: no such key; did you mean title?"),
        ("[[tasks]]\ndo = [{ title = 'x', runbook = 'wiki' }]", "tasks[1].do[1].runbook: give a link"),
        ("[[tasks]]\nseverity = 'Major'\ndo = [{ title = 'x' }]", "did you mean severities?"),
        ("[[runbooks]]\ntitle = 'x'\nurl = 'ftp://wiki'", "runbooks[1].url: give a link"),
    ],
)
def test_a_slip_in_a_rule_for_tasks_is_named_with_its_place(text: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        policy(text)
    assert line in str(raised.value)
