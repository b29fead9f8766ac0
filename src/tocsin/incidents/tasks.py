"""Rules that give an incident its tasks and runbooks: by severity, type, fields and mode. Pure.

A task becomes one of the incident's actions or follow-ups, once. Runbooks are links that are shown as long
as their rule holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from pydantic import Field

from tocsin.incidents.announcements import ACCEPTED, answers_to, is_one_of
from tocsin.incidents.model import FollowUp, Form, FrozenModel, Incident, Mode, Person
from tocsin.incidents.tracker import Tracker
from tocsin.incidents.validation import FOLLOW_UP_WORDS

OVERDUE = timedelta(days=30)
"""Age from which on an action or a follow-up that is still open is overdue."""


class AssignedItem(FrozenModel):
    """An open action or follow-up of a person, with its incident."""

    item: FollowUp
    incident: Incident

    def is_overdue(self, now: datetime) -> bool:
        return now - self.item.created_at >= OVERDUE


KEYS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000026")


class IncidentConditions(FrozenModel):
    """Conditions on an incident, each choice by id or by name; one that is left empty matches every one."""

    severities: tuple[str, ...] = ()
    severity_at_least: str | None = None
    """The mildest severity that matches."""
    incident_types: tuple[str, ...] = ()
    custom_fields: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Accepted answers of each custom field; the incident must have one of them for each field."""
    modes: tuple[Mode, ...] = ("standard",)

    def hold_for(self, incident: Incident, form: Form) -> bool:
        """True if an incident that goes on meets every condition; one in triage waits to be accepted."""
        status, severity, kind = incident.incident_status, incident.severity, incident.incident_type
        return (
            status.is_open
            and status.category in ACCEPTED
            and not incident.is_undeclared
            and incident.mode in self.modes
            and is_one_of(self.severities, [severity.id, severity.name] if severity else [])
            and self._is_severe_enough(incident, form)
            and is_one_of(self.incident_types, [kind.id, kind.name] if kind else [])
            and all(
                is_one_of(wanted, answers_to(name, incident.custom_field_entries))
                for name, wanted in self.custom_fields.items()
            )
        )

    def _is_severe_enough(self, incident: Incident, form: Form) -> bool:
        if self.severity_at_least is None:
            return True
        named = (one for one in form.severities if is_one_of([self.severity_at_least], [one.id, one.name]))
        mildest = next(named, None)
        severity = incident.severity
        if mildest is None or severity is None:
            return False
        # The form has the severity's present rank.
        return (form.severity(severity.id) or severity).rank >= mildest.rank


class Task(FrozenModel):
    """Something to do that a rule gives to an incident."""

    title: str
    kind: Literal["action", "follow_up"] = "action"
    role: str | None = None
    """Role, by id or by name, whose holder gets it."""
    runbook: str | None = None

    def key(self, incident_id: str) -> str:
        """Return the idempotency key of the action or follow-up: an incident gets it once."""
        return str(uuid5(KEYS, f"{incident_id}/{self.kind}/{self.title.casefold()}"))

    def holder(self, incident: Incident) -> Person | None:
        """Return the person who holds the role; None if the task has none, or the role no holder."""
        if self.role is None:
            return None
        held = incident.incident_role_assignments
        named = (one for one in held if is_one_of([self.role], [one.role.id, one.role.name]))
        return next((one.assignee for one in named if one.assignee is not None), None)


class TaskRule(FrozenModel):
    """Tasks for the incidents that meet the conditions."""

    when: IncidentConditions = IncidentConditions()
    do: tuple[Task, ...] = ()


class Runbook(FrozenModel):
    """A link to what an incident's responders should know."""

    title: str
    url: str


class RunbookRule(FrozenModel):
    """A runbook for the incidents that meet the conditions."""

    when: IncidentConditions = IncidentConditions()
    runbook: Runbook


class Checklist(FrozenModel):
    """All actions and follow-ups of an incident, oldest first, and its runbooks."""

    items: tuple[FollowUp, ...] = ()
    runbooks: tuple[Runbook, ...] = ()
    roles: dict[str, str] = Field(default_factory=dict)
    """Role for which an item waits, by the item's id."""
    new_issues: dict[str, str] = Field(default_factory=dict)
    """Address of the tracker's form, filled in, by the id of a follow-up without an issue."""


class TaskPolicy(FrozenModel):
    """All rules for tasks and runbooks."""

    rules: tuple[TaskRule, ...] = ()
    runbooks: tuple[RunbookRule, ...] = ()

    @property
    def is_on(self) -> bool:
        return bool(self.rules or self.runbooks)

    def tasks_of(self, incident: Incident, form: Form) -> tuple[Task, ...]:
        """Return the tasks that the rules give to an incident as it is, each once, in the rules' order."""
        found: dict[str, Task] = {}
        for rule in self.rules:
            if rule.when.hold_for(incident, form):
                for task in rule.do:
                    found.setdefault(task.key(incident.id), task)
        return tuple(found.values())

    def tasks_due(self, before: Incident | None, incident: Incident, form: Form) -> tuple[Task, ...]:
        """Return the tasks to add or to give to their role's holder since a change; None: it was declared."""
        now = self.tasks_of(incident, form)
        known = {task.key(incident.id) for task in self.tasks_of(before, form)} if before else set()
        return tuple(
            task
            for task in now
            if task.key(incident.id) not in known
            or (before is not None and _has_another(task.holder(before), task.holder(incident)))
        )

    def lacking(self, form: Form) -> tuple[str, ...]:
        """Return the backend's sentences on kinds of tasks that it does not keep."""
        verbs = (FOLLOW_UP_WORDS[task.kind] for rule in self.rules for task in rule.do)
        return tuple(dict.fromkeys(form.lacks[verb] for verb in verbs if verb in form.lacks))

    def runbooks_for(self, incident: Incident, form: Form) -> tuple[Runbook, ...]:
        """Return the runbooks of an incident as it is, each once."""
        found = (rule.runbook for rule in self.runbooks if rule.when.hold_for(incident, form))
        return tuple(dict.fromkeys(found))

    def checklist(
        self, incident: Incident, items: Sequence[FollowUp], form: Form, tracker: Tracker | None = None
    ) -> Checklist:
        """Return the checklist of an incident, with the roles for which unassigned tasks wait."""
        roles = {(task.kind, task.title): task.role for rule in self.rules for task in rule.do if task.role}
        waiting = (item for item in items if item.assignee is None and not item.is_done)
        return Checklist(
            items=tuple(items),
            runbooks=self.runbooks_for(incident, form),
            roles={item.id: role for item in waiting if (role := roles.get((item.kind, item.text)))},
            new_issues=new_issues(incident, items, tracker),
        )


def _has_another(before: Person | None, now: Person | None) -> bool:
    """True if a role has a holder now, who is not the one before."""
    return now is not None and (before is None or before.slack_user_id != now.slack_user_id)


def new_issues(incident: Incident, items: Sequence[FollowUp], tracker: Tracker | None) -> dict[str, str]:
    """Return the address of the tracker's filled form for each follow-up that has no issue yet."""
    if tracker is None:
        return {}
    found = ((item.id, tracker.new_issue_url(incident, item)) for item in items)
    return {item_id: url for item_id, url in found if url is not None}
