"""Filters of the list of incidents in the address of its page: read, named, offered and taken away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

from tocsin.incidents.model import (
    CustomField,
    Form,
    Incident,
    IncidentType,
    Person,
    Role,
    Severity,
    Status,
    StatusGroup,
    display_name,
)
from tocsin.incidents.requests import IncidentQuery
from tocsin.incidents.validation import clean_text
from tocsin.web.auth import Viewer

PATH = "/incidents"
GROUPS: Mapping[StatusGroup, str] = {"open": "Open", "triage": "Triage", "closed": "Closed"}
"""Parts of the list, in their order, with their headings."""

ORDERS = {"": "Newest first", "oldest": "Oldest first"}
ME = "me"
CUSTOM = "custom_field."
"""Beginning of the parameter for a custom field; its id follows."""

CATEGORY, TEXT, STATUS, SEVERITY, TYPE = "status_category", "text", "status", "severity", "incident_type"
PERSON, ROLE, FROM, TO, SORT, AFTER = "person", "role", "created_from", "created_to", "sort", "after"
MORE = frozenset({ROLE, FROM, TO, SORT})
"""Filters that a page shows only when asked, besides those of custom fields."""

LONGEST = 100
"""Characters of a value that are read."""

FIELDS_AT_MOST, OPTIONS_AT_MOST = 20, 200

_SENTENCE_WORDS = {
    TEXT: "words",
    PERSON: "a person",
    TYPE: "type",
    SORT: "the oldest first",
    CUSTOM: "custom fields",
}
_WORD = re.compile(r"[^\W_]")
_ONE_OF = re.compile(rf"(?:({CATEGORY}|{STATUS}|{SEVERITY}|{TYPE})|custom_field\[([^\[\]]+)\])\[one_of\]")
"""Another spelling of a filter, in links to incident.io's own list (incident.io, Backstage plugin)."""

_OPERATOR = re.compile(r"\[\w*\]$")
_GROUP_OF: Mapping[str, StatusGroup] = {
    **dict.fromkeys(("active", "live", "post-incident", "learning", "paused"), "open"),
    "triage": "triage",
    **dict.fromkeys(("closed", "declined", "merged", "canceled"), "closed"),
}
"""Part of the list for each status category of incident.io."""

Choice = TypeVar("Choice", Severity, Status, IncidentType, Role, CustomField)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

# Field of the query for each parameter that a backend may not know.
_QUERY_FIELDS = {
    TEXT: "text",
    PERSON: "person",
    ROLE: "person",
    TYPE: "incident_type_id",
    SORT: "oldest_first",
    CUSTOM: "custom_field_entries",
}


@dataclass(frozen=True)
class Control:
    """One filter as the form offers it: `select` with its options, `search`, `text` or `date`."""

    name: str
    label: str
    kind: str
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    hint: str = ""

    @property
    def is_further(self) -> bool:
        """True if it is offered among further filters."""
        return self.name in MORE or self.name.startswith(CUSTOM)


@dataclass(frozen=True)
class ActiveFilter:
    """A filter that is in force, in words, and the address of the page without it."""

    label: str
    shown: str
    address: str


@dataclass
class ListFilters:
    """Filters that an address has, and the sentences about what was wrong with it."""

    form: Form
    cannot: Sequence[str] = ()
    """Fields of the query that the backend cannot filter by."""
    given: dict[str, str] = field(default_factory=dict)
    """Values by parameter, as they stand in an address."""
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Label and value of each filter in words, by parameter."""
    query: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def offered(self) -> Form:
        """The choices that incidents may be filtered by, archived ones among them."""
        return with_archived(self.form)

    @property
    def group(self) -> StatusGroup | None:
        """The part of the list that is wanted; None for all parts."""
        if "group" in self.query:
            return self.query["group"]  # type: ignore[no-any-return]
        status = self.offered.status(self.query.get("incident_status_id", ""))
        return status.group if status is not None else None

    @property
    def is_active(self) -> bool:
        """True if there are filters besides the part of the list."""
        return bool(self.shown)

    def incident_query(self, viewer: Viewer, **changes: Any) -> IncidentQuery:
        """Return the query for what this viewer may see."""
        allowed = viewer.filter
        return IncidentQuery(**{**self.query, **changes}, visible_to=allowed.visible_to, teams=allowed.teams)

    def can(self, parameter: str) -> bool:
        """True if the backend has this filter."""
        return _QUERY_FIELDS.get(_kind(parameter)) not in self.cannot

    def address(self, **changes: str | None) -> str:
        """Return the address of the page with these filters; one that is changed to None is left out."""
        values = {name: value for name, value in {**self.given, **changes}.items() if value}
        return f"{PATH}?{urlencode(values)}" if values else PATH

    def active(self, incidents: Iterable[Incident]) -> list[ActiveFilter]:
        """Return the filters in words. A person has the name that the incidents of the page show."""
        people = _people(incidents)
        return [
            ActiveFilter(label, people.get(shown, shown), self._without(name))
            for name, (label, shown) in self.shown.items()
        ]

    def _without(self, name: str) -> str:
        """Return the address without a filter; without a person there is no role that they hold."""
        return self.address(**{name: None, **({ROLE: None} if name == PERSON else {})})

    def controls(self) -> list[Control]:
        """Return the filters that the form offers."""
        form = self.offered
        types = [(one.id, one.name) for one in form.incident_types]
        roles = [(one.id, one.name) for one in form.roles]
        found = [
            Control(TEXT, "Words", "search", hint="name or summary"),
            self._select(STATUS, "Status", [(one.id, one.name) for one in form.statuses]),
            self._select(SEVERITY, "Severity", [(one.id, one.name) for one in form.severities[::-1]]),
            *([self._select(TYPE, "Type", types)] if len(types) > 1 else []),
            Control(PERSON, "Person", "text", hint="name or Slack id"),
            *([self._select(ROLE, "Holds the role", roles)] if roles else []),
            *(self._of_field(one) for one in filterable(form, self.cannot)),
            Control(FROM, "Declared from", "date"),
            Control(TO, "Declared to", "date"),
            Control(SORT, "Order", "select", options=tuple(ORDERS.items())),
        ]
        return [self._filled(control) for control in found if self.can(control.name)]

    def impossible(self) -> str:
        """Return the sentence on filters that the backend does not have; "" if it has all."""
        missing = [words for name, words in _SENTENCE_WORDS.items() if _QUERY_FIELDS[name] in self.cannot]
        return f"{self.form.kept_by} cannot filter by {_either(missing)}." if missing else ""

    def _select(self, name: str, label: str, options: Iterable[tuple[str, str]]) -> Control:
        return Control(name, label, "select", options=(("", "Any"), *options))

    def _of_field(self, one: CustomField) -> Control:
        name = f"{CUSTOM}{one.id}"
        if one.options:
            return self._select(name, one.name, [(option.id, option.value) for option in one.options])
        return Control(name, one.name, "text", hint="the whole answer")

    def _filled(self, control: Control) -> Control:
        value = self.given.get(control.name, "")
        return Control(control.name, control.label, control.kind, value, control.options, control.hint)


ARCHIVED = " (archived)"
"""End of the name of a choice that cannot be chosen any more."""


def with_archived(form: Form) -> Form:
    """Return the form with the archived choices behind the others, since incidents may have them."""
    gone = form.archived
    if gone is None:
        return form
    fields = {one.id: one for one in form.custom_fields}
    for one in gone.custom_fields:
        old = tuple(option.model_copy(update={"value": option.value + ARCHIVED}) for option in one.options)
        live = fields.get(one.id)
        fields[one.id] = (
            _as_archived(one) if live is None else live.model_copy(update={"options": live.options + old})
        )
    return form.model_copy(
        update={
            # Severities are offered from the last to the first.
            "severities": (*map(_as_archived, gone.severities), *form.severities),
            "statuses": (*form.statuses, *map(_as_archived, gone.statuses)),
            "incident_types": (*form.incident_types, *map(_as_archived, gone.incident_types)),
            "roles": (*form.roles, *map(_as_archived, gone.roles)),
            "custom_fields": tuple(fields.values()),
        }
    )


def _as_archived(one: Choice) -> Choice:
    return one.model_copy(update={"name": one.name + ARCHIVED})


def filterable(form: Form, cannot: Sequence[str]) -> list[CustomField]:
    """Return the custom fields that the list can be filtered by: those with a bounded number of options.

    Tocsin's own list also takes a whole answer to a field without options.
    """
    if _QUERY_FIELDS[CUSTOM] in cannot:
        return []
    fields = [
        one
        for one in form.custom_fields
        if not one.searched
        and len(one.options) <= OPTIONS_AT_MOST
        and (one.options or (not cannot and not one.field_type.endswith("_select")))
    ]
    return fields[:FIELDS_AT_MOST]


def _kind(parameter: str) -> str:
    return CUSTOM if parameter.startswith(CUSTOM) else parameter


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _people(incidents: Iterable[Incident]) -> dict[str, str]:
    found: dict[str, str] = {}
    for incident in incidents:
        people: list[Person] = [incident.creator, *incident.role_holders, *incident.members]
        found |= {one.slack_user_id: display_name(one) for one in people if one.slack_user_id and one.name}
    return found


# Reading an address.


def read_filters(
    given: Iterable[tuple[str, str]], form: Form, viewer: Viewer, cannot: Sequence[str] = ()
) -> ListFilters:
    """Return the filters of an address; what is wrong is left out, with a sentence for each value."""
    filters = ListFilters(form, cannot)
    values = _values(given, filters)
    for name, value in list(values.items()):
        if value and not filters.can(name):
            words = _SENTENCE_WORDS.get(_kind(name), "a person")
            filters.notes.append(f"{form.kept_by} cannot filter by {words}.")
            values[name] = ""
    _read_group(filters, values.get(CATEGORY, ""))
    _read_text(filters, values.get(TEXT, ""))
    offered = filters.offered
    for name, label, known, field_name in (
        (STATUS, "Status", offered.statuses, "incident_status_id"),
        (SEVERITY, "Severity", offered.severities, "severity_id"),
        (TYPE, "Type", offered.incident_types, "incident_type_id"),
    ):
        choices = [(one.id, one.name) for one in known]
        _read_choice(filters, values.get(name, ""), (name, label, field_name), choices)
    _read_person(filters, values.get(PERSON, ""), values.get(ROLE, ""), viewer)
    for name, value in values.items():
        if name.startswith(CUSTOM) and value:
            _read_field(filters, name, value)
    _read_days(filters, values.get(FROM, ""), values.get(TO, ""))
    _read_order(filters, values.get(SORT, ""))
    return filters


def _values(given: Iterable[tuple[str, str]], filters: ListFilters) -> dict[str, str]:
    """Return one value for each parameter, also for those that incident.io spells with an operator."""
    found: dict[str, set[str]] = {}
    for name, typed in given:
        value = clean_text(typed)[:LONGEST]
        if spelt := _ONE_OF.fullmatch(name):
            name = spelt[1] or f"{CUSTOM}{spelt[2]}"
            value = _GROUP_OF.get(value, value) if name == CATEGORY else value
        elif _OPERATOR.search(name) and value:
            filters.notes.append(f"“{clean_text(name)[:LONGEST]}” is no filter of this page.")
        found.setdefault(name, set()).update({value} - {""})
    several = [name for name, values in found.items() if len(values) > 1]
    filters.notes += [
        f"“{clean_text(name)[:LONGEST]}” has several values, of which this page takes one: it is left out."
        for name in several
    ]
    return {name: next(iter(values), "") for name, values in found.items() if name not in several}


def _keep(filters: ListFilters, name: str, value: str, label: str, shown: str) -> None:
    filters.given[name] = value
    filters.shown[name] = (label, shown)


def _read_group(filters: ListFilters, value: str) -> None:
    group = next((one for one in GROUPS if one == value.casefold()), None)
    if group is not None:
        filters.given[CATEGORY], filters.query["group"] = group, group
    elif value:
        known = _either([f"“{one}”" for one in GROUPS])
        filters.notes.append(f"There is no part “{value}” of this list: a status category is {known}.")


def _read_text(filters: ListFilters, value: str) -> None:
    if value and not _WORD.search(value):
        filters.notes.append(f"There is no word in “{value}” that could be looked for.")
    elif value:
        _keep(filters, TEXT, value, "Words", value)
        filters.query["text"] = value


def _chosen(value: str, choices: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """Return id and name of the choice with this id, or with this name in any case."""
    choices = list(choices)
    by_id = next((one for one in choices if one[0] == value), None)
    named = [one for one in choices if value.casefold() in _names(one[1])]
    return by_id or next(iter(sorted(named, key=lambda one: one[1].endswith(ARCHIVED))), None)


def _names(name: str) -> set[str]:
    return {name.casefold(), name.removesuffix(ARCHIVED).casefold()}


def _read_choice(
    filters: ListFilters, value: str, what: tuple[str, str, str], choices: Iterable[tuple[str, str]]
) -> None:
    name, label, field_name = what
    found = _chosen(value, choices) if value else None
    if found is not None:
        _keep(filters, name, found[0], label, found[1])
        filters.query[field_name] = found[0]
    elif value:
        filters.notes.append(f"There is no {label.lower()} “{value}”.")


def _read_person(filters: ListFilters, person: str, role: str, viewer: Viewer) -> None:
    if person.casefold() == ME:
        if viewer.signed is None:
            filters.notes.append("You are not signed in, so it is not known who “me” is.")
            person = ""
        else:
            _keep(filters, PERSON, ME, "Person", "me")
            filters.query["person"] = viewer.signed.person
    elif person:
        _keep(filters, PERSON, person, "Person", person)
        filters.query["person"] = person
    if role and not person:
        filters.notes.append("A role is looked for together with the person who holds it: name the person.")
    elif role:
        choices = [(one.id, one.name) for one in filters.offered.roles]
        _read_choice(filters, role, (ROLE, "Role", "role_id"), choices)


def _read_field(filters: ListFilters, name: str, value: str) -> None:
    field_id = name.removeprefix(CUSTOM)
    known = {one.id: one for one in filterable(filters.offered, filters.cannot)}
    one = known.get(field_id)
    if one is None:
        filters.notes.append(f"There is no custom field “{field_id}” to filter by.")
        return
    found: tuple[str, str] | None = (value, value)
    if one.options:
        found = _chosen(value, [(option.id, option.value) for option in one.options])
    if found is None:
        filters.notes.append(f"“{value}” is none of the options of {one.name}.")
        return
    _keep(filters, name, found[0], one.name, found[1])
    filters.query.setdefault("custom_field_entries", {})[field_id] = found[0]


def _read_days(filters: ListFilters, first: str, last: str) -> None:
    begin, end = (_day(filters, value) for value in (first, last))
    if begin is not None and end is not None and end < begin:
        filters.notes.append(f"{first} is after {last}, so there is no time between them.")
        return
    if begin is not None:
        _keep(filters, FROM, first, "Declared from", first)
        filters.query["created_from"] = begin
    if end is not None:
        _keep(filters, TO, last, "Declared to", last)
        filters.query["created_before"] = end + timedelta(days=1)


def _day(filters: ListFilters, value: str) -> datetime | None:
    """Return the beginning of a day in UTC; None without one that a calendar has."""
    if not value:
        return None
    try:
        at = datetime.combine(date.fromisoformat(value), time.min, UTC) if _DAY.fullmatch(value) else None
    except ValueError:
        at = None
    if at is None or not 1 < at.year < datetime.max.year:
        filters.notes.append(f"“{value}” is no day: write it as 2026-03-01.")
        return None
    return at


def _read_order(filters: ListFilters, value: str) -> None:
    if value.casefold() == "oldest":
        filters.given[SORT], filters.query["oldest_first"] = "oldest", True
    elif value and value.casefold() != "newest":
        filters.notes.append(f"The list has no order “{value}”: it is newest or oldest.")
