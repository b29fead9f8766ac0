"""Finding and listing incidents in DevRev, and searching options."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from tocsin.backends.devrev.account import DevRevAccount, incident_in
from tocsin.backends.devrev.api_models import IncidentResponse, Part, Tag
from tocsin.backends.devrev.client import DevRevRefused, NotAllowed
from tocsin.backends.devrev.create import number_of
from tocsin.incidents.errors import Unavailable
from tocsin.incidents.model import FieldOption, Incident, Status
from tocsin.incidents.requests import IncidentFilter, IncidentQuery, ListedIncidents
from tocsin.incidents.validation import is_in_teams, is_visible_to

MOST_ON_A_PAGE: Final = 100
MOST_PAGES: Final = 20
"""Most pages of DevRev's list that are read for one page of ours, if our own filters leave out most."""

MOST_OPTIONS: Final = 100
NEWEST: Final = ["created_date:desc"]
PARTS: Final = ("product", "capability", "feature", "enhancement", "runnable", "linkable", "component")
TAG_PAGES: Final = 10

CANNOT_FILTER_BY: Final[tuple[str, ...]] = (
    "text",
    "person",
    "incident_type_id",
    "custom_field_entries",
    "oldest_first",
)
"""Filters that DevRev's list does not have, or not for what Tocsin keeps of an incident."""

_DON = re.compile(r"don:[\w:/.+-]{1,200}", re.ASCII)
_REFERENCE = re.compile(r"([A-Z][A-Z0-9]{0,19})-([1-9][0-9]{0,14})", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)


class IncidentReader:
    """Queries for the incidents of one organisation."""

    def __init__(self, account: DevRevAccount) -> None:
        self._account = account
        # Cursor of DevRev's list after an incident, by filter and incident id.
        self._cursors: OrderedDict[str, str] = OrderedDict()
        self._prefix: str | None = None

    async def find(self, reference: str) -> Incident | None:
        """Find an incident by DevRev's id, by `display_id` in any case, or by its bare number."""
        wanted = reference.strip()
        if _NUMBER.fullmatch(wanted):
            prefix = await self._known_prefix()
            wanted = f"{prefix}-{wanted}" if prefix else ""
        if _REFERENCE.fullmatch(wanted):
            wanted = wanted.upper()
        elif not _DON.fullmatch(wanted):
            return None
        response = await self._account.fetch(wanted)
        return None if response is None else await self._account.incident(response)

    async def _known_prefix(self) -> str | None:
        """Return the prefix of references, read from an incident and never guessed."""
        if self._prefix is None:
            answer = await self._account.client.ask("incidents.list", {"limit": 1})
            for response in answer.get("incidents") or ():
                self._prefix = str(response.get("display_id") or "").rpartition("-")[0] or None
        return self._prefix

    async def matching(
        self, wanted: IncidentFilter, *, after: str | None = None, limit: int = 50
    ) -> Sequence[Incident]:
        """Return matching incidents, newest first, at most a hundred.

        Filters that DevRev lacks are applied here.
        """
        if wanted.reference:
            named = await self.find(wanted.reference)
            return [named] if named is not None and _fits(named, wanted) else []
        asked = await self._asked(wanted)
        if asked is None:
            return []
        return await self._page(asked, lambda incident: _fits(incident, wanted), after, limit)

    async def _asked(self, wanted: IncidentFilter) -> dict[str, Any] | None:
        """Return the filter for DevRev (Incidents, List); None if nothing can match."""
        of_kind = None if wanted.is_open is None else (lambda status: status.is_open is wanted.is_open)
        return await self._filter(wanted.severity_id, wanted.incident_status_id, of_kind)

    async def _filter(
        self, severity_id: str | None, status_id: str | None, of_kind: Callable[[Status], bool] | None
    ) -> dict[str, Any] | None:
        asked: dict[str, Any] = {}
        if severity_id is not None:
            asked["severity"] = [number_of(severity_id, "severity_id")]
        stages: list[str] | None = None if status_id is None else [status_id]
        if of_kind is not None:
            statuses = (await self._account.known_choices()).statuses
            fitting = [status.id for status in statuses if of_kind(status)]
            if statuses:
                stages = fitting if stages is None else [stage for stage in stages if stage in fitting]
        if stages is not None:
            asked["stage"] = stages
        return None if stages == [] else asked

    async def listed(self, wanted: IncidentQuery) -> ListedIncidents:
        """Return a page of DevRev's list, newest first, without what the viewer may not see."""
        group, limit = wanted.group, max(1, min(wanted.limit, MOST_ON_A_PAGE - 1))
        of_group = None if group is None else (lambda status: status.group == group)
        asked = await self._filter(wanted.severity_id, wanted.incident_status_id, of_group)
        if asked is None:
            return ListedIncidents()
        created = {"after": wanted.created_from, "before": wanted.created_before}
        if limits := {name: at.isoformat() for name, at in created.items() if at is not None}:
            asked["created_date"] = {"type": "range", **limits}

        def fits(incident: Incident) -> bool:
            return (
                _fits(incident, IncidentFilter(visible_to=wanted.visible_to, teams=wanted.teams))
                and (group is None or incident.incident_status.group == group)
                and (wanted.created_before is None or incident.created_at < wanted.created_before)
            )

        found = await self._page(asked, fits, wanted.after, limit + 1)
        shown = tuple(found[:limit])
        return ListedIncidents(incidents=shown, after=shown[-1].id if len(found) > limit else None)

    async def _page(
        self, asked: dict[str, Any], fits: Callable[[Incident], bool], after: str | None, limit: int
    ) -> Sequence[Incident]:
        limit = max(0, min(limit, MOST_ON_A_PAGE))
        asked = {**asked, "sort_by": NEWEST}
        cursor = None if after is None else self._cursors.get(f"{asked}{after}")
        seen = set[str]()
        if after is not None and cursor is None:
            last = await self._account.fetch(after) if _DON.fullmatch(after) else None
            if last is None or last.created_date is None:
                return []
            limits = asked.get("created_date", {"type": "range"})
            asked["created_date"] = {**limits, "before": last.created_date.isoformat()}
            seen = await self._until(asked, last)
        found: list[Incident] = []
        for _ in range(MOST_PAGES):
            if len(found) >= limit:
                break
            room = min(limit - len(found) + len(seen), MOST_ON_A_PAGE)
            answer = await self._account.client.ask(
                "incidents.list", {**asked, "limit": room, **({"cursor": cursor} if cursor else {})}
            )
            response = [incident_in({"incident": one}, Unavailable) for one in answer.get("incidents") or ()]
            fresh = [one for one in response if one.id not in seen]
            incidents = await asyncio.gather(*(self._account.incident(one) for one in fresh))
            found += [incident for incident in incidents if fits(incident)]
            cursor = answer.get("next_cursor")
            if not cursor:
                break
            if found and len(found) <= limit:
                self._remember(f"{asked}{found[-1].id}", cursor)
        return found[:limit]

    async def _until(self, asked: dict[str, Any], last: IncidentResponse) -> set[str]:
        """Return the ids listed up to `last` that were created at the same moment, its own included."""
        seen = set[str]()
        async for one in self._account.client.pages("incidents.list", {**asked, "limit": 50}, "incidents"):
            response = incident_in({"incident": one}, Unavailable)
            if response.created_date is None or response.created_date != last.created_date:
                break
            seen.add(response.id)
            if response.id == last.id:
                return seen
        return {last.id}

    def _remember(self, place: str, cursor: str) -> None:
        self._cursors[place] = cursor
        while len(self._cursors) > 200:
            self._cursors.popitem(last=False)

    async def options(self, field_id: str, typed: str) -> Sequence[FieldOption]:
        """Search parts by free text (Search, Core), or tags by part of their name (Tags, List)."""
        if field_id == "applies_to_parts":
            return await self._parts(typed)
        return await self._tags(typed) if field_id == "tags" else []

    async def _parts(self, typed: str) -> list[FieldOption]:
        words = " ".join(typed.split())[:200]
        if words:
            try:
                asked = {"query": words, "namespaces": list(PARTS), "limit": 50}
                answer = await self._account.client.ask("search.core", asked)
                results = [r for r in answer.get("results") or () if isinstance(r, dict)]
                return _named([Part.model_validate(r["part"]) for r in results if r.get("part")])
            except (DevRevRefused, NotAllowed):
                pass
        answer = await self._account.client.ask("parts.list", {"limit": MOST_OPTIONS})
        parts = [Part.model_validate(part) for part in answer.get("parts") or ()]
        return _named(
            [part for part in parts if words.casefold() in f"{part.name} {part.display_id}".casefold()]
        )

    async def _tags(self, typed: str) -> list[FieldOption]:
        words, found = typed.casefold().strip(), list[Tag]()
        async for one in self._account.client.pages("tags.list", {"limit": 100}, "tags"):
            tag = Tag.model_validate(one)
            if words in tag.name.casefold():
                found.append(tag)
            if len(found) >= MOST_OPTIONS:
                break
        return _named(found)


def _named(found: Sequence[Part | Tag]) -> list[FieldOption]:
    """Return options by DevRev's id; parts of the same name get their `display_id` in the label."""
    names = [one.name for one in found]
    return [
        FieldOption(
            id=one.id,
            value=one.name
            if isinstance(one, Tag) or names.count(one.name) == 1
            else f"{one.name} ({one.display_id})",
            sort_key=position,
        )
        for position, one in enumerate(found[:MOST_OPTIONS])
    ]


def _fits(incident: Incident, wanted: IncidentFilter) -> bool:
    words = wanted.text.casefold().split()
    within = f"{incident.reference} {incident.name} {incident.summary}".casefold()
    return (
        all(word in within for word in words)
        and (wanted.is_open is None or incident.incident_status.is_open is wanted.is_open)
        and (wanted.visible_to is None or is_visible_to(wanted.visible_to, incident))
        and is_in_teams(wanted.teams, incident)
        and (wanted.involving is None or wanted.involving in incident.people)
    )
