"""Each vendor's body is read as the alert that its documentation says it is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from support.alerts import body_of

from tocsin.incidents.alert_payloads import AlertSourceKind, AlertTemplate, read_alerts
from tocsin.incidents.alerts import AlertEvent
from tocsin.incidents.errors import Refused

TEMPLATE = AlertTemplate(
    title="{monitor.name} is down",
    status="{heartbeat.status}",
    resolved=("1", "up"),
    deduplication_key="{monitor.name}",
    description="{heartbeat.msg}",
    source_url="{monitor.url}",
    labels={"site": "{monitor.name}"},
)
CASES: dict[str, tuple[AlertSourceKind, list[dict[str, Any]]]] = {
    "http": (
        "http",
        [
            {
                "title": "Disk is full on db-1",
                "status": "firing",
                "deduplication_key": "disk/db-1",
                "source_url": "https://status.north.example/disks/db-1",
                "labels": {
                    "team": "storage",
                    "service.name": "postgres",
                    "service.tier": "1",
                    "zones": "eu-1, eu-2",
                },
            }
        ],
    ),
    "alertmanager": (
        "alertmanager",
        [
            {
                "title": "Checkout takes 4 s on web-1",
                "status": "firing",
                "deduplication_key": "c6eadffa33fcdf37",
                "group": '{}:{alertname="HighLatency"}',
                "source_url": "http://prometheus.north.example:9090/graph?g0.expr=latency",
            },
            {"title": "Checkout takes 4 s on web-2", "status": "resolved", "source_url": ""},
        ],
    ),
    "grafana": (
        "grafana",
        [
            {
                "title": "High memory usage",
                "status": "firing",
                "deduplication_key": "a1b2c3d4e5f60718",
                "source_url": "https://grafana.north.example/d/abc?viewPanel=2",
                "labels": {"alertname": "High memory usage", "team": "blue", "zone": "eu-1"},
            }
        ],
    ),
    "datadog": ("datadog", [{"title": "CPU is busy on web-3", "status": "firing", "group": "1234567"}]),
    "datadog-recovered": ("datadog", [{"status": "resolved", "deduplication_key": "4f1d2a9e"}]),
    "datadog-standard": (
        "datadog",
        [{"title": "Queue is long", "status": "resolved", "deduplication_key": "Queue is long"}],
    ),
    "pagerduty": (
        "pagerduty",
        [
            {
                "title": "Payments fail",
                "status": "firing",
                "deduplication_key": "d3640fbd41094207a1c11e58e46b1662",
                "source_url": "https://north.pagerduty.example/incidents/PGR0VU2",
            }
        ],
    ),
    "pagerduty-ping": ("pagerduty", []),
    "sentry-issue-alert": (
        "sentry",
        [
            {
                "title": "ReferenceError: cart is not defined",
                "status": "firing",
                "deduplication_key": "issue:1170820242",
            }
        ],
    ),
    "sentry-issue-resolved": ("sentry", [{"status": "resolved", "deduplication_key": "issue:1170820242"}]),
    "sentry-metric-alert": (
        "sentry",
        [{"title": "Too many errors", "status": "firing", "deduplication_key": "metric:6"}],
    ),
    "template": (
        "template",
        [
            {
                "title": "Homepage is down",
                "status": "firing",
                "deduplication_key": "Homepage",
                "description": "timeout of 48000ms exceeded",
                "source_url": "https://www.north.example/",
                "labels": {"site": "Homepage"},
            }
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_body_of_a_vendor_is_the_alert_that_its_documentation_says(name: str) -> None:
    kind, wanted = CASES[name]
    events = read_alerts(kind, body_of(name), TEMPLATE)
    assert [
        {part: getattr(event, part) for part in parts} for event, parts in zip(events, wanted, strict=True)
    ] == wanted


def test_an_alarm_of_cloudwatch_comes_in_a_notification_of_sns_and_one_without_data_says_nothing() -> None:
    def notified(state: str) -> list[AlertEvent]:
        alarm = body_of("cloudwatch-alarm") | {"NewStateValue": state}
        return read_alerts("cloudwatch", {"Type": "Notification", "Message": json.dumps(alarm)})

    (event,) = notified("ALARM")
    assert (event.title, event.status, event.labels["InstanceId"]) == (
        "ServerCpuTooHigh",
        "firing",
        "i-12345678901234567",
    )
    assert [event.status for event in notified("OK")] == ["resolved"]
    assert notified("INSUFFICIENT_DATA") == []


def test_a_template_reads_each_entry_of_a_list() -> None:
    each = AlertTemplate(
        each="checks", title="{name}", status="{state}", deduplication_key="check {name}", resolved=("ok",)
    )
    events = read_alerts("template", body_of("template"), each)
    assert [(event.deduplication_key, event.status) for event in events] == [
        ("check dns", "resolved"),
        ("check tls", "firing"),
    ]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("http", {"status": "firing"}, "title"),
        ("http", {"title": "x", "status": "open"}, "status"),
        ("http", {"title": "x", "status": "firing", "metadata": []}, "metadata"),
        ("http", {"title": "x", "status": "firing", "deduplication_key": 1}, "deduplication_key"),
        ("alertmanager", {"alerts": [{"status": "up"}]}, "alerts.0.status"),
        ("alertmanager", {"alerts": ["x"]}, "alerts.0"),
        ("pagerduty", {}, "event"),
        ("datadog", {}, "title"),
        ("cloudwatch", {"Message": "hello"}, "Message"),
        ("sentry", {}, "data"),
        ("template", {"heartbeat": {}}, "monitor.name"),
    ],
)
def test_what_is_missing_or_wrong_is_named(kind: AlertSourceKind, body: Any, field: str) -> None:
    with pytest.raises(Refused) as refused:
        read_alerts(kind, body, TEMPLATE.model_copy(update={"title": "{monitor.name}"}))
    assert field in refused.value.fields


@pytest.mark.parametrize("kind", ["http", "grafana", "datadog", "pagerduty", "cloudwatch", "sentry"])
@pytest.mark.parametrize(
    "odd",
    [
        [],
        "text",
        {"alerts": [{"status": "firing", "labels": 1, "annotations": [], "startsAt": 5}]},
        {"event": {"data": {"type": "incident", "status": "triggered", "service": 1, "title": None}}},
        {"title": "\x00\u202e\ud800", "status": "firing", "metadata": {"a": {"b": [None, True, 1.5, {}]}}},
        {"Message": "{}", "data": {"event": {"tags": [1, ["a"], ["b", "c"]]}, "metric_alert": 3}},
        {"title": "x" * 10_000, "status": "resolved", "deduplication_key": "k" * 10_000},
    ],
)
def test_a_body_of_any_shape_is_read_or_refused_in_a_sentence(kind: AlertSourceKind, odd: Any) -> None:
    events = []
    with contextlib.suppress(Refused):
        events = read_alerts(kind, odd)
    assert all(event.title and len(event.deduplication_key) <= 500 for event in events)


def test_a_reopened_incident_of_pagerduty_fires_anew() -> None:
    body = body_of("pagerduty")
    assert [event.started_at is None for event in read_alerts("pagerduty", body)] == [False]
    body["event"]["event_type"] = "incident.reopened"
    assert [event.started_at for event in read_alerts("pagerduty", body)] == [None]
