"""Comments: what of a timeline people wrote, by pages, from the newest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.incidents.comments import comment_id, comments_of, count_comments, page_of, writer
from tocsin.incidents.model import Person, PersonId, TimelineEntry

DAWN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
ANA = Person(slack_user_id=PersonId("U1"), name="Ana")


def entry(minutes: int, verb: str, text: str, by: Person | None = ANA) -> TimelineEntry:
    return TimelineEntry(at=DAWN + timedelta(minutes=minutes), by=by, verb=verb, text=text)


TIMELINE = [
    entry(0, "declared", "checkout is slow (Major)"),
    entry(1, "noted:", "the index was dropped"),
    entry(2, "gave an update:", "rolling back"),
    entry(3, "set the status to", "Fixing"),
    entry(4, "updated", " "),
    entry(5, "commented", "from DevRev", Person(name="Chloe")),
    entry(6, "Ben Okafor noted:", "from incident.io", Person(name="Tocsin's key")),
    entry(7, "resolved it:", "rolled back"),
]


def test_notes_and_updates_with_words_are_comments_and_nothing_else_is() -> None:
    assert [one.text for one in comments_of(TIMELINE)] == [
        "rolled back",
        "from incident.io",
        "from DevRev",
        "rolling back",
        "the index was dropped",
    ]
    assert [writer(one).name for one in comments_of(TIMELINE)] == ["Ana", "Ben Okafor", "Chloe", "Ana", "Ana"]
    counted = count_comments(TIMELINE)
    assert (counted.count, counted.latest) == (5, DAWN + timedelta(minutes=7))
    assert count_comments(TIMELINE[:1]).latest is None


def test_every_comment_is_on_one_page_whatever_is_written_or_taken_out_meanwhile() -> None:
    timeline, seen, cursor = list(TIMELINE), list[str](), ""
    for turn in range(5):
        page = page_of(timeline, cursor, 2)
        seen += [one.text for one in page.comments]
        cursor = page.cursor
        timeline.append(entry(10 + turn, "noted:", f"meanwhile {turn}"))
        # The last one shown is taken out: what follows it is not lost.
        timeline.remove(page.comments[-1])
        if not cursor:
            break
    assert seen == [one.text for one in comments_of(TIMELINE)]


@pytest.mark.parametrize("cursor", ["x", "1", "1/2", "-9/../../etc", "9" * 40])
def test_a_cursor_that_is_none_of_ours_leads_to_no_page(cursor: str) -> None:
    assert page_of(TIMELINE, cursor, 50).comments == ()


def test_a_comment_has_one_id_before_it_is_stored_and_after() -> None:
    written = entry(1, "noted:", "here")
    stored = written.model_copy(update={"id": "01X", "key": "k", "by": None})
    assert comment_id(written) == comment_id(stored) != comment_id(entry(2, "noted:", "here"))
