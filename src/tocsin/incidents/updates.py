"""What a channel is told of a change, and what is left to say when an incident ends: pure values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tocsin.incidents.export import durations_of, in_sentences, lasted
from tocsin.incidents.model import FollowUp, Frozen, Incident, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import differences


class Summary(Frozen):
    """An incident that has ended, at a glance."""

    lasted: timedelta
    people: tuple[PersonId, ...] = ()
    """Everybody who did something, in the order in which they came."""

    entries: int = 0
    """How many things the timeline holds."""

    open_follow_ups: tuple[FollowUp, ...] = ()
    done_follow_ups: int = 0
    went: tuple[tuple[str, str], ...] = ()
    """What took how long on the way, as label and words."""


class News(Frozen):
    """A change, as a channel is told of it."""

    incident: Incident
    by: Person
    at: datetime
    differences: tuple[str, ...] = ()
    message: str = ""
    merged_into: str | None = None
    next_update_at: datetime | None = None
    summary: Summary | None = None


class Reminder(Frozen):
    """When the next update on an incident is due, who gives it, and whether it was asked for."""

    incident_id: str
    due_at: datetime
    by: Person
    key: str
    """Of the gesture that planned it; the message that asks for the update carries it."""
    asking: bool = False
    """The message is on its way, or was when the process ended."""


def news_of(
    before: Incident,
    incident: Incident,
    change: IncidentChange,
    *,
    due: datetime | None = None,
    summary: Summary | None = None,
) -> News:
    return News(
        incident=incident,
        by=change.by,
        at=change.at,
        differences=differences(before, incident, change),
        message=change.message,
        merged_into=change.merged_into,
        next_update_at=due,
        summary=summary,
    )


def summary_of(
    incident: Incident, timeline: Sequence[TimelineEntry], follow_ups: Sequence[FollowUp]
) -> Summary:
    """How long it took, who was there, and what is still to be done."""
    people = [entry.by.slack_user_id for entry in timeline if entry.by is not None]
    return Summary(
        lasted=lasted(incident),
        people=tuple(dict.fromkeys(person for person in [*people, *incident.people] if person)),
        entries=len(timeline),
        open_follow_ups=tuple(one for one in follow_ups if not one.is_done),
        done_follow_ups=sum(one.is_done for one in follow_ups),
        went=in_sentences(durations_of(incident, timeline).model_copy(update={"lasted": None})),
    )
