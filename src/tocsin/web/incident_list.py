"""The page of incidents: open ones first, then those in triage, then closed ones; also as JSON and as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.export import as_csv, as_record, csv_row
from tocsin.incidents.model import Incident, StatusGroup
from tocsin.incidents.requests import ListedIncidents
from tocsin.web import list_filters
from tocsin.web.auth import Viewer
from tocsin.web.list_filters import AFTER, CATEGORY, GROUPS, ME, PERSON, ListFilters, read_filters
from tocsin.web.pages import PAGE, Pages, wants_json

FORMAT, CSV = "format", "csv"
AT_ONCE = 100
"""Incidents of a file that are read at a time; no more are in memory."""

NOWHERE = "The list has no such place to go on from"
NO_SUCH_PLACE = f"{NOWHERE}, so this is its beginning."
INCOMPLETE = "This file is not complete, the list could not be read any further"
ONLY_NEWEST = "only the newest thousand were looked through"


@dataclass
class Section:
    """One part of the list on a page."""

    group: StatusGroup
    incidents: list[Incident]
    is_whole: bool
    """True if the part begins and ends on this page, so that its incidents can be counted."""

    @property
    def heading(self) -> str:
        return GROUPS[self.group]


@dataclass
class PageOfList:
    """Contents of one page of the list."""

    sections: list[Section] = field(default_factory=list)
    after: str | None = None
    """Place of the next page: a part of the list and the backend's cursor in it."""
    is_cut: bool = False

    @property
    def incidents(self) -> list[Incident]:
        return [incident for section in self.sections for incident in section.incidents]


@dataclass(frozen=True)
class IncidentList:
    """Endpoint of `/incidents`."""

    pages: Pages

    async def incidents(self, request: Request, viewer: Viewer) -> Response:
        given = request.query_params.multi_items()
        try:
            form = await self.pages.backend.form()
            filters = read_filters(given, form, viewer, self.pages.backend.cannot_filter_by)
            after = request.query_params.get(AFTER) or None
            if wants_json(request):
                return await self._json(viewer, filters, after)
            if request.query_params.get(FORMAT, "").lower() == CSV:
                return await self._csv(viewer, filters, only_head=request.method == "HEAD")
            if any(name not in (AFTER, FORMAT) and not value for name, value in given):
                # A form sends its empty fields too: an address to share has only what was chosen.
                chosen = {name: value for name, value in given if value}
                return self.pages.answer(RedirectResponse(ListFilters(form, given=chosen).address(), 303))
            return await self._html(request, viewer, filters, after)
        except TocsinError as error:
            return self.pages.unavailable(request, error)

    async def _html(
        self, request: Request, viewer: Viewer, filters: ListFilters, after: str | None
    ) -> Response:
        try:
            listed = await self._listed(viewer, filters, after)
        except Refused as refusal:
            if AFTER not in refusal.fields:
                raise
            filters.notes.append(NO_SUCH_PLACE)
            after, listed = None, await self._listed(viewer, filters, None)
        found = {
            "filters": filters,
            "listed": listed,
            "active": filters.active(listed.incidents),
            "tabs": _tabs(filters, viewer),
            "has_types": len(filters.offered.incident_types) > 1,
            "slack_url": self.pages.slack_url,
            "form": filters.form,
            "after": after,
            "next_page": filters.address(after=listed.after) if listed.after else None,
            "as_csv": filters.address(format=CSV),
        }
        return self.pages.html(request, "incidents.html", found)

    async def _listed(self, viewer: Viewer, filters: ListFilters, after: str | None) -> PageOfList:
        listed = await self._parts(viewer, filters, after)
        if await self.pages.introduced(listed.incidents):
            listed = await self._parts(viewer, filters, after)
        return listed

    async def _parts(self, viewer: Viewer, filters: ListFilters, after: str | None) -> PageOfList:
        """Fill a page with one part of the list after the other.

        Raises Refused, with the field `after`, for a place that is none.
        """
        groups, listed, place, last = _groups(filters, after), PageOfList(), None, None
        if after is not None:
            place = after.partition(".")[2]
        room = PAGE
        for group in groups:
            page = await self._page(viewer, filters, group=group, after=place, limit=max(room, 1))
            if not room:
                if page.incidents or page.after:
                    listed.after = last
                    break
                continue
            if page.incidents:
                is_whole = place is None and page.after is None
                listed.sections.append(Section(group, list(page.incidents), is_whole))
                room -= len(page.incidents)
                last = f"{group}.{page.incidents[-1].id}"
            if page.after is not None or page.is_cut:
                listed.after = page.after and f"{group}.{page.after}"
                listed.is_cut = page.is_cut
                break
            place = None
        return listed

    async def _page(
        self,
        viewer: Viewer,
        filters: ListFilters,
        *,
        group: StatusGroup | None,
        after: str | None,
        limit: int,
    ) -> ListedIncidents:
        """Return the next incidents that this viewer may see. Raises TocsinError."""
        wanted = filters.incident_query(viewer, group=group, after=after, limit=limit)
        page = await self.pages.backend.listed(wanted)
        seen = tuple(incident for incident in page.incidents if viewer.may_see(incident))
        return page.model_copy(update={"incidents": seen})

    async def _json(self, viewer: Viewer, filters: ListFilters, after: str | None) -> Response:
        """Respond with the newest incidents of all parts, as incident.io lists them."""
        group = filters.query.get("group")
        page = ListedIncidents()
        try:
            page = await self._page(viewer, filters, group=group, after=after, limit=PAGE)
            if await self.pages.introduced(page.incidents):
                page = await self._page(viewer, filters, group=group, after=after, limit=PAGE)
        except Refused as refusal:
            if AFTER not in refusal.fields:
                raise
            filters.notes.append(f"{NOWHERE}.")
        if page.is_cut and page.after is None:
            filters.notes.append(f"{ONLY_NEWEST.capitalize()}.")
        records = [as_record(incident) for incident in page.incidents]
        meta = {"page_size": PAGE, **({"after": page.after} if page.after else {})}
        notes = {"warnings": filters.notes} if filters.notes else {}
        return self.pages.answer(JSONResponse({"incidents": records, "pagination_meta": meta, **notes}))

    async def _csv(self, viewer: Viewer, filters: ListFilters, *, only_head: bool) -> Response:
        """Respond with all pages as one file. Its first part is read before anything is sent."""
        rows = self._rows(viewer, filters)
        first = await anext(rows)

        async def parts() -> AsyncIterator[str]:
            yield first
            if only_head:
                return
            try:
                async for part in rows:
                    yield part
            except TocsinError as error:
                yield csv_row([f"{INCOMPLETE}: {error}"])

        headers = {"Content-Disposition": 'attachment; filename="incidents.csv"'}
        return self.pages.answer(StreamingResponse(parts(), headers=headers, media_type="text/csv"))

    async def _rows(self, viewer: Viewer, filters: ListFilters) -> AsyncIterator[str]:
        after, group = None, filters.query.get("group")
        is_first = True
        while is_first or after is not None:
            page = await self._page(viewer, filters, group=group, after=after, limit=AT_ONCE)
            if await self.pages.introduced(page.incidents):
                page = await self._page(viewer, filters, group=group, after=after, limit=AT_ONCE)
            yield as_csv(page.incidents, header=is_first)
            after, is_first = page.after, False
        if page.is_cut:
            yield csv_row([f"{INCOMPLETE}: {ONLY_NEWEST}"])


def _groups(filters: ListFilters, after: str | None) -> Sequence[StatusGroup]:
    """Return the parts of the list that are wanted, from this place on.

    Raises Refused, with the field `after`, for a place that is none.
    """
    groups = [one for one in GROUPS if filters.group in (None, one)]
    if after is None:
        return groups
    begun = after.partition(".")[0]
    found = [n for n, one in enumerate(groups) if one == begun]
    if not found:
        raise Refused(NO_SUCH_PLACE, {AFTER: NO_SUCH_PLACE})
    return groups[found[0] :]


@dataclass(frozen=True)
class Tab:
    """A link to a part of the list; `is_here` if it is the one that is shown."""

    text: str
    address: str
    is_here: bool


def _tabs(filters: ListFilters, viewer: Viewer) -> list[Tab]:
    group = filters.query.get("group")
    tabs = [Tab("All", filters.address(**{CATEGORY: None}), group is None)]
    for one, heading in GROUPS.items():
        address = filters.address(**{CATEGORY: one, list_filters.STATUS: None})
        tabs.append(Tab(heading, address, group == one))
    if viewer.signed is not None and filters.can(PERSON):
        is_mine = filters.given.get(PERSON) == ME
        tabs.append(Tab("Mine", filters.address(**{PERSON: None if is_mine else ME}), is_mine))
    return tabs
