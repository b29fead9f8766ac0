"""What is taken away can be read back: Markdown by a Markdown reader, JSON and CSV by theirs."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from support.incidents import ANA, DAWN, incident

from tocsin.incidents import export
from tocsin.incidents.export import IncidentReport
from tocsin.incidents.model import ExternalIssue, FollowUp, Person, PersonId, Status, TimelineEntry

CLOSED = Status(id="closed", name="Closed", category="closed")
BEN = Person(slack_user_id=PersonId("U0BEN"), name="Ben Okafor")


def entry(minutes: float, verb: str, text: str = "", by: Person | None = ANA) -> TimelineEntry:
    return TimelineEntry(at=DAWN + timedelta(minutes=minutes), by=by, verb=verb, text=text)


def to_do(text: str, *, done: bool = False, kind: Any = "action") -> FollowUp:
    return FollowUp(
        id=f"id-{text}",
        incident_id="1",
        kind=kind,
        text=text,
        assignee=BEN if done else None,
        is_done=done,
        created_at=DAWN,
        done_at=DAWN + timedelta(hours=1) if done else None,
    )


def whole(**changes: Any) -> IncidentReport:
    """Closed after two hours, with an update after ten minutes."""
    ended = {"incident_status": CLOSED, "closed_at": DAWN + timedelta(hours=2)}
    return IncidentReport(
        incident=incident(**{**ended, **changes}),
        timeline=(
            entry(0, "declared", "Checkout is slow, Major"),
            entry(10, "gave an update:", "A lock in the database.", BEN),
            entry(30, "set the status to", "Fixing"),
            entry(90, "set the status to", "Monitoring"),
            entry(100, "set the status to", "Fixing"),
            entry(120, "set the status to", "Closed"),
        ),
        follow_ups=(to_do("grow the pool"), to_do("write to customers", done=True, kind="follow_up")),
    )


def test_the_issue_and_the_runbook_of_a_follow_up_are_taken_along() -> None:
    issue = ExternalIssue(
        provider="jira", issue_name="OPS-1", issue_permalink="https://jira.example.com/OPS-1"
    )
    item = to_do("grow the pool").model_copy(
        update={"external_issue_reference": issue, "runbook_url": "https://wiki.example.com/pool"}
    )
    report = whole().model_copy(update={"follow_ups": (item,)})
    assert (
        "- [ ] Action: grow the pool · Runbook: <https://wiki.example.com/pool>"
        " · OPS-1: <https://jira.example.com/OPS-1>" in export.as_document(report)
    )
    (record,) = export.report_record(report)["follow_ups"]
    assert record["external_issue_reference"] == issue.model_dump()
    assert record["runbook_url"] == item.runbook_url


def read(text: str) -> list[Token]:
    return MarkdownIt("commonmark").parse(text)


def shown(text: str) -> list[str]:
    """What a reader of Markdown sees, block by block, without its marks."""
    found = []
    for token in read(text):
        if token.type == "inline":
            inner = token.children or []
            # An address in angle brackets is a link to itself.
            assert all(
                c.type
                in {
                    "text",
                    "text_special",
                    "strong_open",
                    "strong_close",
                    "softbreak",
                    "hardbreak",
                    "link_open",
                    "link_close",
                }
                for c in inner
            ), inner
            found.append("".join(c.content if c.content else "\n" * c.type.endswith("break") for c in inner))
    return found


def test_markdown_tells_facts_summary_what_is_to_be_done_and_the_timeline() -> None:
    text = export.render_export(
        [whole(summary="Payments take 40 s.\n\n# not a heading\n- not a list <b>")], "markdown"
    )
    headings = [
        t.content for a, t in zip(read(text), read(text)[1:], strict=False) if a.type == "heading_open"
    ]
    assert headings == ["INC-12: Checkout is slow", "Summary", "Actions and follow-ups", "Timeline"]
    seen = shown(text)
    for said in (
        "Status: Closed",
        "Incident Lead: Ana Torres",
        "Lasted: 2 h",
        "First update after: 10 min",
        "Monitoring after: 1 h 30 min",
        "# not a heading\n- not a list <b>",
        "[ ] Action: grow the pool",
        "[x] Follow-up: write to customers (Ben Okafor)",
        "2026-03-01T03:10:00Z Ben Okafor wrote an update: A lock in the database.",
    ):
        assert said in seen, said


def test_each_duration_counts_from_the_declaration_and_a_status_from_its_first_time() -> None:
    durations = whole().durations
    assert durations.lasted == timedelta(hours=2)
    assert durations.first_update == timedelta(minutes=10)
    assert [status for status, _ in durations.reached] == ["Fixing", "Monitoring", "Closed"]
    assert dict(durations.reached)["Fixing"] == timedelta(minutes=30)


def test_what_is_open_has_not_lasted_yet_and_what_nobody_told_is_not_made_up() -> None:
    durations = IncidentReport(incident=incident()).durations
    assert (durations.lasted, durations.first_update, durations.reached) == (None, None, ())
    record = export.report_record(IncidentReport(incident=incident()))
    assert record["durations"] == {"lasted_seconds": None, "first_update_seconds": None, "reached": []}


def test_json_is_incident_ios_object_with_timeline_follow_ups_and_durations() -> None:
    (record,) = json.loads(export.render_export([whole()], "json"))["incidents"]
    assert record["reference"] == "INC-12"
    assert record["closed_at"] == "2026-03-01T05:00:00Z"
    assert record["durations"]["lasted_seconds"] == 7200
    assert record["durations"]["reached"][0] == {"incident_status": "Fixing", "after_seconds": 1800}
    assert [one["status"] for one in record["follow_ups"]] == ["outstanding", "completed"]
    assert record["follow_ups"][1]["assignee"]["name"] == "Ben Okafor"
    assert record["follow_ups"][1]["completed_at"] == "2026-03-01T04:00:00Z"
    assert record["timeline"][1]["actor"]["user"]["slack_user_id"] == "U0BEN"
    assert json.loads(export.as_json([incident()]))["incidents"][0]["reference"] == "INC-12"


def test_csv_has_a_row_for_each_incident_with_its_sums() -> None:
    first, second = csv.DictReader(
        io.StringIO(export.render_export([whole(), IncidentReport(incident=incident())], "csv"))
    )
    assert (first["lasted_seconds"], first["first_update_seconds"]) == ("7200", "600")
    assert (first["timeline_entries"], first["follow_ups"], first["open_follow_ups"]) == ("6", "2", "1")
    assert first["people"] == "Ana Torres; Ben Okafor"
    assert (second["lasted_seconds"], second["closed_at"]) == ("", "")
    (plain,) = csv.DictReader(io.StringIO(export.as_csv([whole().incident])))
    assert (plain["reference"], plain["timeline_entries"]) == ("INC-12", "")


def test_an_incident_without_anything_optional_can_be_taken_away() -> None:
    bare = incident(severity=None, permalink=None, creator=Person(), incident_role_assignments=())
    assert export.as_document(IncidentReport(incident=bare)).startswith("# INC-12: Checkout is slow\n")
    for wanted in export.ENDINGS:
        assert export.render_export([IncidentReport(incident=bare)], wanted)
    assert len(export.as_csv([bare]).splitlines()) == 2


OPENINGS = st.sampled_from(["", "=", "+", "-", "@", "\t=", " =", "\r", "\n+"])


@given(st.text(max_size=60), OPENINGS)
def test_no_cell_of_a_csv_is_a_formula_and_every_cell_is_there(text: str, opening: str) -> None:
    hostile = IncidentReport(
        incident=incident(name=opening + text, summary=text),
        timeline=(entry(1, "noted:", text, Person(name=opening + text)),),
        follow_ups=(to_do(opening + text),),
    )
    for written in (export.as_csv([hostile.incident]), export.render_export([hostile], "csv")):
        header, row = csv.reader(io.StringIO(written, newline=""))
        assert tuple(header) == export.CSV_COLUMNS
        assert len(row) == len(header)
        for cell in row:
            assert cell.lstrip()[:1] not in set("=+-@") or cell == ""
        assert row[2].removeprefix("'") == opening + text or row[2] == opening + text


SIGNS = "=+-@" + "\uff1d\uff0b\uff0d\uff20" + "\ufe66\ufe62\ufe63\ufe6b" + "\u207a\u208c\u2212"
UNSEEN = (
    "", " ", "\u00a0", "\u200b", "\ufeff", "\u200d\u200c", "\u2060", "\u00ad", "\u180e", "\u2800", "\u3164",
    "\u115f", "\u034f", "\ufe0f", "\u202e", "\U000e0020", "\x00", "\x0b", "\x1b", "\u200b \ufeff\t",
)  # fmt: skip


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_a_sign_in_any_width_behind_anything_that_nobody_sees_begins_no_formula(
    sign: str, unseen: str
) -> None:
    (row,) = csv.DictReader(io.StringIO(export.as_csv([incident(name=f"{unseen}{sign}cmd")]), newline=""))
    assert row["name"] == f"'{unseen}{sign}cmd"


@pytest.mark.parametrize("name", ["checkout is slow", "\u200bname", "50 % = half", "– a dash", "é", ""])
def test_what_begins_no_formula_is_written_as_it_is(name: str) -> None:
    (row,) = csv.DictReader(io.StringIO(export.as_csv([incident(name=name)]), newline=""))
    assert row["name"] == name


@given(st.text(max_size=80))
def test_no_text_breaks_out_of_its_line_in_markdown(text: str) -> None:
    def told(said: str) -> IncidentReport:
        return IncidentReport(
            incident=incident(name=said), timeline=(entry(1, "noted:", said),), follow_ups=(to_do(said),)
        )

    lines = export.as_document(told(text)).split("\n")
    assert len(lines) == len(export.as_document(told("")).split("\n"))
    tokens = [token.type for token in read(export.as_document(told(f"x{text}")))]
    assert tokens == [token.type for token in read(export.as_document(told("x")))]


@pytest.mark.parametrize(
    "said", ["![](@U0BEN)", "[now](http://evil)", "<!channel>", "**loud**", "`code`", "a|b"]
)
def test_what_people_wrote_is_no_markup_link_or_mention(said: str) -> None:
    text = export.as_document(IncidentReport(incident=incident(), timeline=(entry(1, "noted:", said),)))
    assert shown(text)[-1].endswith(said)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("1200.5 orders lost", "1200.5 orders lost"), ("1. Orders", "1\\. Orders"), ("- Orders", "\\- Orders")],
)
def test_a_number_in_markdown_stays_a_number_and_never_starts_a_list(name: str, escaped: str) -> None:
    text = export.as_document(IncidentReport(incident=incident(summary=name)))
    assert f"{escaped}\n" in text.replace("  \n", "\n")


def test_a_files_name_says_which_incident_and_when_it_was_asked_for() -> None:
    assert export.file_name(incident(), "csv", DAWN) == "inc-12-20260301t030000z.csv"
    assert export.file_name(incident(reference="../INC 1"), "json", DAWN) == "---inc-1-20260301t030000z.json"
