"""Alerts of monitoring systems: as they come, as they are kept, and the rules that make incidents of them.

Field names are those of incident.io's Alerts V2 and Alert Events V2. Pure functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from pydantic import Field

from tocsin.incidents.announcements import is_one_of
from tocsin.incidents.model import AlertSummary, Form, FrozenModel, Severity, Visibility
from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT
from tocsin.incidents.validation import clean_text, is_link, is_visible

# An alert as its source tells it, in one form whatever the source.

AlertStatus = Literal["firing", "resolved"]

TITLE_LIMIT = 300
DESCRIPTION_LIMIT = 5_000
KEY_LIMIT = 500
MOST_LABELS = 100
LABEL_LIMIT = 500
LATEST = 3
"""Titles that a card shows of an incident's alerts."""


class AlertEvent(FrozenModel):
    """One event of an alert: it fires, or is resolved."""

    title: str
    status: AlertStatus
    deduplication_key: str
    """Key by which the source knows the alert, the same for all its events."""
    description: str = ""
    source_url: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    """The source's labels, tags or metadata as flat text, which rules ask for."""
    group: str = ""
    """The source's own grouping, such as Alertmanager's `groupKey`; empty if it has none."""
    started_at: datetime | None = None
    """Time at which this episode began, if the source says so."""


def event_of(
    *,
    title: str,
    status: AlertStatus,
    key: str,
    description: str = "",
    source_url: str = "",
    labels: Mapping[str, str] | None = None,
    group: str = "",
    started_at: datetime | None = None,
) -> AlertEvent:
    """Return the event with cleaned and shortened text; a key that is too long is replaced by its hash.

    Without a key, the title is the key (incident.io, Alert Events V2: older sources need none).
    """
    title = clean_text(title)[:TITLE_LIMIT]
    title = title if is_visible(title) else "Alert without a title"
    key = clean_text(key) or title
    source_url = clean_text(source_url)
    kept = list((labels or {}).items())[:MOST_LABELS]
    return AlertEvent(
        title=title,
        status=status,
        deduplication_key=key if len(key) <= KEY_LIMIT else sha256(key.encode()).hexdigest(),
        description=clean_text(description, lines=True)[:DESCRIPTION_LIMIT],
        source_url=source_url if is_link(source_url) else "",
        labels={clean_text(name)[:100]: clean_text(value)[:LABEL_LIMIT] for name, value in kept},
        group=clean_text(group)[:KEY_LIMIT],
        started_at=started_at,
    )


# Rules: what becomes of an alert.

Action = Literal["triage", "declare", "note", "nothing"]
GROUP = "group"
"""Name in `group_by` of the source's own grouping, or else of the title."""


class AlertRule(FrozenModel):
    """A rule for the alerts of some sources with some labels; the first one that matches decides."""

    sources: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    group_by: tuple[str, ...] = (GROUP,)
    do: Action = "triage"
    severity: str | None = None
    incident_type: str | None = None
    visibility: Visibility = "public"
    channel: str = ""
    """Channel that gets the card; empty for the one in which incidents are announced."""
    close_when_resolved: bool = False

    def matches(self, source: str, event: AlertEvent) -> bool:
        return is_one_of(self.sources, [source]) and all(
            is_one_of(wanted, [value]) if (value := label_of(event, name)) else not wanted
            for name, wanted in self.labels.items()
        )

    @property
    def key(self) -> str:
        """Key of the rule, which is the same wherever in the file the rule stands."""
        conditions = self.model_dump(include={"sources", "labels", "group_by", "do", "visibility"})
        return sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:16]


class AlertRoute(FrozenModel):
    """Decision of the rules on one alert; stored with it, so that a change of the rules changes nothing."""

    rule: AlertRule
    values: tuple[str, ...] = ()
    """Values of the labels by which it is grouped."""

    @property
    def group_key(self) -> str:
        """Key of the group: alerts with the same one belong to one incident while that is open."""
        return sha256(json.dumps([self.rule.key, *self.values]).encode()).hexdigest()[:32]


UNMATCHED = AlertRule(do="nothing")
DEFAULT_RULES = (AlertRule(),)
"""Rules of a configuration with sources and without rules: each group of alerts is an incident in triage."""


def label_of(event: AlertEvent, name: str) -> str:
    """Return the value of a label; a few names stand for other parts of the event."""
    if name in event.labels:
        return event.labels[name]
    if name == GROUP:
        return event.group or event.title
    return {"title": event.title, "deduplication_key": event.deduplication_key}.get(name, "")


def route(source: str, event: AlertEvent, rules: Sequence[AlertRule]) -> AlertRoute:
    """Return what the first rule that matches says; nothing is done with an alert that none matches."""
    rule = next((one for one in rules or DEFAULT_RULES if one.matches(source, event)), UNMATCHED)
    return AlertRoute(rule=rule, values=tuple(label_of(event, name) for name in rule.group_by))


# Alerts and groups as they are kept.


class Alert(FrozenModel):
    """One episode of an alert: from when it fired until it was resolved."""

    id: str
    source: str
    """Id of its source in the configuration."""
    title: str
    status: AlertStatus
    deduplication_key: str
    description: str = ""
    source_url: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    times: int = 1
    """Events that told of it."""
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    do: Action = "triage"
    is_private: bool = False
    """True if the rule makes private incidents of it."""
    group_id: str = ""
    incident_id: str = ""
    """Incident that it is attached to; empty if there is none, or none yet."""
    failure: str = ""
    """Reason why it has no incident, if it was to get one."""

    @property
    def is_for_everybody(self) -> bool:
        """True if every reader of alerts may see it: no incident has it, and none will that may be private.

        One that waits is not for them: the incident that it joins may be private by then.
        """
        has_none = self.do == "nothing" or (self.do == "note" and bool(self.failure))
        return has_none and not self.is_private


class AlertGroup(FrozenModel):
    """Alerts that belong together, and the incident that they became."""

    id: str
    group_key: str
    source: str
    rule: AlertRule
    incident_id: str = ""
    batch: int = 0
    """Number of the last batch of alerts that was attached to the incident at once."""
    is_busy: bool = False
    """True while that batch is being attached."""
    ended: bool = False
    """True if further alerts begin another group."""
    is_closing: bool = False
    """True if its incident is to be declined, because all of its alerts are resolved."""


class AlertBatch(FrozenModel):
    """Alerts that are attached to an incident at once: those that fired and those that were resolved."""

    fired: tuple[Alert, ...] = ()
    """The newest of them."""
    fired_count: int = 0
    resolved: tuple[Alert, ...] = ()
    resolved_count: int = 0
    first: Alert | None = None
    """The first alert of the whole group, after which its incident is named."""


RESOLVED_FOR = timedelta(minutes=5)
"""Time for which all alerts must be resolved before an incident in triage is declined."""

MOST_OPEN = 10
"""Groups of one rule with an incident each; alerts of further groups are attached to the newest of them."""

LONGEST_PAUSE = 300.0


def pause_after(pace: int) -> float:
    """Return the seconds between two batches of one group, by how many came in a row: 2, 4, 8 … 300."""
    return min(LONGEST_PAUSE, 2.0**pace) if pace < 10 else LONGEST_PAUSE


# Words.


def alerts_in_words(summary: AlertSummary) -> str:
    """Return the numbers in words: *3 alerts firing, 2 resolved*."""
    if not summary.firing:
        return "The alert is resolved" if summary.resolved == 1 else f"All {summary.resolved} alerts resolved"
    firing = f"{summary.firing} alert{'' if summary.firing == 1 else 's'} firing"
    return f"{firing}, {summary.resolved} resolved" if summary.resolved else firing


def batch_in_words(batch: AlertBatch) -> str:
    """Return the text of the batch's timeline entry, one line for each kind of event."""
    parts = (
        ("firing", batch.fired, batch.fired_count),
        ("resolved", batch.resolved, batch.resolved_count),
    )
    return "\n".join(f"{count} {word}: {_titles(shown, count)}" for word, shown, count in parts if count)


def _titles(shown: Sequence[Alert], count: int) -> str:
    titles = list(dict.fromkeys(alert.title for alert in shown))
    more = count - len(shown)
    return ", ".join(titles) + (f", and {more} more" if more > 0 else "")


def name_of_incident(alert: Alert) -> str:
    return alert.title[:NAME_LIMIT]


def summary_of_incident(alert: Alert, source_name: str) -> str:
    """Return the summary of an incident that an alert declares: its text, labels and origin."""
    labels = ", ".join(f"{name}={value}" for name, value in alert.labels.items() if len(value) <= 100)
    origin = f"Alert of {source_name}{f': {alert.source_url}' if alert.source_url else ''}"
    room = SUMMARY_LIMIT - len(origin) - 4
    said = "\n\n".join(part for part in (alert.description, labels) if part)[:room].strip()
    return f"{said}\n\n{origin}" if said else origin


def severity_for(rule: AlertRule, form: Form) -> Severity | None:
    """Return the severity that the rule names by id or name.

    Without one an incident in triage has none, and a declared one the mildest where one is needed.
    """
    wanted = (rule.severity or "").casefold()
    named = _first(s for s in form.severities if wanted in {s.id.casefold(), s.name.casefold()})
    if named is not None or rule.do == "triage" or not form.severity_required:
        return named
    return min(form.severities, key=lambda severity: severity.rank, default=None)


def _first(found: Iterable[Severity]) -> Severity | None:
    return next(iter(found), None)
