"""Whatever a vendor's body holds, it is read or refused; what is read can be stored and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from support.alerts import BODIES, body_of

from tocsin.incidents.alert_payloads import AlertSourceKind, AlertTemplate, answer_key, read_alerts
from tocsin.incidents.errors import Refused

TEMPLATES = {
    "template": AlertTemplate(
        title="{monitor.name}",
        status="{heartbeat.status}",
        deduplication_key="{monitor.name}",
        description="{heartbeat.msg}",
        source_url="{monitor.url}",
        labels={"site": "{monitor.url}"},
    ),
    "template-list": AlertTemplate(
        each="checks", title="{name}", status="{state}", deduplication_key="check {name}"
    ),
}
NAMES = sorted({*(path.stem for path in BODIES.glob("*.json")), *TEMPLATES})
UNSAFE = "\ud800\x00"
ODD: tuple[Any, ...] = (
    *(None, True, 0, 5, -1.5, float("inf"), "", "text"),
    *([], [5], [[]], [None, [[], {}], {"name": [], "value": {}}], {}, {"a": {"b": []}}),
    *(UNSAFE, f"https://a.example/{UNSAFE}x", f"a:{UNSAFE},b:c", [UNSAFE, [UNSAFE] * 2], {UNSAFE: UNSAFE}),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0002-01-01T00:00:00+14:00"),
    *("x" * 6_000, "https://a.example/" + "x" * 6_000, UNSAFE + "x" * 600),
)
Place = tuple[str | int, ...]


def kind_of(name: str) -> AlertSourceKind:
    kinds: dict[str, AlertSourceKind] = {
        **{"http": "http", "alertmanager": "alertmanager", "grafana": "grafana", "datadog": "datadog"},
        **{"pagerduty": "pagerduty", "cloudwatch": "cloudwatch", "sentry": "sentry", "template": "template"},
    }
    return kinds[name.partition("-")[0]]


def places(body: Any, before: Place = ()) -> Iterator[Place]:
    """Every place in a body: the whole of it, what is in it, and a name that no object has."""
    yield before
    if isinstance(body, dict):
        yield (*before, UNSAFE)
    for step in body if isinstance(body, dict) else range(len(body)) if isinstance(body, list) else ():
        yield from places(body[step], (*before, step))


def put(body: Any, place: Place, value: Any) -> Any:
    """A body with another value at a place."""
    if not place:
        return value
    changed = there = deepcopy(body)
    for step in place[:-1]:
        there = there[step]
    there[place[-1]] = value
    return changed


def notified(alarm: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu:1:alarms", "Message": json.dumps(alarm)}


def odd_bodies(name: str) -> Iterator[tuple[Place, Any, Any]]:
    """The bodies that a sample becomes, each with the place and the value that are odd in it."""
    sample = body_of(name if name != "template-list" else "template")
    is_alarm = kind_of(name) == "cloudwatch"
    # Of keys with which nothing else is an alert, the answer still has this one.
    sample |= {} if name == "http" or is_alarm else {"deduplication_key": "key"}
    for place in places(sample):
        for value in ODD:
            changed = put(sample, place, value)
            yield place, value, notified(changed) if is_alarm else changed
    if is_alarm:
        for name in ("TopicArn", "Message", "deduplication_key"):
            yield from (((name,), value, {**notified(sample), name: value}) for value in ODD)
        without = {part: value for part, value in sample.items() if part != "AlarmArn"}
        yield from ((("TopicArn",), value, {**notified(without), "TopicArn": value}) for value in ODD)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for pair in value.items():
            yield from map(str, pair)
    elif isinstance(value, str):
        yield value


def fault(name: str, body: Any) -> str:
    """What is wrong with the reading of a body; empty if nothing is."""
    try:
        events = read_alerts(kind_of(name), body, TEMPLATES.get(name))
        kept = [text for event in events for value in dict(event).values() for text in texts(value)]
        for text in (*kept, answer_key(body, events)):
            text.encode()
            if "\x00" in text:
                return f"{text[:40]!a} has a null byte"
    except Refused as refusal:
        json.dumps([refusal.sentence, refusal.fields], ensure_ascii=False).encode()
    except Exception as error:
        return repr(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_any_value_at_any_place_is_read_as_text_that_can_be_stored_or_refused(name: str) -> None:
    faults = {
        f"{'.'.join(map(str, place))!a}: {value!a:.60}": said
        for place, value, body in odd_bodies(name)
        if (said := fault(name, body))
    }
    assert faults == {}
