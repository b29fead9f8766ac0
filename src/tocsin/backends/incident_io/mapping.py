"""Mapping of incident.io's answers to our models, and of its errors to fields of the form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from tocsin.backends.incident_io.api_models import (
    ActorResponse,
    DurationMetricResponse,
    EntryResponse,
    FieldResponse,
    IncidentResponse,
    NamedTimestamp,
    RoleResponse,
    StatusResponse,
    ToDoResponse,
    TypeResponse,
    UserResponse,
    ValueResponse,
)
from tocsin.backends.incident_io.client import ApiError, FieldError, with_request_id
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import (
    AlertSummary,
    Automation,
    CatalogEntry,
    CustomField,
    DurationMetric,
    ExternalIssue,
    FieldEntry,
    FieldKind,
    FieldOption,
    FieldValue,
    FollowUp,
    Form,
    FrozenModel,
    Incident,
    IncidentTimestamp,
    IncidentType,
    Person,
    PersonId,
    Role,
    RoleAssignment,
    Severity,
    SourceMessage,
    Status,
    TeamId,
    TimestampValue,
)
from tocsin.incidents.tracker import issue_at
from tocsin.incidents.validation import is_link
from tocsin.workflows.ports import KeyValueStore

# Answers of both API versions as models.

KINDS = frozenset(get_args(FieldKind))
DAWN = datetime.fromtimestamp(0, UTC)

# V1's word for a status, and its category (Incidents V1, Incident Statuses V1).
CATEGORIES = {"triage": "triage", "closed": "closed", "declined": "declined"}
MODES = {"real": "standard"}


def incident_of(answer: IncidentResponse, form: Form | None = None) -> Incident:
    """Return the incident; `form` gives the account's statuses, of which V1 tells only a word."""
    created, issue = answer.created_at or DAWN, answer.external_issue_reference
    creator = _reporter(answer)
    return Incident(
        id=answer.id,
        reference=answer.reference or answer.id,
        name=answer.name,
        summary=answer.summary,
        permalink=answer.permalink,
        severity=Severity(**answer.severity.model_dump()) if answer.severity else None,
        incident_status=_status(answer, form),
        incident_type=type_of(answer.incident_type) if answer.incident_type else None,
        visibility=answer.visibility,
        mode=MODES.get(answer.mode, answer.mode),
        slack_team_id=answer.slack_team_id,
        slack_channel_id=answer.slack_channel_id,
        slack_channel_name=answer.slack_channel_name,
        creator=creator,
        automation=automation_of(answer.creator) if creator == Person() else None,
        incident_role_assignments=tuple(
            RoleAssignment(role=role_of(held.role), assignee=person_of(held.assignee))
            for held in answer.incident_role_assignments
            if held.role.role_type != "reporter"
        ),
        custom_field_entries=tuple(_entry(e) for e in answer.custom_field_entries if e.values),
        incident_timestamp_values=tuple(_times(answer)),
        duration_metrics=tuple(_metric(metric) for metric in answer.duration_metrics),
        created_at=created,
        updated_at=answer.updated_at or created,
        closed_at=next(
            (
                stamp.value.value
                for stamp in answer.incident_timestamp_values
                if stamp.value and stamp.incident_timestamp.name.lower().startswith("closed")
            ),
            None,
        ),
        call_url=answer.call_url or None,
        postmortem_document_url=answer.postmortem_document_url or None,
        external_issue_reference=ExternalIssue(**issue.model_dump()) if issue else None,
        has_debrief=answer.has_debrief,
        workload_minutes_total=answer.workload_minutes_total,
        workload_minutes_working=answer.workload_minutes_working,
        workload_minutes_late=answer.workload_minutes_late,
        workload_minutes_sleeping=answer.workload_minutes_sleeping,
    )


def timestamp_of(answer: NamedTimestamp) -> IncidentTimestamp:
    return IncidentTimestamp(**answer.model_dump())


def _times(answer: IncidentResponse) -> list[TimestampValue]:
    """Return the timestamps that are set, in the organisation's order."""
    found = [
        TimestampValue(incident_timestamp=timestamp_of(stamp.incident_timestamp), value=stamp.value.value)
        for stamp in answer.incident_timestamp_values
        if stamp.value and stamp.value.value
    ]
    return sorted(found, key=lambda one: one.incident_timestamp.rank)


def _metric(answer: DurationMetricResponse) -> DurationMetric:
    metric = answer.duration_metric
    return DurationMetric(
        id=metric.id, name=metric.name, value_seconds=answer.value_seconds, status=answer.status
    )


def _status(answer: IncidentResponse, form: Form | None) -> Status:
    if answer.incident_status is not None:
        return status_of(answer.incident_status)
    word = answer.status or "live"
    category = CATEGORIES.get(word, "live")
    known = form.statuses if form is not None else ()
    exact = (s for s in known if s.name.lower() == word)
    alike = (s for s in sorted(known, key=lambda s: s.rank) if s.category == category)
    return next(exact, None) or next(alike, None) or Status(id=word, name=word.title(), category=category)


def status_of(answer: StatusResponse) -> Status:
    return Status(**answer.model_dump())


def type_of(answer: TypeResponse) -> IncidentType:
    return IncidentType(**answer.model_dump())


def role_of(answer: RoleResponse) -> Role:
    return Role(**answer.model_dump())


def person_of(user: UserResponse | None) -> Person | None:
    if user is None:
        return None
    slack = PersonId(user.slack_user_id) if user.slack_user_id else None
    return Person(slack_user_id=slack, name=user.name, email=user.email)


def actor_of(actor: ActorResponse) -> Person | None:
    return person_of(actor.user)


def automation_of(actor: ActorResponse) -> Automation | None:
    """Return the alert, the workflow or the API key that acted; None if incident.io names none of them."""
    if actor.alert is not None:
        return Automation(kind="alert", id=actor.alert.id, name=actor.alert.title)
    if actor.workflow is not None:
        return Automation(kind="workflow", id=actor.workflow.id, name=actor.workflow.name)
    if actor.api_key is not None:
        return Automation(kind="api_key", id=actor.api_key.id, name=actor.api_key.name)
    return None


def _reporter(answer: IncidentResponse) -> Person:
    """Return the holder of the reporter role, else the creator.

    An incident that our key created has no creator user.
    """
    held = (a.assignee for a in answer.incident_role_assignments if a.role.role_type == "reporter")
    return person_of(next(held, None)) or actor_of(answer.creator) or Person()


def custom_field_of(answer: FieldResponse, *, required: bool = False) -> CustomField:
    """Return the custom field; an unknown field type becomes text."""
    kind = answer.field_type if answer.field_type in KINDS else "text"
    return CustomField(
        id=answer.id,
        name=answer.name,
        description=answer.description,
        field_type=kind,  # type: ignore[arg-type]
        required=required,
        options=tuple(FieldOption(**option.model_dump()) for option in answer.options),
        searched=bool(answer.catalog_type_id),
        catalog_type_id=answer.catalog_type_id,
    )


def _entry(answer: EntryResponse) -> FieldEntry:
    return FieldEntry(
        custom_field=custom_field_of(answer.custom_field),
        values=tuple(_value(value) for value in answer.values),
    )


def _value(answer: ValueResponse) -> FieldValue:
    option, entry = answer.value_option, answer.value_catalog_entry
    return FieldValue(
        value_text=answer.value_text,
        value_link=answer.value_link,
        value_numeric=answer.value_numeric,
        value_option=FieldOption(**option.model_dump()) if option else None,
        value_catalog_entry=CatalogEntry(**entry.model_dump()) if entry else None,
    )


_LINK_LINE = re.compile(r"^(Runbook|Issue): (https?://\S+)$", re.MULTILINE)


def with_links(text: str, *, runbook: str | None = None, issue: str | None = None) -> str:
    """Return a description with the links on lines of their own, in place of those that are there.

    incident.io has no field for a runbook, and fills in `external_issue_reference` by its own integrations
    alone (Actions V3 and Follow-ups V3, Create).
    """
    known = dict(_LINK_LINE.findall(text))
    new = {"Runbook": runbook or known.get("Runbook"), "Issue": issue or known.get("Issue")}
    lines = [f"{name}: {url}" for name, url in new.items() if url]
    return "\n\n".join(filter(None, [_without_links(text), "\n".join(lines)]))


def _without_links(text: str) -> str:
    return _LINK_LINE.sub("", text).strip()


def _issue_of(answer: ToDoResponse, linked: str | None) -> ExternalIssue | None:
    if (issue := answer.external_issue_reference) is not None and is_link(issue.issue_permalink):
        return ExternalIssue(**issue.model_dump())
    return issue_at(linked) if linked and is_link(linked) else None


def follow_up_of(answer: ToDoResponse, kind: str) -> FollowUp:
    """Return an action or follow-up, with the links that its description carries.

    Its id contains the kind and the incident's id too, because incident.io finds neither by the id alone.
    """
    links = dict(_LINK_LINE.findall(answer.description))
    runbook = links.get("Runbook")
    return FollowUp(
        id=f"{kind}/{answer.incident_id}/{answer.id}",
        incident_id=answer.incident_id,
        kind="action" if kind == "action" else "follow_up",
        text=answer.title or _without_links(answer.description),
        assignee=person_of(answer.assignee),
        is_done=answer.status in {"completed", "not_doing"},
        created_at=answer.created_at or DAWN,
        done_at=answer.completed_at,
        runbook_url=runbook if runbook and is_link(runbook) else None,
        external_issue_reference=_issue_of(answer, links.get("Issue")),
    )


# Parts of a declaration that incident.io does not return; the bot stores them itself.


class StoredDeclaration(FrozenModel):
    """Stored parts of a declaration."""

    key: str
    reporter: Person
    source: SourceMessage | None = None
    strangers: tuple[PersonId, ...] = ()
    """Slack ids that were to get a role and that incident.io does not know."""
    version: Literal["v1", "v2"] = "v2"
    team: TeamId = TeamId("")
    """Workspace of the declaration; incident.io returns only that of the channel it created."""
    call_url: str | None = None
    """Call link by the rules; one that incident.io has comes first."""
    automation: Automation | None = None
    """Automation that declared it here; incident.io names only the API key."""
    alerts: AlertSummary | None = None


def storage_key(incident_id: str) -> str:
    return f"incident_io/declared/{incident_id}"


def complete(incident: Incident, stored: StoredDeclaration) -> Incident:
    """Add the stored source, workspace and unknown users, and the reporter if incident.io names none."""
    known = incident.creator.slack_user_id is not None
    return incident.model_copy(
        update={
            "creator": incident.creator if known else stored.reporter,
            "automation": stored.automation or (incident.automation if stored.reporter == Person() else None),
            "alerts": stored.alerts,
            "source": stored.source,
            "strangers": stored.strangers,
            "call_url": incident.call_url or stored.call_url,
            "slack_team_id": stored.team or incident.slack_team_id,
        }
    )


async def with_stored_parts(store: KeyValueStore | None, incident: Incident) -> Incident:
    """Return the incident with the stored parts of its declaration, if the bot declared it."""
    found = None if store is None else await store.get(storage_key(incident.id))
    return incident if found is None else complete(incident, StoredDeclaration.model_validate_json(found))


# Mapping of incident.io's errors to fields of the form, by the index in the request.

_ASSIGNEE = re.compile(r"incident_role_assignments\.(\d+)\.assignee(?:\.\w+)?")
_IDS = {
    "custom_field_entries": "custom_field_id",
    "incident_role_assignments": "incident_role_id",
    "incident_timestamp_values": "incident_timestamp_id",
}
_INDEXED = re.compile(rf"({'|'.join(_IDS)})\.(\d+)(?:\..*)?")
OURS = frozenset(
    {"name", "summary", "severity_id", "incident_type_id", "visibility", "mode", "call_url", "message"}
)
STATUS = {"status": "incident_status_id", "to_incident_status_id": "incident_status_id"}
STATUS |= {"to_severity_id": "severity_id", "incident.severity_id": "severity_id"}


def unknown_user(error: ApiError, body: Mapping[str, Any]) -> int | None:
    """Return the index of the role assignment that names a person unknown to incident.io.

    Returns None if the request was rejected for another reason.
    """
    if error.status != 422:
        return None
    for problem in error.errors:
        found = _ASSIGNEE.fullmatch(problem.path)
        if found and int(found[1]) < len(body.get("incident_role_assignments") or ()):
            return int(found[1])
    return None


def to_refused(error: ApiError, body: Mapping[str, Any], reporter_role: str | None = None) -> Refused:
    """Turn a rejection into Refused with a sentence for each field; other errors become its own sentence."""
    fields: dict[str, str] = {}
    rest: list[str] = []
    for problem in error.errors:
        field = field_of(problem, body)
        if field and field != f"incident_role_assignments.{reporter_role}":
            fields[field] = " ".join(filter(None, [fields.get(field), problem.message]))
        else:
            rest.append(problem.message)
    # A person can correct a field without anyone's help, so only the other sentences name the request.
    said = with_request_id(" ".join(rest), error.request_id) if any(rest) else ""
    if not said:
        said = "incident.io refused some fields." if fields else str(error)
    return Refused(said, fields)


def field_of(problem: FieldError, body: Mapping[str, Any]) -> str | None:
    """Return the block id of the field that an error belongs to; None if the form has no such field.

    An index in the error's path is the index in the request.
    """
    path = STATUS.get(problem.path, problem.path).removeprefix("incident.")
    if path in OURS or path in STATUS.values():
        return path
    found = _INDEXED.fullmatch(path)
    if found is None:
        return None
    sent, place = body.get(found[1]) or [], int(found[2])
    if place >= len(sent):
        return None
    return f"{found[1]}.{sent[place][_IDS[found[1]]]}"
