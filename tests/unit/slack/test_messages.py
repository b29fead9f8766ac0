"""A message of any kind is called what a person would call it, and keeps all that it says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT
from tocsin.slack.views.message_text import GOES_ON, kept_text, name_and_summary, unnamed

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent.parent / "data" / "messages.json").read_text(encoding="utf-8")
)
NAMES = {"U0BEN": "Ben", "U0NEWBIE": "Dan New", "S0ONCALL": "oncall", "C0ALERTS": "alerts", "U0ANA": "Ana"}
LINK = "PL"
each = pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])


@each
def test_a_message_is_called_what_a_person_would_call_it(case: dict[str, Any]) -> None:
    name, _ = name_and_summary(case["message"], LINK, NAMES)
    assert name == (case["name"] or ""), case["why"]


@each
def test_the_summary_says_everything_once_as_people_read_it(case: dict[str, Any]) -> None:
    _, summary = name_and_summary(case["message"], LINK, NAMES)
    assert summary.split("\n") == case["summary"], case["why"]


@each
def test_the_timeline_keeps_the_same_words_unquoted(case: dict[str, Any]) -> None:
    kept = kept_text(case["message"], LINK, NAMES)
    assert kept.split("\n") == [line.removeprefix("> ") for line in case["summary"]]


@each
def test_no_id_and_no_none_is_ever_read(case: dict[str, Any]) -> None:
    for names in (NAMES, {}):
        for said in name_and_summary(case["message"], LINK, names):
            assert not re.search(r"\b(?:[UWCGS]0[A-Z0-9]{2,}|None|null)\b", re.sub(r"https?://\S+", "", said))


@each
def test_who_is_not_known_is_asked_for(case: dict[str, Any]) -> None:
    asked = unnamed(case["message"], {})
    assert unnamed(case["message"], dict.fromkeys(asked, "x")) == frozenset()
    said = kept_text(case["message"], None, {})
    assert asked or not re.search("@someone|@a-group|#a-channel", said)


def text(words: str) -> dict[str, Any]:
    return {"user": "U0BEN", "text": words}


def by_app(words: str) -> dict[str, Any]:
    return {"bot_id": "B0A", "username": "Watch", "text": words}


@pytest.mark.parametrize("words", ["checkout is slow " * 2500, "line\n" * 5000, "x" * 40_000])
def test_what_is_too_long_is_cut_with_a_sign_and_keeps_its_link(words: str) -> None:
    name, summary = name_and_summary(text(words), "https://x.example/p1", NAMES)
    assert len(name) <= NAME_LIMIT
    assert len(summary) <= SUMMARY_LIMIT
    assert summary.endswith(f"\n> {GOES_ON}\n— @Ben https://x.example/p1")
    kept = kept_text(text(words), "https://x.example/p1", NAMES)
    assert len(kept) <= TEXT_LIMIT
    assert kept.endswith(f"\n{GOES_ON}\n— @Ben https://x.example/p1")


def test_files_are_named_whatever_else_has_no_room() -> None:
    files = [{"id": f"F{n}", "title": f"graph {n}", "permalink": f"https://x.example/F{n}"} for n in range(7)]
    kept = kept_text({**text("x" * 40_000), "files": files}, "https://x.example/p1", NAMES)
    assert "File: graph 0 https://x.example/F0" in kept
    assert "and 2 more files" in kept
    assert len(kept) <= TEXT_LIMIT


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("[FIRING:3] x is down", "x is down"),
        ("[RESOLVED] x is down", "x is down"),
        ("[Alerting] x is down", "x is down"),
        ("[No Data] x is down", "x is down"),
        ("[Re-Triggered] x is down", "x is down"),
        ("*[FIRING:1]* x is down", "x is down"),
        ("[P1] x is down", "[P1] x is down"),
        ("[octo-org/checkout] x is down", "[octo-org/checkout] x is down"),
        ("**x** is __down__", "x is down"),
        ("*snake_case_alarm* in *ALARM*", "snake_case_alarm in ALARM"),
        ("- x is down", "x is down"),
        ("1. x is down", "x is down"),
        ("-1 replicas of x", "-1 replicas of x"),
        ("5xx of x", "5xx of x"),
        ("# x is down", "x is down"),
        ("#general is down", "#general is down"),
        ("x is down (<https://g.example/d>)", "x is down"),
        ("<https://g.example/d|:fire: *x* is down>", "x is down"),
        ("x is down, see <https://g.example/d>", "x is down"),
        ("x is down<https://g.example/d>", "x is down"),
        ("Details: <https://g.example/d>", ""),
        ("<slack://open?team=T1>\nx is down", "x is down"),
        ("<mailto:ops@x.example|ops@x.example> gets no mail", "ops@x.example gets no mail"),
        (":no_entry:  x is down :fire:", "x is down"),
        ("🔥 x is down", "x is down"),
        ("━ " * 20 + "━" * 20 + " x is down", "x is down"),
        ("[x] [🔴 Down] no answer ⚠️ from db-7", "[x] [Down] no answer from db-7"),
        ("+1 for x", "+1 for x"),
        ("Users in 🇩🇪 and 🇫🇷 cannot log in", "Users in 🇩🇪 and 🇫🇷 cannot log in"),
        ("Users in :flag-de: and :flag-fr: cannot log in", "Users in 🇩🇪 and 🇫🇷 cannot log in"),
        ("🇩🇪 is down", "🇩🇪 is down"),
        ("日本 is down", "日本 is down"),
        ("&amp;lt; is shown as &lt;", "&lt; is shown as <"),
    ],
)
def test_marks_states_and_addresses_are_no_part_of_a_name(said: str, name: str) -> None:
    assert name_and_summary(text(said), None, NAMES)[0] == name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("[P1] [Triggered] x is down", "[P1] x is down"),
        ("FIRING: x is down", "x is down"),
        ("PROBLEM - x is down", "x is down"),
        ("Resolved in 5m 3s: x is down", "x is down"),
        ("Triggered #4711: x is down", "Triggered #4711: x is down"),
        ("[Alert 4711] x is down", "[Alert 4711] x is down"),
        ("** RECOVERY Service Alert: db-7/x is OK **", "db-7/x is OK"),
        ("AWS CloudWatch notification - x is down", "x is down"),
        ("GitHub incident: pushes fail", "GitHub incident: pushes fail"),
        ("Datadog alerts: none arrive", "Datadog alerts: none arrive"),
        ("Critical: x is down", "Critical: x is down"),
        ("OK: x is up again", "OK: x is up again"),
        ("2024-09-10T20:26:00.123Z x is down", "x is down"),
        ("20:26:00.123456: x is down", "x is down"),
        ("Sep 10 20:26:00 db-7 x: is down", "db-7 x: is down"),
        ("20:26 is when x went down", "20:26 is when x went down"),
        ("x is down.", "x is down"),
        ("x is down. We look.", "x is down. We look."),
        ("x is down...", "x is down..."),
        ("x is down. Please <https://g.example/d|look here>.", "x is down"),
        ("x is down. Please investigate.", "x is down"),
        ("x is down. Please check the logs asap!", "x is down"),
        ("Please restart x", "Please restart x"),
        ("(x is down)", "x is down"),
        ("x is down (3 alerts)", "x is down"),
        ("x is down (2 replicas)", "x is down (2 replicas)"),
        ("`firing` :fire: `critical` x is down", "x is down"),
        ("`service` x is down", "service x is down"),
        ("x is down (<https://g.example/d|Open>)", "x is down"),
        ("x is down <https://g.example/d|View details>", "x is down"),
        ("x is down (<https://g.example/d|open>)", "x is down"),
        ("x is down | <https://g.example/d|logs>", "x is down"),
        ("Circuit breaker of x: <https://g.example/d|Open>", "Circuit breaker of x: Open"),
        ("x: closed -> <https://g.example/d|Open>", "x: closed -> Open"),
        ("x is down, see <https://g.example/d|Details>", "x is down, see Details"),
        ("Users cannot <https://g.example/d|log in>", "Users cannot log in"),
        ("Users cannot <https://g.example/d|Log in>", "Users cannot Log in"),
        ("Customers can't <https://g.example/d|see details>", "Customers can't see details"),
        ("Customers can’t <https://g.example/d|See details>", "Customers can’t See details"),
        ("Ana cannot open <https://g.example/d|the log>", "Ana cannot open the log"),
        ("Broken <https://g.example/d|link>", "Broken link"),
        ("x is down `ab12cd34`", "x is down ab12cd34"),
        ("x is down <https://g.example/d|ab12cd34>", "x is down ab12cd34"),
        ("Circuit breaker payments: `open`", "Circuit breaker payments: open"),
        ("checkout: closed -> `open`", "checkout: closed -> open"),
        ("rolled back to `ab12cd34`", "rolled back to ab12cd34"),
        ("nobody can pay order `1234567`", "nobody can pay order 1234567"),
    ],
)
def test_an_app_is_taken_at_its_word_without_states_times_counts_and_requests(said: str, name: str) -> None:
    assert name_and_summary(by_app(said), None, NAMES)[0] == name


@pytest.mark.parametrize(
    "said",
    [
        "Reported by Ana. Please note that refunds fail, too.",
        "Hi. Please restart db-7.",
        "Hello team! Please look at the failing checkout",
        "New request from Ana! Please add a GPU to ml-3",
        "Backup done. Please restart. Then wait.",
        "Incident status: Investigating",
        "Incident severity: SEV1",
        "Incident number: 4711",
        "Alert severity: high",
        "Alert host: db-7",
        "Incident opened: checkout is down\nWe look at it",
        "Incident status: payments fail for all\nWe look at it",
    ],
)
def test_what_says_more_than_that_there_is_an_alert_stays_in_its_name(said: str) -> None:
    assert name_and_summary(by_app(said), None, NAMES)[0] == said.split("\n")[0]


OF_PEOPLE = [
    "Checkout is down.",
    "Alert: disk full",
    "FIRING: x",
    "Problem: users cannot log in",
    "The login page is broken. Please help",
    "[Open] x is down (3 alerts)",
    "(x is down)",
    "20:26:00 x went down",
    "Build failed",
    "Problem",
    "Alert",
    "Problem on db-7",
    "GitHub",
]
BELOW = {"title": "Disk full on db-7", "fallback": "x", "fields": [{"title": "Job", "value": "backup"}]}


@pytest.mark.parametrize("said", OF_PEOPLE)
def test_what_a_person_writes_first_is_the_name_to_the_letter(said: str) -> None:
    below = {**text(f"{said}\nlooking at it"), "attachments": [BELOW]}
    by = ({"author_link": f"https://x.{slack}/team/U0ANA"} for slack in ("slack.com", "slack-gov.com"))
    shared = [{"text": said, "fallback": "x", **whose} for whose in (*by, {"author_id": "U0ANA"})]
    mail = {"mode": "email", "subject": said, "permalink": "https://x.slack.com/files/1"}
    shown = [*({**text(""), "attachments": [one]} for one in shared), {**text(""), "files": [mail]}]
    for message in (text(said), below, *shown):
        assert name_and_summary(message, None, NAMES)[0] == said


@pytest.mark.parametrize(
    "whose", [{}, {"author_id": "U0APP", "author_link": "https://x.slack.com/services/B0APP"}]
)
def test_an_alert_that_a_person_forwards_without_a_word_is_called_as_if_it_were_declared_itself(
    whose: dict[str, str],
) -> None:
    alert = {"title": "FIRING: x is down.", "fallback": "x", **whose}
    assert name_and_summary({**text("<!here>"), "attachments": [alert]}, None, NAMES)[0] == "x is down"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Uptime Kuma Alert\nx is down", "x is down"),
        ("Alert\nBuild failed\nx is down", "Build failed"),
        ("New incident\nMonitor: x\nCause: Status 503", "x, Status 503"),
        ("Alert 4711\nx is down", "Alert 4711"),
        ("Alert in x\ny is down", "Alert in x"),
        ("Replication alert\nx is down", "Replication alert"),
        ("Replication alert\nx is down\nHost: db-7", "Replication alert: db-7"),
        ("Redis alert\nService: redis\nHost: db-7", "Redis alert: db-7"),
        ("Job failed.\nx is down", "Job failed"),
        ("Job failed.\nx is down\nJob: backup", "Job failed: backup"),
        ("Job 4711 failed\nJob: backup", "Job 4711 failed"),
        ("x is down\nHost: db-7", "x is down"),
        ("503\nx is down", "503"),
        ("Incident status: Investigating\nx is down", "x is down"),
        ("Alert time: 12:30 UTC\nAlert name: x", "x"),
        ("Alarm time: 12:30\nAlarm: x", "x"),
        ("Problem detected at: 12:30\nHost: db-7", "db-7"),
        ("Alert\nDescription: x is down", "x is down"),
        ("Alert\ndb-7: disk is full", "db-7: disk is full"),
        ("Alert\nCRITICAL: disk is full", "CRITICAL: disk is full"),
        ("Alert\nTypeError: x is undefined", "TypeError: x is undefined"),
        ("Alert\nUsers cannot log in: 503", "Users cannot log in: 503"),
    ],
)
def test_another_line_is_the_name_only_if_the_first_says_nothing(said: str, name: str) -> None:
    assert name_and_summary(by_app(said), None, NAMES)[0] == name


@pytest.mark.parametrize(
    "beside",
    [
        "ID: 17",
        "Account: 1234",
        "Impact: none",
        "Incident number: 4711",
        "Owner: Ana",
        "owner: Ana",
        "grafana_folder = Shop",
        "Today at 12:30",
        "Tuesday, September 10th 2024, 12:30 UTC",
        "2024-09-10T12:30:00Z",
        "5 minutes ago",
        "View in Grafana",
        "Acknowledge | Resolve",
        "@Bo please look",
        "<@U0BEN> please look",
    ],
)
def test_what_stands_beside_an_alert_is_never_the_name(beside: str) -> None:
    for below, name in (("", "Uptime Kuma Alert"), ("\nx is down", "x is down")):
        message = by_app(f"Uptime Kuma Alert\n{beside}{below}")
        assert name_and_summary(message, None, NAMES)[0] == name


def calls(message: dict[str, Any]) -> int:
    """Count the functions that are called to find the name of a message."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(seen)
    name_and_summary(message, None, NAMES)
    sys.setprofile(None)
    return count


@pytest.mark.parametrize("first", ["x is down", "Alert"])
@pytest.mark.parametrize("below", ["alert - alert: ", "12:00:00 ", "[OK] ", "- "])
def test_the_name_of_a_hostile_message_costs_little_more_than_that_of_a_plain_one(
    first: str, below: str
) -> None:
    def message(line: str) -> dict[str, Any]:
        lines = "\n".join(f"{line * (990 // len(line))}{number}" for number in range(10))
        return {**by_app(first), "attachments": [{"text": lines, "fallback": "x"} for _ in range(20)]}

    assert calls(message(below)) < 1.7 * calls(message("Disk of it "))


def test_a_thing_that_is_the_author_completes_what_happened_and_a_person_does_not() -> None:
    failed = {"text": "Deployment failed", "author_name": "deployment/checkout", "fallback": "x"}
    for more, name in (
        ({}, "Deployment failed: deployment/checkout"),
        ({"author_icon": "x"}, "Deployment failed"),
    ):
        message = {**by_app(""), "attachments": [{**failed, **more}]}
        assert name_and_summary(message, None, NAMES)[0] == name


@pytest.mark.parametrize(
    ("kind", "within"), [("unknown", "blocks"), ("container", "child_blocks"), ("rich_text_list", "elements")]
)
def test_blocks_within_blocks_without_end_are_read_as_far_as_slack_would_show_them(
    kind: str, within: str
) -> None:
    block: dict[str, Any] = {"type": "section", "text": "deep"}
    for _ in range(900):
        block = {"type": kind, within: [block]}
    assert name_and_summary({"blocks": [block], "text": "on top"}, None, NAMES) == ("on top", "> on top")
