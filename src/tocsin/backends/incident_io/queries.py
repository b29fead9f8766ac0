"""Reads at incident.io: one incident, a page of incidents, a timeline."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError

from tocsin.backends.answers import read_answer
from tocsin.backends.incident_io.api_models import (
    IncidentResponse,
    Response,
    TimelineResponse,
    UpdateResponse,
)
from tocsin.backends.incident_io.client import ApiError, Client
from tocsin.backends.incident_io.mapping import DAWN, actor_of
from tocsin.incidents.errors import Refused, Unavailable
from tocsin.incidents.model import OPEN_CATEGORIES, TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import IncidentFilter, IncidentQuery

T = TypeVar("T", bound=Response)

MOST_ON_A_PAGE = 250  # incident.io, Incidents V2 List: page_size is at most 250

# Without this filter the list leaves out test incidents (Incidents V2, List).
MODES = tuple(("mode[one_of]", mode) for mode in ("standard", "retrospective", "test"))

TO_DOS_LISTED = frozenset({"standard", "retrospective"})
"""Modes of incidents whose actions and follow-ups are listed without a filter (Actions V3, Follow-ups V3)."""

_NUMBER = re.compile(r"(?:[A-Z]{1,10}-)?([1-9][0-9]{0,14})", re.ASCII | re.IGNORECASE)
_ID = re.compile(r"[0-9A-Za-z_-]{4,100}", re.ASCII)


async def pages(
    client: Client, path: str, name: str, query: Sequence[tuple[str, str]] = (), *, most: int, size: int = 250
) -> AsyncIterator[dict[str, Any]]:
    """Yield the items of a list, page by page, until `most` were read. The last page has no `after`."""
    after, seen = "", 0
    while seen < most:
        asked = [*query, ("page_size", str(size)), *([("after", after)] if after else [])]
        answer = await client.fetch(path, asked)
        found = answer.get(name) or []
        for item in found:
            if isinstance(item, dict):
                yield item
        seen += len(found)
        meta = answer.get("pagination_meta") or {}
        after = str(meta.get("after") or "")
        if not after or not found:
            return


def to_do_query(incident_id: str, mode: str) -> list[tuple[str, str]]:
    """Return the query for the actions or follow-ups of an incident of this mode."""
    return [("incident_id", incident_id), *([] if mode in TO_DOS_LISTED else [("incident_mode", mode)])]


async def show(client: Client, reference: str) -> IncidentResponse | None:
    """Return the incident with this id, reference or number, or None if there is none.

    V2 takes a bare number too (Incidents V2, Show).
    """
    wanted = reference.strip()
    number = _NUMBER.fullmatch(wanted)
    if number is None and not _ID.fullmatch(wanted):
        return None
    try:
        answer = await client.fetch(f"/v2/incidents/{number[1] if number else wanted}")
    except ApiError as rejected:
        # incident.io may reject an id of another format instead of answering 404.
        if rejected.status in {400, 404, 410, 422}:
            return None
        raise Refused(str(rejected)) from rejected
    return incident_in(answer)


def incident_in(answer: Any, unsure: type[Unavailable] = Unavailable) -> IncidentResponse:
    """Return the incident of an answer; one page of the documentation shows it without its wrapper.

    Raises `unsure` if it has no id.
    """
    inner = answer.get("incident")
    return read_incident(inner if isinstance(inner, dict) else answer, unsure)


def read_incident(told: Any, unsure: type[Unavailable] = Unavailable) -> IncidentResponse:
    """Return the incident without the parts that are not as documented. Raises `unsure` if it has no id.

    An incident that exists is shown, whatever else incident.io says of it.
    """
    return _read(IncidentResponse, told, unsure)


def _read(kind: type[T], told: Any, unsure: type[Unavailable] = Unavailable) -> T:
    """Return what incident.io told, without its odd parts. Raises `unsure` if nothing is left of it."""
    try:
        return read_answer(kind, told, "incident.io")
    except ValidationError:
        raise unsure("incident.io's answer was not understood.") from None


async def newest(
    client: Client, query: Sequence[tuple[str, str]], *, after: str | None, limit: int
) -> list[IncidentResponse]:
    """Return a page of incidents, newest first, 250 at most; none if `after` is an unknown id."""
    size = max(1, min(limit, MOST_ON_A_PAGE))
    asked = [*query, *MODES, ("page_size", str(size)), *([("after", after)] if after else [])]
    try:
        answer = await client.fetch("/v2/incidents", asked)
    except ApiError as rejected:
        if after and rejected.status in {400, 404, 422}:
            return []
        raise Refused(str(rejected)) from rejected
    listed = answer.get("incidents") or []
    return [read_incident(item) for item in listed if isinstance(item, dict) and item.get("id")][:limit]


def query_of(wanted: IncidentFilter) -> list[tuple[str, str]]:
    """Return the filters that incident.io applies (Incidents V2, List); `matching` applies the others."""
    query = []
    if wanted.is_open is not None:
        operator = "one_of" if wanted.is_open else "not_in"
        query += [(f"status_category[{operator}]", category) for category in sorted(OPEN_CATEGORIES)]
    if wanted.severity_id:
        query.append(("severity[one_of]", wanted.severity_id))
    if wanted.incident_status_id:
        query.append(("status[one_of]", wanted.incident_status_id))
    return query


CANNOT_FILTER_BY: tuple[str, ...] = ("text", "person")
"""Filters that the list of incident.io does not have for words and for Slack's people."""


def list_query_of(wanted: IncidentQuery) -> list[tuple[str, str]]:
    """Return the filters and the order of incident.io's list (Incidents V2, List)."""
    query = []
    if wanted.group == "triage":
        query.append(("status_category[one_of]", "triage"))
    elif wanted.group is not None:
        operator = "one_of" if wanted.group == "open" else "not_in"
        known = OPEN_CATEGORIES - ({"triage"} if wanted.group == "open" else frozenset())
        query += [(f"status_category[{operator}]", category) for category in sorted(known)]
    named = {
        "status[one_of]": wanted.incident_status_id,
        "severity[one_of]": wanted.severity_id,
        "incident_type[one_of]": wanted.incident_type_id,
        "created_at[gte]": wanted.created_from and written(wanted.created_from),
        "created_at[lte]": wanted.created_before
        and written(wanted.created_before - timedelta(milliseconds=1)),
        **{f"custom_field[{id}][one_of]": value for id, value in wanted.custom_field_entries.items()},
        "sort_by": "created_at_oldest_first" if wanted.oldest_first else None,
    }
    return query + [(name, value) for name, value in named.items() if value]


async def happened(client: Client, incident_id: str, declared_at: datetime) -> list[TimelineEntry]:
    """Return updates and timeline items, oldest first."""
    query = (("incident_id", incident_id),)
    found = list(_told(await _updates(client, incident_id), declared_at))
    async for item in pages(
        client, "/v2/incident_timeline_items", "incident_timeline_items", query, most=1000
    ):
        noted = _read(TimelineResponse, item)
        found.append(
            TimelineEntry(
                at=noted.timestamp or DAWN,
                by=actor_of(noted.creator),
                verb=noted.title,
                text=noted.description,
            )
        )
    return sorted(found, key=lambda entry: entry.at)


async def _updates(client: Client, incident_id: str) -> list[UpdateResponse]:
    query = (("incident_id", incident_id),)
    found = pages(client, "/v2/incident_updates", "incident_updates", query, most=1000)
    return [_read(UpdateResponse, item) async for item in found]


async def merged_into(client: Client, incident_id: str) -> str | None:
    """Return the incident of the last update that says so (Incident Updates V2, List).

    Returns None also if incident.io refuses to list them.
    """
    try:
        said = [one for one in await _updates(client, incident_id) if one.merged_into_incident_id]
    except ApiError:
        return None
    newest = max(said, key=lambda one: one.created_at or DAWN, default=None)
    return newest.merged_into_incident_id if newest is not None else None


DECLARING = timedelta(minutes=1)
"""Time after its declaration within which the first update of an incident tells how it was declared."""


def _told(updates: Iterable[UpdateResponse], declared_at: datetime) -> Iterator[TimelineEntry]:
    """Yield an entry for each new status, each new severity and each message, oldest first.

    An update has the status and the severity that the incident had then, also if neither was new.
    """
    held = dict[str, str]()
    for update in sorted(updates, key=lambda one: one.created_at or DAWN):
        at, by = update.created_at or DAWN, actor_of(update.updater)
        if not held and timedelta() <= at - declared_at <= DECLARING:
            at = declared_at
        status, severity = update.new_incident_status, update.new_severity
        for verb, name in (
            (Verb.STATUS.timeline, status.name if status else ""),
            (Verb.SEVERITY.timeline, severity.name if severity else ""),
        ):
            if name and held.get(verb) != name:
                held[verb] = name
                yield TimelineEntry(at=at, by=by, verb=verb, text=name)
        if update.message:
            yield TimelineEntry(at=at, by=by, verb=Verb.UPDATE.timeline, text=update.message)


def written(at: datetime) -> str:
    """Format a moment for incident.io: RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
