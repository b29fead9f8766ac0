"""Who may do what: a person's standing in the workspace, a verb, and an incident, to yes or a sentence.

Declaring a public incident fails open: an alarm that is not rung is worse than one too many. Everything
else fails closed. A private incident is for its members alone, and to others it is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, get_args

from pydantic import Field

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Frozen, Incident, PersonId
from tocsin.incidents.validation import visible_to


class Membership(Enum):
    """What somebody is in the workspace (Slack, users.info)."""

    MEMBER = "member"
    GUEST = "guest"
    SINGLE_CHANNEL_GUEST = "single_channel_guest"
    STRANGER = "stranger"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    UNKNOWN = "unknown"
    """Slack could not be asked, or says nothing about this person."""

    @property
    def is_guest(self) -> bool:
        return self in {Membership.GUEST, Membership.SINGLE_CHANNEL_GUEST}


Verb = Literal[
    "declare",
    "list",
    "show",
    "update",
    "status",
    "severity",
    "role",
    "rename",
    "summary",
    "private",
    "note",
    "follow_up",
    "close",
    "reopen",
    "cancel",
    "decline",
    "merge",
    "export",
    "document",
    "keep",
]
VERBS: tuple[Verb, ...] = get_args(Verb)

READING: frozenset[Verb] = frozenset({"list", "show", "export"})
ENDING: frozenset[Verb] = frozenset({"close", "cancel", "decline", "merge"})
"""What takes an incident out of everybody's sight."""

WORKING: frozenset[Verb] = frozenset({"show", "update", "status", "severity", "summary", "note", "follow_up"})
"""What a guest may do for an incident in which they were given a role."""

NOT_SEEN = "There is no such incident, or it is not yours to see."
"""Said of a private incident to those who may not know of it, and of one that never was: word for word."""

UNCHECKED = "could not be checked: Slack did not say who they are"

_DOING: dict[Verb, str] = {
    "declare": "declare incidents",
    "list": "list incidents",
    "show": "see incidents",
    "update": "post updates",
    "status": "change an incident's status",
    "severity": "change an incident's severity",
    "role": "hand out roles",
    "rename": "rename incidents",
    "summary": "change an incident's summary",
    "private": "make incidents private",
    "note": "add to an incident's timeline",
    "follow_up": "add follow-ups",
    "close": "close incidents",
    "reopen": "reopen incidents",
    "cancel": "cancel incidents",
    "decline": "decline incidents",
    "merge": "merge incidents",
    "export": "export incidents",
    "document": "write an incident's document",
    "keep": "keep an incident's channel",
}
_STANDINGS = {
    Membership.GUEST: "Guests of this workspace",
    Membership.SINGLE_CHANNEL_GUEST: "Guests of this workspace",
    Membership.STRANGER: "People from another organisation",
    Membership.BOT: "Bots",
    Membership.DEACTIVATED: "Deactivated accounts",
}


_UNFIT = {
    Membership.STRANGER: "{} is from another organisation",
    Membership.BOT: "{} is a bot",
    Membership.DEACTIVATED: "{}’s account is deactivated",
}


def unfit(standing: Membership, name: str) -> str:
    """Why nothing can be given to somebody of this name to take on; empty where it can."""
    why = _UNFIT.get(standing, "").format(name)
    return f"{why}, so they cannot take this on. Choose another person." if why else ""


class PermissionLimits(Frozen):
    """To which user groups some verbs are limited; an empty one limits nothing."""

    declare: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    guests_may_declare: bool = False

    def groups(self, verb: Verb, *, private: bool = False) -> tuple[tuple[str, ...], ...]:
        """The groups of each limit that stands in the way of this verb; one of each is needed."""
        found = []
        if verb == "declare":
            found.append(self.declare)
        if verb in ENDING:
            found.append(self.close)
        if verb == "private" or (verb == "declare" and private):
            found.append(self.private)
        return tuple(groups for groups in found if groups)


class Actor(Frozen):
    """Who wants to do something."""

    person: PersonId | None
    standing: Membership
    groups: frozenset[str] | None = frozenset()
    """Those of the limits' user groups that they are in; None where Slack could not be asked."""
    handles: dict[str, str] = Field(default_factory=dict)
    """What people call the user groups, by id, as far as it is known."""


def permitted(
    asker: Actor, verb: Verb, incident: Incident | None, limits: PermissionLimits, *, private: bool = False
) -> str:
    """Whether this may be done: empty where it may, and where it may unchecked, what to note of that.

    `private` is what is about to be declared. Raises Refused with a sentence for the person.
    """
    if incident is not None and not visible_to(asker.person, incident):
        raise Refused(NOT_SEEN)
    fails_open = verb == "declare" and not private
    if asker.standing is Membership.UNKNOWN:
        if fails_open:
            return UNCHECKED
        raise Refused(_unchecked(verb, private))
    if not _has_standing(asker, verb, incident, limits, private):
        raise Refused(_refused(asker.standing, verb))
    for groups in limits.groups(verb, private=private):
        if asker.groups is None:
            if fails_open:
                return "could not be checked: Slack did not say which groups they are in"
            raise Refused(_unchecked(verb, private))
        if not asker.groups & set(groups):
            raise Refused(_limited(verb, [_group(g, asker.handles) for g in groups], private))
    return ""


def _has_standing(
    asker: Actor, verb: Verb, incident: Incident | None, limits: PermissionLimits, private: bool
) -> bool:
    if asker.standing is Membership.MEMBER:
        return True
    if not asker.standing.is_guest:
        return False
    if verb == "declare":
        return limits.guests_may_declare and not private
    return verb in WORKING and incident is not None and asker.person in incident.people


def _refused(standing: Membership, verb: Verb) -> str:
    sentence = f"{_STANDINGS[standing]} may not {_DOING[verb]} here."
    if verb == "declare":
        return f"{sentence} Ask a member of the workspace to declare it for you, now."
    return sentence


def _group(group: str, handles: Mapping[str, str]) -> str:
    """A user group by its handle; the rules name it by that or by its id."""
    handle = group.removeprefix("@") if group.startswith("@") else handles.get(group, "")
    return f"@{handle}" if handle else "a user group"


def _limited(verb: Verb, groups: Sequence[str], private: bool) -> str:
    doing = "declare private incidents" if private and verb == "declare" else _DOING[verb]
    return f"Only members of {' or '.join(groups)} may {doing} here. Ask one of them."


def _unchecked(verb: Verb, private: bool) -> str:
    doing = "declare private incidents" if private else _DOING[verb]
    return f"Slack could not be asked whether you may {doing}, and nothing was done. Try again in a minute."
