"""What a call to Slack carries: something of which incidents, for which readers. The gate judges it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tocsin.incidents.model import ChannelId, Incident, PersonId

SAYING_NOTHING = frozenset(
    {
        "auth.test",
        "bookmarks.list",
        "canvases.delete",
        "chat.delete",
        "conversations.archive",
        "conversations.history",
        "conversations.info",
        "conversations.join",
        "conversations.kick",
        "conversations.members",
        "conversations.open",
        "conversations.replies",
        "files.delete",
        "pins.add",
        "pins.list",
        "reactions.add",
        "reactions.get",
        "usergroups.list",
        "usergroups.users.list",
        "users.conversations",
        "users.info",
        "users.list",
    }
)
"""Slack's methods that carry nothing of an incident; every other one must say what it carries."""


@dataclass(frozen=True)
class InChannel:
    """Everybody who reads a channel, now or later."""

    channel: ChannelId


@dataclass(frozen=True)
class Alone:
    """One person: a direct message, a modal, Home, or an answer that only they see."""

    person: PersonId | None


@dataclass(frozen=True)
class NewChannel:
    """Everybody who will read a channel that is about to be made."""

    is_private: bool


@dataclass(frozen=True)
class Joining:
    """People who are about to be brought into an incident's channel, where they read everything."""

    channel: ChannelId
    people: frozenset[PersonId]


@dataclass(frozen=True)
class Anybody:
    """Whoever: what a workflow is told, its later steps may post anywhere."""


Readers = InChannel | Alone | NewChannel | Joining | Anybody


@dataclass(frozen=True)
class Disclosure:
    """What a call carries: something of these incidents, for these readers."""

    incidents: tuple[Incident, ...]
    readers: Readers
    at_hand: bool = False
    """Judge open incidents by what is at hand of them, so that nobody is asked before a form opens."""


NOTHING = Disclosure((), Anybody())
"""The call carries nothing of an incident."""


def shown_to(person: PersonId | None, *incidents: Incident) -> Disclosure:
    """Something of the incidents, for one person alone."""
    return Disclosure(incidents, Alone(person))


def listed_to(person: PersonId | None, incidents: Iterable[Incident]) -> Disclosure:
    """Some of the open incidents in a form, for one person alone; what is at hand of them is what counts."""
    return Disclosure(tuple(incidents), Alone(person), at_hand=True)


def posted_to(to: str, incident: Incident | None) -> Disclosure:
    """Something of an incident, if of any, posted to a channel or in a direct message to a person."""
    if incident is None:
        return NOTHING
    return Disclosure((incident,), Alone(PersonId(to)) if is_person(to) else InChannel(ChannelId(to)))


def is_person(to: str) -> bool:
    """Return whether an id is a person's (Slack: U… and W…)."""
    return to.startswith(("U", "W"))
