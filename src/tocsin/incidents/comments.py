"""Comments on an incident: the notes and the updates of its timeline, newest first. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from tocsin.incidents.model import FrozenModel, Person, TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.incidents.timeline import kind_of

COMMENTS = UUID("6f1c1c0e-0e0b-5c1f-9a5e-70c51a000003")
_NOTED = Verb.NOTE.timeline

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"(-?[0-9]{1,15})/([0-9a-f-]{36})", re.ASCII)


class CommentCount(FrozenModel):
    """Number of comments, and when the latest was written; None if there is none."""

    count: int = 0
    latest: datetime | None = None


class CommentPage(FrozenModel):
    """Comments, newest first, with the cursor of the page after them; it is empty on the last one."""

    comments: tuple[TimelineEntry, ...] = ()
    cursor: str = ""


def comments_of(timeline: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Return what people wrote, newest first; updates without words are left out."""
    written = [entry for entry in timeline if entry.text.strip() and _is_comment(entry)]
    return sorted(written, key=_place, reverse=True)


def _is_comment(entry: TimelineEntry) -> bool:
    return kind_of(entry) in {"note", "update"} or entry.verb.endswith(f" {_NOTED}")


def count_comments(timeline: Sequence[TimelineEntry]) -> CommentCount:
    found = comments_of(timeline)
    return CommentCount(count=len(found), latest=found[0].at if found else None)


def writer(entry: TimelineEntry) -> Person:
    """Return the author. incident.io keeps a note of ours under its key, with the author in the title."""
    if entry.verb.endswith(f" {_NOTED}"):
        return Person(name=entry.verb.removesuffix(_NOTED).strip())
    return entry.by or Person()


def comment_id(entry: TimelineEntry) -> str:
    """Return an id that is the same before and after the entry is stored, by its moment and its text."""
    return str(uuid5(COMMENTS, f"{_milliseconds(entry.at)}/{entry.text}"))


def page_of(timeline: Sequence[TimelineEntry], cursor: str, limit: int) -> CommentPage:
    """Return at most `limit` comments: the newest, or those after this cursor of an earlier page.

    What was written or taken out meanwhile shifts nothing. A cursor that is none of ours is one of no page.
    """
    found = comments_of(timeline)
    if cursor:
        read = _CURSOR.fullmatch(cursor)
        last = (int(read[1]), read[2]) if read else None
        found = [entry for entry in found if last is not None and _place(entry) < last]
    shown = found[:limit]
    more = len(found) > len(shown) > 0
    return CommentPage(comments=tuple(shown), cursor="{}/{}".format(*_place(shown[-1])) if more else "")


def _place(entry: TimelineEntry) -> tuple[int, str]:
    return _milliseconds(entry.at), comment_id(entry)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
