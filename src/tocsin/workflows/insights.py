"""Counts of incidents by day over a hosted backend, from its list of the newest incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from tocsin.incidents.insights import (
    SELECTS,
    Chosen,
    CountedDays,
    FieldNames,
    InsightSource,
    Names,
    Teams,
    days_of,
    facts_of,
    only,
    person_key,
)
from tocsin.incidents.model import Form, Incident, display_name
from tocsin.incidents.requests import NOBODY, IncidentFilter
from tocsin.workflows.ports import IncidentBackend

NEWEST = 1_000
"""Most incidents of the list that are looked at."""

_PAGE = 90
"""Incidents of a page. DevRev gives a hundred at most, among them those created together with its last."""


class ListedInsights:
    """Counts of days from the list of a hosted backend; nothing is stored."""

    def __init__(self, backend: IncidentBackend) -> None:
        self._backend = backend
        self._people: dict[str, str] = {}

    @property
    def source(self) -> InsightSource:
        return InsightSource(self.count, self.names_of)

    async def count(self, chosen: Chosen, sees_private: bool, teams: Teams) -> CountedDays:
        """Return the counts of the days of a range, from the newest incidents. Raises TocsinError."""
        found, is_whole = await self._listed(chosen, sees_private)
        seen = [incident for incident in found if sees_private or not incident.is_private]
        within = [one for one in seen if chosen.first <= one.created_at.astimezone(UTC).date() <= chosen.last]
        days = days_of(map(facts_of, within))
        for incident in within:
            for given in incident.incident_role_assignments:
                if given.assignee is not None:
                    self._people[person_key(given.assignee)] = display_name(given.assignee) or ""
        return CountedDays(
            days={day: only(days.get(day, {}), teams) for day in chosen.days},
            names=_names(await self._backend.form(), within),
            newest=None if is_whole else len(found),
            has_follow_ups=False,
        )

    async def names_of(self, people: Sequence[str]) -> Mapping[str, str]:
        """Return the names of people who were seen with the incidents of a range."""
        return {person: self._people[person] for person in people if self._people.get(person)}

    async def _listed(self, chosen: Chosen, sees_private: bool) -> tuple[list[Incident], bool]:
        """Return the newest incidents, and True if they reach back to the beginning of the range."""
        wanted = IncidentFilter(visible_to=None if sees_private else NOBODY)
        found: list[Incident] = []
        while len(found) < NEWEST:
            after = found[-1].id if found else None
            page = await self._backend.matching(wanted, after=after, limit=_PAGE)
            found += page
            if not page or page[-1].created_at.astimezone(UTC).date() < chosen.first:
                return found, True
        return found, False


def _names(form: Form, incidents: Sequence[Incident]) -> Names:
    """Return the names of what can be chosen now, and of what these incidents have."""
    durations = {one.id: one.name for incident in incidents for one in incident.duration_metrics}
    severities = {one.id: one.name for one in sorted(form.severities, key=lambda one: one.rank)}
    types = {one.id: one.name for one in form.incident_types}
    severities |= {i.severity.id: i.severity.name for i in incidents if i.severity is not None}
    types |= {i.incident_type.id: i.incident_type.name for i in incidents if i.incident_type is not None}
    return Names(
        severities=severities,
        types=types,
        roles={role.id: role.name for role in form.assignable_roles},
        fields=_fields(form, incidents),
        durations=durations,
    )


def _fields(form: Form, incidents: Sequence[Incident]) -> dict[str, FieldNames]:
    """Return the select fields with the options that can be chosen now, and those that were chosen."""
    options: dict[str, dict[str, str]] = {}
    fields = {one.id: one for one in (*form.custom_fields, *form.backend_fields) if one.field_type in SELECTS}
    for one in fields.values():
        options[one.id] = {option.id: option.value for option in one.options}
    for incident in incidents:
        for entry in incident.custom_field_entries:
            for value in entry.values:
                if value.value_option is not None:
                    fields.setdefault(entry.custom_field.id, entry.custom_field)
                    known = options.setdefault(entry.custom_field.id, {})
                    known.setdefault(value.value_option.id, value.value_option.value)
    return {
        id: FieldNames(one.name, options[id], one.field_type == "multi_select") for id, one in fields.items()
    }
