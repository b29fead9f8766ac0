"""The page *Insights*: figures about the incidents of a range, each with its plot, its table and its CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin.incidents.errors import Refused, TocsinError
from tocsin.incidents.export import inert
from tocsin.incidents.insight_tables import Figures, Table, busiest, figures
from tocsin.incidents.insights import Chosen, CountedDays, InsightSource, added
from tocsin.incidents.model import PersonId
from tocsin.web.auth import Viewer
from tocsin.web.pages import Pages, wants_json
from tocsin.web.plots import Drawing, drawing, numbers

PRESETS = {"4": "4 weeks", "12": "12 weeks", "52": "A year"}
"""Ranges that are one press away, by their number of weeks."""

USUAL = "12"

MOST_DAYS = 3_660
"""Days of the longest range: ten years."""


@dataclass(frozen=True)
class Asked:
    """Range and filters of a request, as far as they could be read."""

    chosen: Chosen
    weeks: str = ""
    """The preset range; "" for days that were typed."""
    problem: str = ""
    """Sentence on what could not be read; then the usual range is shown."""
    zone: tzinfo = UTC
    """Time zone of the hours of the day and of the days of the week."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Text that could not be read as a range, by the name of its input, which still shows it."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Values of the inputs, by their names."""
        zone = "" if self.zone == UTC else str(self.zone)
        first, last = self.chosen.first.isoformat(), self.chosen.last.isoformat()
        return {"from": first, "to": last, "time_zone": zone, **self.refused}

    @property
    def query(self) -> str:
        """The range and the filters for the address of a link."""
        return urlencode({**self._range, **self._filters})

    def query_of(self, weeks: str) -> str:
        """Return the same filters over a preset range."""
        return urlencode({"weeks": weeks, **self._filters})

    @property
    def _range(self) -> dict[str, str]:
        if self.weeks:
            return {"weeks": self.weeks}
        return {"from": self.chosen.first.isoformat(), "to": self.chosen.last.isoformat()}

    @property
    def _filters(self) -> dict[str, str]:
        filters = {"severity": self.chosen.severity, "type": self.chosen.type}
        zone = {"time_zone": str(self.zone)} if self.zone != UTC else {}
        return {**{name: value for name, value in filters.items() if value}, **zone}


def read_range(query: Mapping[str, str], today: date) -> Asked:
    """Return what the address of the page asks for."""
    severity, kind = query.get("severity", ""), query.get("type", "")
    zone: tzinfo = UTC
    weeks = query.get("weeks", "") or USUAL
    typed = {name: query.get(name, "").strip() for name in ("from", "to", "time_zone")}
    try:
        zone = _zone(typed["time_zone"])
        if not query.get("weeks") and (typed["from"] or typed["to"]):
            first, last = _typed(typed["from"], typed["to"], today)
            return Asked(Chosen(first, last, severity, kind), zone=zone)
        if weeks not in PRESETS:
            raise Refused(f"“{weeks}” is no range that there is here. Choose one of those below.")
    except Refused as refusal:
        refused = {name: value for name, value in typed.items() if value}
        usual = Chosen(_weeks_ago(USUAL, today), today, severity, kind)
        return Asked(usual, USUAL, refusal.sentence, zone, refused)
    return Asked(Chosen(_weeks_ago(weeks, today), today, severity, kind), weeks, zone=zone)


def _zone(typed: str) -> tzinfo:
    """Return the time zone with this name; UTC for none. Raises Refused."""
    if typed in {"", "UTC"}:
        return UTC
    try:
        return ZoneInfo(typed)
    except (KeyError, ValueError, OSError):
        # OSError for the name of a folder of zones, such as Europe.
        raise Refused(f"There is no time zone “{typed[:40]}”. Write it as Europe/Berlin.") from None


def _weeks_ago(weeks: str, today: date) -> date:
    """Return the Monday on which so many weeks begin, this one among them."""
    return today - timedelta(days=today.weekday(), weeks=int(weeks) - 1)


def _typed(first: str, last: str, today: date) -> tuple[date, date]:
    end = min(_day(last), today) if last else today
    begin = _day(first) if first else end - min(timedelta(weeks=int(USUAL)), end - date.min)
    if begin > today:
        raise Refused(f"{begin.isoformat()} is still to come.")
    if begin > end:
        raise Refused(f"The range ends on {end.isoformat()}, before it begins on {begin.isoformat()}.")
    if (end - begin).days >= MOST_DAYS:
        raise Refused("A range has ten years at most.")
    return begin, end


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise Refused(f"“{typed[:40]}” is no day. Write it as 2026-03-31.") from None


@dataclass(frozen=True)
class Shown:
    """Figures with what has to be said of them."""

    asked: Asked
    counted: CountedDays
    figures: Figures

    @property
    def plots(self) -> Iterator[tuple[Table, Drawing | None]]:
        for table in self.figures.tables:
            yield table, drawing(table)


@dataclass(frozen=True)
class InsightPages:
    """Endpoints of the page `/insights` and of the CSV of its tables."""

    pages: Pages
    source: InsightSource

    def routes(self) -> list[Route]:
        return [
            Route("/insights", self.pages.require_access(self.insights)),
            Route("/insights/{table}.csv", self.pages.require_access(self.table)),
        ]

    async def insights(self, request: Request, viewer: Viewer) -> Response:
        asked = read_range(request.query_params, self._today)
        try:
            shown = await self._shown(asked, viewer)
        except TocsinError as error:
            return self.pages.unavailable(request, error)
        problem = shown.asked.problem
        if wants_json(request):
            if problem:
                return self.pages.plain(request, 400, "validation_error", problem)
            return self.pages.answer(JSONResponse(_record(shown, viewer)))
        found = {
            "shown": shown,
            "asked": shown.asked,
            "figures": shown.figures,
            "counted": shown.counted,
            "presets": PRESETS,
            "sees_private": viewer.trusted,
            "today": self._today,
        }
        return self.pages.html(request, "insights.html", found, 400 if problem else 200)

    async def table(self, request: Request, viewer: Viewer) -> Response:
        """Respond with one table as CSV, over the range and with the filters of the page."""
        asked = read_range(request.query_params, self._today)
        try:
            shown = await self._shown(asked, viewer)
        except TocsinError as error:
            return self.pages.unavailable(request, error)
        if shown.asked.problem:
            return self.pages.plain(request, 400, "validation_error", shown.asked.problem)
        table = shown.figures.table(request.path_params["table"])
        if table is None:
            return self.pages.not_found(request)
        chosen = shown.asked.chosen
        name = f"{_file_name(table.id)}-{chosen.first.isoformat()}-{chosen.last.isoformat()}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return self.pages.answer(Response(_as_csv(table), media_type="text/csv", headers=headers))

    async def _shown(self, asked: Asked, viewer: Viewer) -> Shown:
        """Return the figures that this reader may see. Raises TocsinError."""
        chosen = asked.chosen
        counted = await self.source.count(chosen, viewer.trusted, viewer.filter.teams)
        if not asked.problem and (problem := _unknown(chosen, counted)):
            plain = Chosen(chosen.first, chosen.last)
            asked = replace(asked, chosen=plain, problem=problem)
        total = await asyncio.to_thread(added, counted.days.values(), asked.chosen)
        people = busiest(total, counted.names)
        names = await self.source.names(people)
        unknown = [person for person in people if person not in names]
        if unknown and await self._introduced(unknown, counted):
            names = await self.source.names(people)
        found = await asyncio.to_thread(figures, counted, asked.chosen, names, self._today, asked.zone)
        return Shown(asked, counted, found)

    async def _introduced(self, people: Sequence[str], counted: CountedDays) -> bool:
        """Look up people's names in their workspaces; True if there are more names now."""
        teams = {cell[0] for day in counted.days.values() for cell in day}
        wanted = [PersonId(person) for person in people]
        return any([await self.pages.introduce(team, wanted) for team in sorted(teams)])

    @property
    def _today(self) -> date:
        return self.pages.clock().astimezone(UTC).date()


def _unknown(chosen: Chosen, counted: CountedDays) -> str:
    """Return a sentence on a filter that names nothing; empty if both do."""
    for word, one, names in (
        ("severity", chosen.severity, counted.names.severities),
        ("type", chosen.type, counted.names.types),
    ):
        if one and one not in names:
            return f"There is no {word} “{one[:40]}”. All are shown."
    return ""


def _file_name(table: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in table)


def _as_csv(table: Table) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([inert(name) for name in _columns(table)])
    for row in numbers(table.rows):
        writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _columns(table: Table) -> list[str]:
    """Return the names of the columns for programs, with the unit of durations."""
    timed = {place for row in table.rows for place, cell in enumerate(row) if isinstance(cell, timedelta)}
    return [f"{name} (seconds)" if place in timed else name for place, name in enumerate(table.columns)]


def _record(shown: Shown, viewer: Viewer) -> dict[str, Any]:
    chosen, counted = shown.asked.chosen, shown.counted
    return {
        "insights": {
            "from": chosen.first.isoformat(),
            "to": chosen.last.isoformat(),
            "severity_id": chosen.severity or None,
            "incident_type_id": chosen.type or None,
            "time_zone": str(shown.asked.zone),
            "private_incidents_are_counted": viewer.trusted,
            "days_still_to_be_counted": counted.missing,
            "days_counted_in_part": [day.isoformat() for day in counted.cut],
            "counted_from_the_newest": counted.newest,
            "incidents": shown.figures.counted,
            "open": shown.figures.open,
            "closed": shown.figures.closed,
            "counted_apart": dict(shown.figures.apart),
            "tables": [
                {
                    "id": table.id,
                    "title": table.title,
                    "columns": _columns(table),
                    "rows": numbers(table.rows),
                    "note": table.note,
                }
                for table in shown.figures.tables
            ],
        }
    }
