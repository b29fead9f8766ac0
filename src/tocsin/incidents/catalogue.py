"""Rules for changes of severities, statuses, roles, custom fields and options. Pure functions.

The kinds and their fields are those of incident.io (Severities V1, Incident Statuses V1, Incident Roles V2,
Custom Fields V2, Custom Field Options V1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from tocsin.incidents.errors import Refused
from tocsin.incidents.validation import clean_text, has_hidden, is_visible, join_names

Kind = Literal["severities", "incident_statuses", "incident_roles", "custom_fields", "custom_field_options"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Entry = Mapping[str, Any]
"""A severity, a status …: the fields of incident.io's object, and when it was created and updated."""

WORDS: Mapping[Kind, str] = {
    "severities": "severity",
    "incident_statuses": "status",
    "incident_roles": "role",
    "custom_fields": "custom field",
    "custom_field_options": "option",
}
KEYS: Mapping[Kind, str] = {
    "severities": "severities",
    "incident_statuses": "statuses",
    "incident_roles": "roles",
    "custom_fields": "custom_fields",
    "custom_field_options": "custom_fields",
}
"""Key in the configuration file by which it rules the kind."""

MOST: Mapping[Kind, int] = {
    "severities": 100,
    "incident_statuses": 100,
    "incident_roles": 20,
    "custom_fields": 40,
    "custom_field_options": 10_000,
}
"""Most entries of a kind; options for each field. The same limits as in the configuration file."""

MADE_CATEGORIES = ("live", "learning", "closed")
"""Categories of statuses that people add and take away (incident.io, Incident Statuses V1, Create)."""

NAME_LIMIT = 75  # Slack, option object: text is at most 75 characters
TEXT_LIMIT = 2000  # Slack, input block: label and hint are at most 2000 characters
RANKS = range(-(2**31), 2**31)
"""Numbers that both databases keep."""

_BREAKS = frozenset("\t\n\r\u2028\u2029")


def name_key(kind: Kind) -> str:
    """Return the field that has the name people read."""
    return "value" if kind == "custom_field_options" else "name"


def refuse_wrong(kind: Kind, given: Entry) -> None:
    """Raise Refused with a sentence for each given field that is wrong.

    What is right is kept as it was given: Terraform takes any other text in the answer for a fault, and for
    a change by another client.
    """
    wrong = {field: _wrong_in(kind, field, value) for field, value in given.items()}
    if given.get("category", "live") not in MADE_CATEGORIES:
        wrong["category"] = "Only statuses of the categories live, learning and closed can be added."
    _refuse({field: said for field, said in wrong.items() if said})


def _wrong_in(kind: Kind, field: str, value: Any) -> str:
    """Return what is wrong with the value; "" if nothing is."""
    if isinstance(value, int) and value not in RANKS:
        return "Give a number between -2147483648 and 2147483647."
    if not isinstance(value, str):
        return ""
    if field == name_key(kind) and not is_visible(clean_text(value)):
        return f"Give the {WORDS[kind]} a name that people can read."
    if has_hidden(value):
        return "Leave out control characters, and marks that turn the direction of writing."
    is_name = field in {name_key(kind), "shortform"}
    # The same as for options there (incident.io, Custom Field Options V1, Create: value).
    if is_name and (value != value.strip() or set(value) & _BREAKS):
        return "Leave out white space at the beginning and the end, tabs and line breaks."
    most = NAME_LIMIT if is_name else TEXT_LIMIT
    return f"Shorten it to {most} characters; it has {len(value)}." if len(value) > most else ""


def refuse_full(kind: Kind, others: Sequence[Entry]) -> None:
    """Raise Refused if there are as many of the kind as forms can show."""
    if len(others) >= MOST[kind]:
        most = f"There are {MOST[kind]} already, which is the most. Delete one first."
        _refuse({name_key(kind): most})


def refuse_same_name(kind: Kind, name: str, others: Iterable[Entry]) -> None:
    """Raise Refused if another one has this name, in any case: people choose by the name.

    The sentence says which one has it. A client that was cut off before it read the id of what it made, as
    Terraform may be, can go on with that one.
    """
    field, wanted = name_key(kind), _folded(name)
    for other in others:
        if _folded(str(other[field])) == wanted:
            article = "an" if WORDS[kind][0] in "aeiou" else "a"
            found = f"There is {article} {WORDS[kind]} with this name already; its id is {other['id']}."
            _refuse({field: f"{found} Choose another name, or change or import that one."})


def _folded(name: str) -> str:
    return clean_text(name).casefold()


def refuse_removal(kind: Kind, entry: Entry, others: Sequence[Entry]) -> None:
    """Raise Refused if Tocsin cannot work without the entry; `others` are those that would be left."""
    if kind == "severities" and not others:
        raise Refused("This is the only severity. Add another before you delete it.")
    if kind == "incident_roles" and entry["role_type"] != "custom":
        raise Refused(f"Every incident has a {entry['role_type']}: this role cannot be deleted.")
    if kind == "incident_statuses":
        category = entry["category"]
        if category not in MADE_CATEGORIES:
            raise Refused(f"Incidents are {_BECOME[category]} with this status: it cannot be deleted.")
        if category != "learning" and all(other["category"] != category for other in others):
            raise Refused(
                f"This is the only status of the category {category}. Add another before you delete it."
            )


_BECOME = {
    "triage": "triaged",
    "declined": "declined",
    "merged": "merged",
    "canceled": "canceled",
    "paused": "paused",
}


def refuse_ambiguous(found: Sequence[Entry]) -> None:
    """Raise Refused if several entries have one id, as options of several fields in the file may have."""
    if len(found) > 1:
        fields = join_names([f"“{entry['custom_field_id']}”" for entry in found])
        raise Refused(
            f"The fields {fields} each have an option with this id, which does not say whose is meant. "
            "Give each an id of its own in the configuration file."
        )


def refuse_option(field: Entry | None) -> None:
    """Raise Refused unless there is such a field, and it takes options."""
    if field is None:
        _refuse({"custom_field_id": "There is no custom field with this id."})
    elif not str(field["field_type"]).endswith("_select"):
        _refuse({"custom_field_id": f"A {field['field_type']} field has no options."})


def place_of(category: str, others: Sequence[Entry]) -> int:
    """Return the place of a new status: behind the last of its category, else before those that end."""
    same = [place for place, other in enumerate(others) if other["category"] == category]
    if same:
        return same[-1] + 1
    lives = [place for place, other in enumerate(others) if other["category"] == "live"]
    return lives[-1] + 1 if lives else len(others)


def _refuse(wrong: Mapping[str, str]) -> None:
    if wrong:
        raise Refused(" ".join(wrong.values()), wrong)
