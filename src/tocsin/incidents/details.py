"""Details of an incident that its card leaves out: type, roles, fields, links, debrief and workload. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tocsin.incidents.model import CatalogEntry, FieldValue, FrozenModel, Incident, Person, display_name
from tocsin.incidents.validation import is_link


class DetailValue(FrozenModel):
    """One value of a detail: a text, which may be a link's words or a person's name."""

    text: str
    url: str | None = None
    person: Person | None = None


class Detail(FrozenModel):
    """A detail: its label, its values, and a description of the choice."""

    label: str
    values: tuple[DetailValue, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """The detail without its label, in one text for places that show neither links nor mentions."""
        said = ", ".join(value.text for value in self.values)
        return f"{said}: {self.note}" if self.note else said


def details_of(incident: Incident) -> tuple[Detail, ...]:
    """Return every detail that is known, in the order in which people ask for them."""
    return (*choices_of(incident), *roles_of(incident), *answers_of(incident), *further_details_of(incident))


def choices_of(incident: Incident) -> Iterator[Detail]:
    """Yield the type, and the severity and the status where the organisation describes them."""
    if (kind := incident.incident_type) is not None:
        yield _said("Type", kind.name, kind.description)
    if incident.severity is not None and incident.severity.description:
        yield _said("Severity", incident.severity.name, incident.severity.description)
    if incident.incident_status.description:
        yield _said("Status", incident.incident_status.name, incident.incident_status.description)


def roles_of(incident: Incident) -> Iterator[Detail]:
    """Yield the holders of all roles but the reporter's, each with the instructions of the role."""
    for held in incident.incident_role_assignments:
        who = held.assignee
        if who is not None and held.role.role_type != "reporter":
            value = DetailValue(text=display_name(who) or "-", person=who)
            yield Detail(label=held.role.name, values=(value,), note=held.role.instructions)


def seen_by(incident: Incident) -> tuple[tuple[Person, str], ...]:
    """Return the people who see a private incident, each once, with the reasons; empty for a public one."""
    if not incident.is_private:
        return ()
    people: dict[str, Person] = {}
    reasons: dict[str, list[str]] = {}
    holders = [
        (held.assignee, held.role.name)
        for held in incident.incident_role_assignments
        if held.assignee is not None and held.role.role_type != "reporter"
    ]
    for who, reason in [(incident.creator, "reporter"), *holders]:
        people.setdefault(_key(who), who)
        reasons.setdefault(_key(who), []).append(reason)
    for member in incident.members:
        people.setdefault(_key(member), member)
        reasons.setdefault(_key(member), ["invited"])
    # An incident that an alert declared has no reporter.
    return tuple((who, ", ".join(reasons[key])) for key, who in people.items() if key)


def _key(who: Person) -> str:
    return who.slack_user_id or display_name(who)


def answers_of(incident: Incident) -> Iterator[Detail]:
    """Yield the custom fields that are filled in."""
    for entry in incident.custom_field_entries:
        values = tuple(_answer(value) for value in entry.values if value.shown)
        if values:
            yield Detail(label=entry.custom_field.name, values=values)


def further_details_of(incident: Incident) -> Iterator[Detail]:
    """Yield the call, the post-incident document, the issue, the debrief and the workload."""
    if link := incident.call_link:
        yield Detail(label="Call", values=(_linked(link, link),))
    if document := incident.postmortem_document_url:
        yield Detail(label="Post-incident document", values=(_linked(document, document),))
    if (issue := incident.external_issue_reference) is not None:
        name = issue.issue_name or issue.issue_permalink
        provider = f" ({issue.provider})" if issue.provider else ""
        yield Detail(label="Issue", values=(_linked(f"{name}{provider}", issue.issue_permalink),))
    if incident.has_debrief:
        yield _said("Debrief", "Attached to the incident")
    if work := workload(incident):
        yield _said("Workload", work)


def workload(incident: Incident) -> str:
    """Return the time that people spent on the incident; "" if the backend does not measure it.

    Source: incident.io, Incidents V2, Show: `workload_minutes_total` and its parts.
    """
    total = incident.workload_minutes_total
    if not total:
        return ""
    parts = {
        "in working hours": incident.workload_minutes_working,
        "late": incident.workload_minutes_late,
        "in sleeping hours": incident.workload_minutes_sleeping,
    }
    said = ", ".join(f"{duration(timedelta(minutes=spent))} {when}" for when, spent in parts.items() if spent)
    return f"{duration(timedelta(minutes=total))}{f', of which {said}' if said else ''}"


def duration(passed: timedelta) -> str:
    """Format a duration: `less than a minute`, `12 min`, `2 h 5 min`, `3 d 4 h`."""
    minutes = int(passed.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours)
    parts += [f"{minutes} min"] * bool(minutes and not days)
    return " ".join(parts) or "less than a minute"


def _said(label: str, text: str, note: str = "") -> Detail:
    return Detail(label=label, values=(DetailValue(text=text),), note=note)


def _linked(text: str, url: str) -> DetailValue:
    """Return a value that links to a URL; the backend may have stored one that is no link."""
    return DetailValue(text=text, url=url if is_link(url) else None)


def _answer(value: FieldValue) -> DetailValue:
    if value.value_catalog_entry is not None:
        return DetailValue(text=called(value.value_catalog_entry))
    return _linked(value.shown, value.value_link or "")


def called(entry: CatalogEntry) -> str:
    """Return a catalog entry's name with its other names."""
    return f"{entry.name} ({', '.join(entry.aliases)})" if entry.aliases else entry.name
