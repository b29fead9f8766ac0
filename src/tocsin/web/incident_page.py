"""The page of one incident: what it is now, how it went, and what is to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tocsin.incidents.alert_reader import AlertReader
from tocsin.incidents.alerts import Alert
from tocsin.incidents.details import duration
from tocsin.incidents.errors import TocsinError
from tocsin.incidents.export import as_record, holders
from tocsin.incidents.model import FollowUp, Form, Incident, TimelineEntry
from tocsin.incidents.phases import Phase, phases_of
from tocsin.incidents.timeline import KINDS, Kind, TimelineItem, items_of
from tocsin.web.auth import Viewer
from tocsin.web.live import LIVE_POLICY, IncidentVersions
from tocsin.web.pages import Pages, wants_json
from tocsin.web.rich_text import Names


@dataclass(frozen=True)
class IncidentPage:
    """Endpoint of the page; live while the incident is open, if `versions` tell when it changes."""

    pages: Pages
    alerts: AlertReader
    versions: IncidentVersions | None = None

    async def find(self, reference: str, viewer: Viewer) -> Incident | None:
        """Return the incident with this reference, id or number; None if the reader may not see it.

        Raises TocsinError.
        """
        wanted = viewer.filter.model_copy(update={"reference": reference})
        found = next(iter(await self.pages.backend.matching(wanted, limit=1)), None)
        return found if found is not None and viewer.may_see(found) else None

    async def show(self, request: Request, viewer: Viewer) -> Response:
        pages = self.pages
        try:
            incident = await self.find(request.path_params["reference"], viewer)
            if incident is None:
                return pages.not_found(request)
            # Before anything else is read: a change that comes meanwhile is shown with the next version.
            is_live = incident.incident_status.is_open and not wants_json(request)
            version = await self.versions.version(incident.id) if self.versions and is_live else None
            timeline = await pages.backend.timeline(incident.id)
            if await pages.introduced([incident], timeline):
                timeline = await pages.backend.timeline(incident.id)
            parts = {} if wants_json(request) else await self._parts(incident.id)
            # Last of all, so that nothing is shown of what has become private meanwhile.
            incident = await self.find(incident.id, viewer)
            if incident is None:
                return pages.not_found(request)
            if wants_json(request):
                return pages.answer(JSONResponse({"incident": as_record(incident, timeline)}))
            found = self._content(request, incident, timeline, **parts)
        except TocsinError as error:
            return pages.unavailable(request, error)
        shown = pages.html(request, "incident.html", {**found, "shown_version": version})
        if version is not None:
            shown.headers["Content-Security-Policy"] = LIVE_POLICY
        return shown

    async def _parts(self, incident_id: str) -> dict[str, Any]:
        """Return what is kept beside the incident, and the form. Raises TocsinError."""
        return {
            "form": await self.pages.backend.form(),
            "follow_ups": await self.pages.backend.follow_ups(incident_id),
            "alerts": await self.alerts.listed(incident_id),
        }

    def _content(
        self,
        request: Request,
        incident: Incident,
        timeline: Sequence[TimelineEntry],
        *,
        form: Form,
        follow_ups: Sequence[FollowUp],
        alerts: Sequence[Alert],
    ) -> dict[str, Any]:
        phases = phases_of(incident, timeline, self.pages.clock(), form.statuses)
        return {
            "incident": incident,
            "names": names_of(incident, timeline, follow_ups),
            "timeline": TimelineView.of(items_of(incident, timeline, form), request.query_params),
            "phases": list(bar(phases, form)),
            "follow_ups": follow_ups,
            "follow_up_states": FOLLOW_UP_STATES,
            "alerts": alerts,
            "alert_sources": self.alerts.names,
            "form": form,
            "slack_url": self.pages.slack_url(incident.slack_team_id),
        }


FOLLOW_UP_STATES = {"outstanding": "Outstanding", "completed": "Completed", "not_doing": "Not doing"}
"""Labels of the statuses of actions and follow-ups (incident.io, Follow-ups V3)."""


def names_of(incident: Incident, timeline: Sequence[TimelineEntry], follow_ups: Sequence[FollowUp]) -> Names:
    """Return the names of the people of an incident and of its channel, by Slack id."""
    acted, assigned = (entry.by for entry in timeline), (one.assignee for one in follow_ups)
    people = [*holders(incident), *incident.members, *acted, *assigned]
    known = {one.slack_user_id: one.name for one in people if one and one.slack_user_id and one.name}
    channel = {incident.slack_channel_id: incident.slack_channel_name}
    return {str(id_): name for id_, name in (channel | known).items() if id_ and name}


# The bar of phases, drawn to scale.

BAR = 1000
"""Width of the bar in its own units."""

GAP, LEAST = 4, 10
"""Units between two phases, and of a phase that is too short to be seen otherwise."""

SHADES = 4
"""Number of colours for live statuses; a later status has the last one."""


class Segment(NamedTuple):
    """A phase in the bar, from `x` on and `width` wide."""

    phase: Phase
    tone: str
    lasted: str
    x: float
    width: float


def bar(phases: Sequence[Phase], form: Form) -> Iterator[Segment]:
    """Yield the phases with their places in the bar, which all of them fill together."""
    if not phases:
        return
    live = [status.name for status in form.statuses if status.category == "live"]
    room = BAR - GAP * (len(phases) - 1)
    least = min(LEAST, room / len(phases) / 2)
    total = sum(phase.lasted.total_seconds() for phase in phases)
    spare, x = room - least * len(phases), 0.0
    for phase in phases:
        width = least + spare * phase.lasted.total_seconds() / total
        yield Segment(phase, _tone(phase, live), duration(phase.lasted), round(x, 1), round(width, 1))
        x += width + GAP


def _tone(phase: Phase, live: Sequence[str]) -> str:
    if phase.category != "live":
        return {"triage": "triage", "paused": "triage", "learning": "learning"}.get(phase.category, "over")
    place = live.index(phase.name) if phase.name in live else 0
    return f"live-{min(place, SHADES - 1)}"


# The timeline: by days, as far as the address asks for it.

KIND, BY, ORDER, NEWEST, BEFORE = "kind", "by", "order", "newest", "before"
"""Names in the query, and the value that turns the order round."""

AT_ONCE = 200
"""Most entries that a page shows: its last ones, and those before them a link away."""


class Choice(NamedTuple):
    """A link that narrows the timeline."""

    label: str
    query: str
    is_chosen: bool
    entries: int = 0


class Day(NamedTuple):
    """The entries of one day in UTC."""

    date: date
    items: tuple[TimelineItem, ...]

    @property
    def label(self) -> str:
        return f"{self.date:%A}, {self.date.day} {self.date:%B %Y}"


@dataclass(frozen=True)
class TimelineView:
    """The timeline of a page, narrowed as its address says."""

    days: tuple[Day, ...]
    kinds: tuple[Choice, ...]
    people: tuple[Choice, ...]
    order: Choice
    found: int
    """Number of entries of that kind and by that person."""
    count: int
    problem: str = ""
    """Sentence on a part of the address that means nothing here."""
    person: str = ""
    earlier: Choice | None = None
    latest: Choice | None = None

    @property
    def is_narrowed(self) -> bool:
        return self.found < self.count

    @classmethod
    def of(cls, items: Sequence[TimelineItem], query: Mapping[str, str]) -> TimelineView:
        kind, person, newest = query.get(KIND, ""), query.get(BY, ""), query.get(ORDER) == NEWEST
        kinds, people = Counter(item.kind for item in items), Counter(item.actor for item in items)
        before = query.get(BEFORE, "")
        problem = _problem(kind, person, query.get(ORDER, ""), people) or _misplaced(before, len(items))
        kind = kind if kind in KINDS else ""
        person = person if person in people else ""
        found = [
            (place, item)
            for place, item in enumerate(items)
            if kind in ("", item.kind) and person in ("", item.actor)
        ]
        # A place among all entries, which stays the same while more are added and when filters change.
        end = int(before) if before and not _misplaced(before, len(items)) else len(items)
        until = [one for one in found if one[0] < end]
        shown = [item for _, item in until[-AT_ONCE:]]
        rest, later = len(until) - len(shown), len(found) - len(until)
        if newest:
            shown.reverse()
        asked = {KIND: kind, BY: person, ORDER: NEWEST if newest else ""}
        return cls(
            days=tuple(_days(shown)),
            kinds=tuple(_kinds(asked, kinds)),
            people=tuple(_people(asked, people)),
            order=Choice(
                "Oldest first" if newest else "Newest first",
                _query(asked, ORDER, "" if newest else NEWEST),
                newest,
            ),
            found=len(found),
            count=len(items),
            problem=problem,
            person=person,
            earlier=_at_place("Earlier entries", asked, str(until[rest][0]), rest) if rest else None,
            latest=_at_place("Latest entries", asked, "", later) if later else None,
        )


def _kinds(asked: Mapping[str, str], kinds: Counter[Kind]) -> Iterator[Choice]:
    yield Choice("Everything", _query(asked, KIND, ""), not asked[KIND], kinds.total())
    for one, label in KINDS.items():
        if kinds[one]:
            yield Choice(label, _query(asked, KIND, one), one == asked[KIND], kinds[one])


def _people(asked: Mapping[str, str], people: Counter[str]) -> Iterator[Choice]:
    yield Choice("Everyone", _query(asked, BY, ""), not asked[BY], people.total())
    for name, count in people.most_common():
        if name:
            yield Choice(name, _query(asked, BY, name), name == asked[BY], count)


def _at_place(label: str, asked: Mapping[str, str], before: str, entries: int) -> Choice:
    return Choice(label, _query(asked, BEFORE, before), False, entries)


def _misplaced(before: str, count: int) -> str:
    """Return a sentence on a place that the timeline does not have; empty for one that it has, or none."""
    if before and not (before.isascii() and before.isdecimal() and len(before) < 10 and int(before) <= count):
        return "There is no such place in this timeline, so its latest entries are shown."
    return ""


def _problem(kind: str, person: str, order: str, people: Mapping[str, int]) -> str:
    if kind and kind not in KINDS:
        return "There is no such kind of entry, so all kinds are shown."
    if person and person not in people:
        return "Nothing in this timeline is by a person of that name, so everyone’s entries are shown."
    if order and order not in (NEWEST, "oldest"):
        return "There is no such order, so the oldest entries come first."
    return ""


def _query(asked: Mapping[str, str], name: str, value: str) -> str:
    """Return the address of the same page with one part of its query changed."""
    wanted = {key: chosen for key, chosen in {**asked, name: value}.items() if chosen}
    return f"?{urlencode(wanted)}#timeline"


def _days(items: Sequence[TimelineItem]) -> Iterator[Day]:
    for day, found in groupby(items, key=lambda item: item.at.astimezone(UTC).date()):
        yield Day(day, tuple(found))


def clock_time(at: datetime) -> str:
    """Format the time of day in UTC: `21:37`."""
    return f"{at.astimezone(UTC):%H:%M}"
