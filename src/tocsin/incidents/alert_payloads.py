"""Bodies in which monitoring systems send their alerts, read as events of one form. Pure functions.

Each reader raises Refused with a sentence for each field that is missing or wrong, by its path. Sources are
named at each reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from pydantic import Field

from tocsin.incidents.alerts import KEY_LIMIT, AlertEvent, AlertStatus, event_of
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FrozenModel, TeamId
from tocsin.incidents.validation import clean_text

AlertSourceKind = Literal[
    "http", "alertmanager", "grafana", "datadog", "pagerduty", "cloudwatch", "sentry", "template"
]
INVALID = "The alert could not be read."
Body = Mapping[str, Any]


class AlertTemplate(FrozenModel):
    """Template of an alert in any JSON: text with paths in braces, such as `{check.name}`."""

    each: str = ""
    """Path of a list with an alert in each entry; empty if the body is one alert."""
    title: str
    status: str
    resolved: tuple[str, ...] = ("resolved", "ok", "up", "closed", "recovered")
    """Values of the status that mean that the alert is resolved; any other one fires."""
    deduplication_key: str
    description: str = ""
    source_url: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class AlertSource(FrozenModel):
    """A system that sends alerts, with its token; without a token no alert of it is taken."""

    id: str
    name: str
    kind: AlertSourceKind = "http"
    token: str = Field(default="", repr=False)
    team: TeamId = TeamId("")
    """Workspace in which its incidents are declared; empty for the only one."""
    template: AlertTemplate | None = None


def path_of(source: str) -> str:
    """Return the path to which a source sends its alerts (incident.io, Alert Events V2)."""
    return f"/v2/alert_events/http/{source}"


def read_alerts(kind: AlertSourceKind, body: Any, template: AlertTemplate | None = None) -> list[AlertEvent]:
    """Return the events in a body; none if it tells of something else, such as a test of the connection."""
    if not isinstance(body, dict):
        raise Refused("The body must be a JSON object.")
    if kind == "template":
        if template is None:
            raise Refused("This source has no template.")
        return list(_by_template(body, template))
    if isinstance(body.get("alerts"), list) and kind in _SHARED:
        return list(_alertmanager(body))
    return list((_http if kind in _SHARED else _READERS[kind])(body))


_SHARED: Final = frozenset({"http", "alertmanager", "grafana"})
"""Kinds whose address takes incident.io's body as well as Alertmanager's, which Grafana's is made after."""


# incident.io, Alert Events V2, Create HTTP.


def _http(body: Body) -> Iterator[AlertEvent]:
    wrong: dict[str, str] = {}
    title = _required(body, "title", wrong)
    status = body.get("status")
    if status not in get_args(AlertStatus):
        wrong["status"] = "status must be firing or resolved."
    for name in ("deduplication_key", "description", "source_url"):
        if not isinstance(body.get(name), str | None):
            wrong[name] = f"{name} must be text."
    metadata = body.get("metadata")
    if not isinstance(metadata, dict | None):
        wrong["metadata"] = "metadata must be an object."
    if wrong:
        raise Refused(INVALID, wrong)
    yield event_of(
        title=title,
        status="resolved" if status == "resolved" else "firing",
        key=_text(body.get("deduplication_key")),
        description=_text(body.get("description")),
        source_url=_text(body.get("source_url")),
        labels=dict(flattened(metadata)),
    )


# Prometheus, Alertmanager, `webhook_config` and `incidentio_config`, whose bodies are the same; Grafana,
# webhook notifier, which adds `dashboardURL`, `panelURL` and more.


def _alertmanager(body: Body) -> Iterator[AlertEvent]:
    group = _text(body.get("groupKey"))
    for place, alert in enumerate(body["alerts"]):
        if not isinstance(alert, dict):
            raise _wrong(f"alerts.{place}", "must be an object")
        labels, annotations = _object(alert.get("labels")), _object(alert.get("annotations"))
        status = alert.get("status")
        if status not in get_args(AlertStatus):
            raise _wrong(f"alerts.{place}.status", "must be firing or resolved")
        named = {name: _text(value) for name, value in labels.items()}
        key = _text(alert.get("fingerprint")) or json.dumps(named, sort_keys=True)
        title = annotations.get("summary") or annotations.get("title") or named.get("alertname") or key
        link = next(filter(None, (alert.get(name) for name in _LINKS)), "")
        yield event_of(
            title=_text(title),
            status="resolved" if status == "resolved" else "firing",
            key=key,
            description=_text(annotations.get("description") or annotations.get("message")),
            source_url=_text(link),
            labels=named,
            group=group,
            started_at=_moment(alert.get("startsAt")),
        )


_LINKS: Final = ("panelURL", "dashboardURL", "generatorURL")


# Datadog, Webhooks: the payload is the operator's own, with the variables that `tocsin docs alerts` names; of
# the standard one, the title says what happened.

_DATADOG_TITLE = re.compile(r"^\[(?P<transition>[^\]]+)\]\s*")
_RECOVERED: Final = ("recovered", "resolved", "ok")


def _datadog(body: Body) -> Iterator[AlertEvent]:
    wrong: dict[str, str] = {}
    whole = _required(body, "title", wrong)
    if wrong:
        raise Refused(INVALID, wrong)
    found = _DATADOG_TITLE.match(whole)
    title = whole[found.end() :] if found is not None else whole
    transition = _text(body.get("alert_transition")) or (found["transition"] if found is not None else "")
    given = {name: _text(body.get(name)) for name in _DATADOG_LABELS}
    parts = (given["alert_id"], given["alert_scope"])
    key = _text(body.get("alert_cycle_key") or body.get("aggreg_key")) or "/".join(filter(None, parts))
    yield event_of(
        title=title or whole,
        status="resolved" if transition.partition(" on ")[0].lower().endswith(_RECOVERED) else "firing",
        key=key or title or whole,
        description=_text(body.get("body")),
        source_url=_text(body.get("link")),
        labels={**dict(_tags(_text(body.get("tags")))), **{name: v for name, v in given.items() if v}},
        group=given["alert_id"],
    )


_DATADOG_LABELS: Final = ("alert_id", "alert_scope", "alert_metric", "alert_type", "hostname", "priority")


def _tags(written: str) -> Iterator[tuple[str, str]]:
    """Yield Datadog's tags, `env:prod,service:web`, as labels."""
    for tag in written.split(","):
        name, separator, value = tag.strip().partition(":")
        if separator and name:
            yield name, value


# PagerDuty, Webhooks V3: an event of an incident; other events are no alerts.


def _pagerduty(body: Body) -> Iterator[AlertEvent]:
    event = body.get("event")
    if not isinstance(event, dict):
        raise _wrong("event", "must be an object")
    data = _object(event.get("data"))
    status = _text(data.get("status"))
    if data.get("type") != "incident" or status not in {"triggered", "acknowledged", "resolved"}:
        return
    service, priority = _object(data.get("service")), _object(data.get("priority"))
    # A reopened incident fires again, with the time of its first beginning.
    is_reopened = event.get("event_type") == "incident.reopened"
    yield event_of(
        title=_text(data.get("title")),
        status="resolved" if status == "resolved" else "firing",
        key=_text(data.get("incident_key") or data.get("id")),
        source_url=_text(data.get("html_url")),
        labels={
            "service": _text(service.get("summary")),
            "service_id": _text(service.get("id")),
            "urgency": _text(data.get("urgency")),
            "priority": _text(priority.get("summary")),
            "incident_id": _text(data.get("id")),
        },
        group=_text(data.get("id")),
        started_at=None if is_reopened else _moment(data.get("created_at")),
    )


# Amazon SNS, HTTP/HTTPS notification JSON, with an alarm of CloudWatch in its `Message`.


def _cloudwatch(body: Body) -> Iterator[AlertEvent]:
    try:
        alarm = json.loads(_text(body.get("Message")))
    except ValueError:
        raise _wrong("Message", "must be a CloudWatch alarm, as JSON") from None
    if not isinstance(alarm, dict) or not isinstance(alarm.get("AlarmName"), str):
        raise _wrong("Message", "must be a CloudWatch alarm, with its AlarmName")
    state = _text(alarm.get("NewStateValue"))
    if state not in {"ALARM", "OK"}:
        # INSUFFICIENT_DATA says nothing of the alarm.
        return
    trigger = _object(alarm.get("Trigger"))
    dimensions = trigger.get("Dimensions")
    named = {
        _text(one.get("name")): _text(one.get("value"))
        for one in (dimensions if isinstance(dimensions, list) else ())
        if isinstance(one, dict)
    }
    said = (alarm.get("AlarmDescription"), alarm.get("NewStateReason"))
    yield event_of(
        title=alarm["AlarmName"],
        status="resolved" if state == "OK" else "firing",
        key=_text(alarm.get("AlarmArn")) or f"{_text(body.get('TopicArn'))}/{alarm['AlarmName']}",
        description="\n\n".join(filter(None, map(_text, said))),
        labels={
            **named,
            "region": _text(alarm.get("Region")),
            "account": _text(alarm.get("AWSAccountId")),
            "metric": _text(trigger.get("MetricName")),
            "namespace": _text(trigger.get("Namespace")),
        },
    )


# Sentry, Integration Platform, webhooks: issue alerts, metric alerts, and issues.

_ISSUE_STATES: Final[Mapping[str, AlertStatus | None]] = {
    "created": "firing",
    "unresolved": "firing",
    "resolved": "resolved",
    "archived": "resolved",
    "ignored": "resolved",
}


def _sentry(body: Body) -> Iterator[AlertEvent]:
    data, action = _object(body.get("data")), _text(body.get("action"))
    if not isinstance(body.get("data"), dict):
        raise _wrong("data", "must be an object")
    if isinstance(data.get("metric_alert"), dict):
        yield _sentry_metric(data, action)
    elif isinstance(data.get("event"), dict):
        yield _sentry_event(data)
    elif isinstance(data.get("issue"), dict) and (status := _ISSUE_STATES.get(action)):
        yield _sentry_issue(data["issue"], status)


def _sentry_metric(data: Body, action: str) -> AlertEvent:
    alert = data["metric_alert"]
    rule = _object(alert.get("alert_rule"))
    title = _text(data.get("description_title")) or _text(alert.get("title")) or _text(rule.get("name"))
    return event_of(
        title=_text(rule.get("name")) or title,
        status="resolved" if action == "resolved" else "firing",
        key=f"metric:{_text(alert.get('id'))}",
        description="\n".join(filter(None, (title, _text(data.get("description_text"))))),
        source_url=_text(data.get("web_url")),
        labels={"level": action, "project": _listed(alert.get("projects")), "rule": _text(rule.get("name"))},
        group=f"rule:{_text(rule.get('id')) or title}",
    )


def _sentry_event(data: Body) -> AlertEvent:
    event = data["event"]
    given = event.get("tags")
    tags = given if isinstance(given, list) else []
    pairs = [pair for pair in tags if isinstance(pair, list) and len(pair) == 2]
    return event_of(
        title=_text(event.get("title")),
        status="firing",
        key=f"issue:{_text(event.get('issue_id')) or _text(event.get('event_id'))}",
        description=_text(event.get("culprit")),
        source_url=_text(event.get("web_url")),
        labels={
            **{_text(name): _text(value) for name, value in pairs},
            "project": _text(event.get("project")),
            "level": _text(event.get("level")),
            "rule": _text(data.get("triggered_rule")),
        },
    )


def _sentry_issue(issue: Body, status: AlertStatus) -> AlertEvent:
    project = _object(issue.get("project"))
    return event_of(
        title=_text(issue.get("title")),
        status=status,
        key=f"issue:{_text(issue.get('id'))}",
        description=_text(issue.get("culprit")),
        source_url=_text(issue.get("web_url") or issue.get("permalink")),
        labels={"project": _text(project.get("slug")), "level": _text(issue.get("level"))},
    )


_READERS: Final[Mapping[str, Callable[[Body], Iterator[AlertEvent]]]] = {
    "datadog": _datadog,
    "pagerduty": _pagerduty,
    "cloudwatch": _cloudwatch,
    "sentry": _sentry,
}


# Any other JSON, by a template of the configuration.

_PLACE = re.compile(r"\{([^{}]+)\}")


def _by_template(body: Body, template: AlertTemplate) -> Iterator[AlertEvent]:
    found = at_path(body, template.each) if template.each else [body]
    if not isinstance(found, list):
        raise _wrong(template.each, "must be a list of alerts")
    for alert in found:
        title, key = filled(template.title, alert), filled(template.deduplication_key, alert)
        if not title or not key:
            missing = template.deduplication_key if title else template.title
            raise _wrong(missing.strip("{}"), "has no value here, and the template needs it")
        status = filled(template.status, alert).casefold()
        is_resolved = status in {word.casefold() for word in template.resolved}
        yield event_of(
            title=title,
            status="resolved" if is_resolved else "firing",
            key=key,
            description=filled(template.description, alert),
            source_url=filled(template.source_url, alert),
            labels={name: filled(value, alert) for name, value in template.labels.items()},
        )


def filled(text: str, body: Any) -> str:
    """Replace each path in braces by what is there in the body; by nothing if nothing is."""
    return _PLACE.sub(lambda found: _text(at_path(body, found[1])), text).strip()


def at_path(body: Any, path: str) -> Any:
    """Return what is at a path such as `checks.0.name`; None if nothing is."""
    for part in path.strip().split("."):
        if isinstance(body, dict):
            body = body.get(part)
        elif isinstance(body, list) and part.isdecimal() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    return body


# Values of which nothing is known.


DEEPEST = 8
"""Levels of nested metadata that become labels of their own; what is deeper is one label, as JSON."""


def flattened(given: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of nested JSON as labels, by their paths."""
    if isinstance(given, dict) and before.count(".") < DEEPEST:
        for name, value in given.items():
            yield from flattened(value, f"{before}.{name}" if before else str(name))
    elif isinstance(given, list):
        yield before, _listed(given)
    elif given is not None and before:
        yield before, _text(given)


def _text(value: Any) -> str:
    """Return text or a number as text, and anything else as JSON; empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else json.dumps(value)


def _listed(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(value: Any) -> datetime | None:
    """Return a time of RFC 3339; None for anything else, for Go's zero time, and beyond the years of UTC."""
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None and at.year > 1 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _required(body: Body, name: str, wrong: dict[str, str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        wrong[name] = f"{name} is needed, as text."
        return ""
    return value


def _wrong(path: str, what: str) -> Refused:
    path = path[:KEY_LIMIT]
    return Refused(INVALID, {path: f"{path} {what}."})


def answer_key(body: Any, events: Sequence[AlertEvent]) -> str:
    """Return the key to answer with: the only event's, or the group's of a body with several."""
    if len(events) == 1:
        return events[0].deduplication_key
    return events[0].group if events else clean_text(_text(_object(body).get("deduplication_key")))
