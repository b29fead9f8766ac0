"""Disclosures: the incidents in a call to Slack, and the call's readers. The gate checks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tocsin.incidents.model import ChannelId, Incident, PersonId

SAYING_NOTHING = frozenset(
    {
        "auth.test",
        "blocks.validate",
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
        "users.lookupByEmail",
    }
)
"""Slack's methods that carry nothing of an incident; calls of all others must state a disclosure."""


@dataclass(frozen=True)
class InChannel:
    """All people who read a channel, now or later."""

    channel: ChannelId


@dataclass(frozen=True)
class Alone:
    """One person, who reads a direct message, a modal, Home or an ephemeral answer."""

    person: PersonId | None


@dataclass(frozen=True)
class NewChannel:
    """All people who will read a channel that is about to be created."""

    is_private: bool


@dataclass(frozen=True)
class Joining:
    """People who are about to be invited to an incident's channel, where they read everything."""

    channel: ChannelId
    people: frozenset[PersonId]


@dataclass(frozen=True)
class Anybody:
    """Unknown readers: later steps of a workflow may post a step's outputs anywhere."""


Readers = InChannel | Alone | NewChannel | Joining | Anybody


@dataclass(frozen=True)
class Disclosure:
    """Content of a call: something of these incidents, for these readers."""

    incidents: tuple[Incident, ...]
    readers: Readers
    at_hand: bool = False
    """Judge open incidents by the cache, so that a form opens without asking the backend."""


NOTHING = Disclosure((), Anybody())
"""Disclosure of a call that carries nothing of an incident."""


def shown_to(person: PersonId | None, *incidents: Incident) -> Disclosure:
    """Return the disclosure of something of the incidents to one person alone."""
    return Disclosure(incidents, Alone(person))


def listed_to(person: PersonId | None, incidents: Iterable[Incident]) -> Disclosure:
    """Return the disclosure of open incidents in a form to one person alone, judged by the cache."""
    return Disclosure(tuple(incidents), Alone(person), at_hand=True)


def posted_to(to: str, incident: Incident | None) -> Disclosure:
    """Return the disclosure of an incident, if any, that is posted to a channel or sent to a person."""
    if incident is None:
        return NOTHING
    return Disclosure((incident,), Alone(PersonId(to)) if is_person(to) else InChannel(ChannelId(to)))


def is_person(to: str) -> bool:
    """True if an id is a person's (Slack: U… and W…)."""
    return to.startswith(("U", "W"))
