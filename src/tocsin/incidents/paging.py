"""Pages: calls of on-call people to an incident, and the events that are sent to a paging service. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FrozenModel, Incident, Person, TeamId, display_name
from tocsin.incidents.validation import ago

RECENT = timedelta(minutes=10)
"""Time in which another page of the same target is asked about."""

GIVE_UP = timedelta(minutes=30)
"""Time after which a page that no service has taken is given up: by then people have been phoned."""

ASKED_FOR = timedelta(hours=1)
"""Time in which a service is asked if a page was acknowledged there."""

REASON_LIMIT = 500
KEY_SHOWN = 8
"""Characters of a page's key that a form carries."""

UNCONFIGURED = (
    "Nobody can be paged from here yet: an administrator names on-call targets under [[paging]] in the "
    "configuration file (`tocsin docs rules`)."
)

Action = Literal["trigger", "acknowledge", "resolve"]


class Acknowledgement(FrozenModel):
    """The person who acknowledged a page, and when."""

    by: Person
    at: datetime


class Page(FrozenModel):
    """A page of one target for one incident; its key is the services' deduplication key."""

    key: str
    incident_id: str
    team: TeamId = TeamId("")
    target: str
    service: str
    by: Person
    at: datetime
    why: str = ""
    after: str = ""
    """Beginning of the key of the target's page before it, which its sender knew of; empty for none."""
    acknowledgement: Acknowledgement | None = None
    ended_at: datetime | None = None
    """Time at which it was resolved, or refused by the service."""


class PageEvent(FrozenModel):
    """One event for a paging service: that a page begins, was acknowledged, or is over."""

    action: Action
    key: str
    """Deduplication key: the same for all events of a page."""
    at: datetime
    summary: str
    reference: str
    permalink: str = ""
    by: str = ""
    """Name of the person who acts; empty if it is not known, or not to be told."""
    details: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class PageTarget:
    """A team or service that can be paged, with the functions that reach its paging service."""

    name: str
    service: str
    """Name of the paging service, for people."""
    send: Callable[[PageEvent], Awaitable[None]]
    """Sends an event. Raises Unavailable, and Refused with the service's sentence."""
    ask: Callable[[str], Awaitable[Acknowledgement | None]] | None = None
    """Asks who acknowledged the page with this key; None if the service cannot be asked."""
    tells_private: bool = False
    """True if events about a private incident carry its name and the reason, too."""

    @property
    def id(self) -> str:
        return self.name


def page_event(action: Action, page: Page, incident: Incident, *, by: Person, at: datetime) -> PageEvent:
    """Return an event with the incident's name and the reason."""
    details = {
        "Reason": page.why,
        "Severity": incident.severity.name if incident.severity else "",
        "Status": incident.incident_status.name,
        "Channel": f"#{incident.slack_channel_name}" if incident.slack_channel_name else "",
        "Paged by": display_name(page.by),
    }
    why = f" ({page.why})" if page.why else ""
    return PageEvent(
        action=action,
        key=page.key,
        at=at,
        summary=f"{incident.reference} {incident.name}{why}",
        reference=incident.reference,
        permalink=incident.permalink or "",
        by=display_name(by),
        details={name: value for name, value in details.items() if value},
    )


def bare_event(action: Action, page: Page, incident: Incident, *, at: datetime) -> PageEvent:
    """Return an event with the incident's reference and link alone: it is private, or may be."""
    return PageEvent(
        action=action,
        key=page.key,
        at=at,
        summary=f"{incident.reference}: you are needed. Open the incident to read why.",
        reference=incident.reference,
        permalink=incident.permalink or "",
    )


def check_pageable(incident: Incident) -> None:
    """Raise Refused for a test, and for an incident that has ended."""
    if incident.mode == "test":
        raise Refused(f"{incident.reference} is a test: nobody is paged for it.")
    if not incident.incident_status.is_open:
        raise Refused(f"{incident.reference} is closed, so nobody is paged for it. Reopen it first.")


def page_again(page: Page, now: datetime) -> str:
    """Return the question to ask before a target is paged again."""
    who = display_name(page.by)
    by = f" by {who}" if who else ""
    return f"{page.target} was paged {ago(page.at, now)}{by}; page again?"


def question_before(page: Page, now: datetime) -> str:
    """Return the question if the page was sent a short while ago and is not over; empty if not."""
    return page_again(page, now) if page.ended_at is None and now - page.at < RECENT else ""
