"""The form of an incident's timestamps, and their place when one incident is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.details import duration
from tocsin.incidents.model import Form, Incident
from tocsin.incidents.permissions import Verb
from tocsin.incidents.timestamps import metrics_of, set_times
from tocsin.incidents.validation import TIME_FIELD
from tocsin.slack.views.blocks import (
    State,
    date_token,
    escape,
    first_value,
    paragraph,
    seconds_shown,
    sections_of,
    shorten,
    time_input,
)
from tocsin.slack.views.metadata import VerbMetadata, heading, unsupported_blocks, verb_modal

CALLBACK_ID = "times"
NAME_LIMIT = 80
"""Characters of a timestamp's name in a list; the form has the whole name."""

Times = Mapping[str, datetime | None]


def times_modal(form: Form, incident: Incident, filled: Times | None = None, *, problem: str = "") -> View:
    """Build the form with a datetimepicker for each timestamp, filled with `filled` or the present values."""
    held = {timestamp.id: incident.timestamp(timestamp.id) for timestamp in form.incident_timestamps}
    seen = {block: seconds for block, seconds in as_shown(held).items() if seconds}
    metadata = VerbMetadata(verb=Verb.TIME, incident_id=incident.id, seen=seen)
    blocks = [
        *heading(incident),
        *unsupported_blocks(form.lacks, Verb.TIME),
        *_durations(incident),
        *time_inputs(form, {**held, **(filled or {})}),
    ]
    return verb_modal(CALLBACK_ID, "Timestamps", metadata, blocks, submit="Save", problem=problem)


def time_inputs(form: Form, filled: Times) -> list[Block]:
    """Build a datetimepicker for each timestamp that people may set."""
    return [
        time_input(f"{TIME_FIELD}{one.id}", one.name, value=filled.get(one.id), hint=one.description)
        for one in form.incident_timestamps
    ]


def read_times(state: State) -> dict[str, datetime | None]:
    """Return the submitted timestamps, by id; None for one that was left empty."""
    shown = [block for block in state if block.startswith(TIME_FIELD)]
    return {block.removeprefix(TIME_FIELD): _moment(first_value(state, block)) for block in shown}


def _moment(seconds: str) -> datetime | None:
    """Return the moment that a datetimepicker sends: seconds since 1970 (Slack, `selected_date_time`)."""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() and len(seconds) == 10 else None


def as_shown(times: Times) -> dict[str, str]:
    """Return the values of a form as its metadata has them, by block id; empty for one that is not shown.

    They are whole minutes, as a datetimepicker has them: who leaves one alone does not cut off its seconds.
    """
    shown = {one: seconds_shown(at) for one, at in times.items()}
    return {f"{TIME_FIELD}{one}": str(at // 60 * 60) if at else "" for one, at in shown.items()}


def times_blocks(incident: Incident) -> list[Block]:
    """Build the timestamps that are set, and the durations between them."""
    times = [f"{escape(shorten(name, NAME_LIMIT))}: {date_token(at)}" for name, at in set_times(incident)]
    return [*_one_after_another("*Timestamps*\n", times), *_durations(incident)]


def _durations(incident: Incident) -> list[Block]:
    known = [
        f"{escape(shorten(name, NAME_LIMIT))}: {duration(passed)}" for name, passed in metrics_of(incident)
    ]
    return _one_after_another("", known)


def _one_after_another(title: str, said: Sequence[str]) -> list[Block]:
    """Build as few sections as possible under the title; none if nothing is said."""
    texts = sections_of([f"{title}{said[0]}", *said[1:]], " · ") if said else ()
    return [paragraph(text) for text in texts]
