"""Content of the messages about a change, and of the summary posted when an incident is closed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tocsin.incidents.details import workload
from tocsin.incidents.export import durations_of, in_sentences, lasted
from tocsin.incidents.model import FollowUp, FrozenModel, Incident, Person, PersonId, TimelineEntry
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.timeline import deeds
from tocsin.incidents.transitions import changed_times


class Summary(FrozenModel):
    """Summary of a closed incident."""

    lasted: timedelta
    people: tuple[PersonId, ...] = ()
    """Everyone with a timeline entry, in order of appearance, then the reporter and the role holders."""

    entries: int = 0
    """Number of timeline entries."""

    open_follow_ups: tuple[FollowUp, ...] = ()
    done_follow_ups: int = 0
    workload: str = ""
    """Time that people spent on it, if the backend measures that."""
    went: tuple[tuple[str, str], ...] = ()
    """Durations before the end, such as the time to the first update, as label and words."""


class ChangeNotification(FrozenModel):
    """Notification of a change, as posted in a channel."""

    incident: Incident
    by: Person
    at: datetime
    differences: tuple[str, ...] = ()
    """Texts on what was done, such as *reopened it as Fixing*."""
    times: tuple[tuple[str, datetime | None], ...] = ()
    """Timestamps that were set, by name, which each reader sees in their own zone; None if cleared."""
    message: str = ""
    merged_into: str | None = None
    call_link: str | None = None
    """Address of the call, if the change set it."""
    next_update_at: datetime | None = None
    summary: Summary | None = None


class Reminder(FrozenModel):
    """Reminder of the next update: its due time, the person it is for, and its state."""

    incident_id: str
    due_at: datetime
    by: Person
    key: str
    """Key of the interaction that scheduled it; the reminder message carries it."""
    asking: bool = False
    """True once posting of the reminder message has begun; it stays set if the process dies meanwhile."""


def notification_of(
    before: Incident,
    incident: Incident,
    change: IncidentChange,
    *,
    due: datetime | None = None,
    summary: Summary | None = None,
) -> ChangeNotification:
    return ChangeNotification(
        incident=incident,
        by=change.by,
        at=change.at,
        differences=deeds(before, incident, change),
        times=changed_times(before, incident, change),
        message=change.message,
        merged_into=change.merged_into,
        call_link=incident.call_link if change.call_url is not None else None,
        next_update_at=due,
        summary=summary,
    )


def summary_of(
    incident: Incident, timeline: Sequence[TimelineEntry], follow_ups: Sequence[FollowUp]
) -> Summary:
    """Summarise an incident: duration, people, timeline size, open and completed follow-ups."""
    people = [entry.by.slack_user_id for entry in timeline if entry.by is not None]
    return Summary(
        lasted=lasted(incident),
        people=tuple(dict.fromkeys(person for person in [*people, *incident.people] if person)),
        entries=len(timeline),
        open_follow_ups=tuple(one for one in follow_ups if not one.is_done),
        done_follow_ups=sum(one.is_done for one in follow_ups),
        workload=workload(incident),
        went=in_sentences(durations_of(incident, timeline).model_copy(update={"lasted": None})),
    )
