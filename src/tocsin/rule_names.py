"""Names in the rules that mean nothing here: severities, types, roles, fields, options and statuses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tocsin.config import EVENTS, IncidentConfig
from tocsin.incidents.model import CustomField, Form
from tocsin.incidents.validation import join_names
from tocsin.rules import Config

MOST_SAID = 12
"""Names that a sentence lists of those that there are."""


def unknown_names(rules: Config, config: IncidentConfig, form: Form) -> list[str]:
    """Return a sentence for each name in the configuration file that nothing has.

    Returns an empty list for an empty form, of a backend that could not be asked.
    """
    if not form.statuses and not form.severities:
        return []
    return [*_in_table(rules.model_dump(exclude_defaults=True), "", form), *_in_times(config, form)]


def _in_table(table: Mapping[str, Any], place: str, form: Form) -> Iterator[str]:
    """Yield the sentences of a table and of the tables in it."""
    named: dict[str, list[tuple[str, str]]] = {
        "severities": [(one.id, one.name) for one in form.severities],
        "severity_at_least": [(one.id, one.name) for one in form.severities],
        "incident_types": [(one.id, one.name) for one in form.incident_types],
        "role": [(one.id, one.name) for one in form.roles],
    }
    for key, value in table.items():
        here = f"{place}.{key}" if place else key
        if key in named:
            yield from _unknown(here, [value] if isinstance(value, str) else value or (), named[key])
        elif key == "custom_fields":
            yield from _in_fields(here, value, form)
        elif isinstance(value, Mapping):
            yield from _in_table(value, here, form)
        elif isinstance(value, list | tuple):
            for number, part in enumerate(value, 1):
                if isinstance(part, Mapping):
                    yield from _in_table(part, f"{here}[{number}]", form)


def _in_fields(place: str, wanted: Mapping[str, Iterable[str]], form: Form) -> Iterator[str]:
    fields = (*form.custom_fields, *form.backend_fields)
    yield from _unknown(place, wanted, [(field.id, field.name) for field in fields])
    for name, answers in wanted.items():
        field = next((one for one in fields if name.casefold() in _called(one)), None)
        if field is not None and field.options and not field.searched:
            yield from _unknown(f"{place}.{name}", answers, [(o.id, o.value) for o in field.options])


def _called(field: CustomField) -> set[str]:
    return {field.id.casefold(), field.name.casefold()}


def _in_times(config: IncidentConfig, form: Form) -> Iterator[str]:
    """Yield the sentences of the file's timestamps and durations, which name others by their ids."""
    events = [(event, event) for event in EVENTS] + [(one.id, one.id) for one in form.statuses]
    times = [(one.id, one.id) for one in form.incident_timestamps]
    if "incident_timestamps" in config.model_fields_set:
        for number, timestamp in enumerate(config.incident_timestamps, 1):
            yield from _unknown(f"incident_timestamps[{number}].set_when", timestamp.set_when, events)
    if "duration_metrics" in config.model_fields_set:
        for number, metric in enumerate(config.duration_metrics, 1):
            yield from _unknown(f"duration_metrics[{number}]", (*metric.start, *metric.end), times)


def _unknown(place: str, wanted: Iterable[str], there: Collection[tuple[str, str]]) -> Iterator[str]:
    known = {word.casefold() for pair in there for word in pair}
    names = [name for _, name in there]
    said = join_names(names[:MOST_SAID]) + (" and others" if len(names) > MOST_SAID else "")
    for name in wanted:
        if name.casefold() not in known:
            yield f"{place}: there is no {name!r} (any more)" + (f"; there are {said}." if names else ".")
