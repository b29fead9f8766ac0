"""The verbs, and the rules by which a person's membership and groups permit them on an incident.

Declaring a public incident fails open, since a missing alarm is worse than a needless one. Everything else
fails closed. To people without a part in it, a private incident looks as if it did not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum

from pydantic import Field

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import FrozenModel, Incident, PersonId
from tocsin.incidents.validation import is_visible_to


class Membership(Enum):
    """A person's kind of account in the workspace (Slack, users.info)."""

    MEMBER = "member"
    GUEST = "guest"
    SINGLE_CHANNEL_GUEST = "single_channel_guest"
    STRANGER = "stranger"
    BOT = "bot"
    DEACTIVATED = "deactivated"
    UNKNOWN = "unknown"
    """Membership is not known: Slack could not be reached, or says nothing about this person."""

    @property
    def is_guest(self) -> bool:
        return self in {Membership.GUEST, Membership.SINGLE_CHANNEL_GUEST}


class Verb(StrEnum):
    """Action of a person on incidents. Its value is the word typed after `/incident`; forms carry it."""

    doing: str
    """Words for a refusal: `Guests of this workspace may not … here.`"""
    timeline: str
    """Words of its timeline entry before the new value; empty if it has no entry or writes its own."""

    def __new__(cls, value: str, doing: str, timeline: str = "") -> Verb:
        verb = str.__new__(cls, value)
        verb._value_, verb.doing, verb.timeline = value, doing, timeline
        return verb

    DECLARE = "declare", "declare incidents"
    TEST = "test", "test Tocsin"
    RETRO = "retro", "declare incidents"
    LIST = "list", "list incidents"
    FIND = "find", "list incidents"
    SHOW = "show", "see incidents"
    HELP = "help", "read the help"
    UPDATE = "update", "give updates", "gave an update:"
    STATUS = "status", "change an incident's status", "set the status to"
    SEVERITY = "severity", "change an incident's severity", "set the severity to"
    LEAD = "lead", "assign roles"
    ROLE = "role", "assign roles"
    TAKE = "take", "assign roles"
    INVITE = "invite", "invite people to an incident", "invited"
    REMOVE = "remove", "remove people from an incident", "took out"
    RENAME = "rename", "rename incidents", "renamed it to"
    SUMMARY = "summary", "change an incident's summary", "set the summary to"
    CALL = "call", "set an incident's call link", "set the call link to"
    FIELDS = "fields", "change an incident's fields"
    TIME = "time", "set an incident's times", "set the time of"
    PRIVATE = "private", "make incidents private", "made it private"
    NOTE = "note", "add to an incident's timeline", "noted:"
    ACTION = "action", "add follow-ups"
    FOLLOW_UP = "follow-up", "add follow-ups"
    SNOOZE = "snooze", "snooze nudges"
    CLOSE = "close", "close incidents", "resolved it:"
    REOPEN = "reopen", "reopen incidents"
    CANCEL = "cancel", "cancel incidents"
    ACCEPT = "accept", "accept incidents from triage", "accepted it as"
    DECLINE = "decline", "decline incidents"
    MERGE = "merge", "merge incidents"
    EXPORT = "export", "export incidents"
    DOCUMENT = "document", "write an incident's document"
    FOLLOW = "follow", "follow incidents"
    UNFOLLOW = "unfollow", "follow incidents"
    CATCH_UP = "catchup", "see incidents"
    PAGE = "page", "page who is on call"
    KEEP = "keep", "keep an incident's channel"


ENDING = frozenset({Verb.CLOSE, Verb.CANCEL, Verb.DECLINE, Verb.MERGE})
"""Verbs that end an incident, so that it is no longer listed as open."""

WORKING = frozenset(
    {
        Verb.SHOW,
        Verb.UPDATE,
        Verb.STATUS,
        Verb.SEVERITY,
        Verb.SUMMARY,
        Verb.CALL,
        Verb.FIELDS,
        Verb.TIME,
        Verb.NOTE,
        Verb.ACTION,
        Verb.FOLLOW_UP,
        Verb.FOLLOW,
        Verb.UNFOLLOW,
        Verb.CATCH_UP,
        Verb.SNOOZE,
    }
)
"""Verbs that a guest may use on an incident in which they were given a role."""

NOT_SEEN = "There is no such incident, or it is not yours to see."
"""Refusal for a private incident that the person may not see; the same as for one that does not exist."""

UNCHECKED = "could not be checked: Slack did not say who they are"

_KINDS = {
    Membership.GUEST: "Guests of this workspace",
    Membership.SINGLE_CHANNEL_GUEST: "Guests of this workspace",
    Membership.STRANGER: "People from another organization",
    Membership.BOT: "Bots",
    Membership.DEACTIVATED: "Deactivated accounts",
}


_UNFIT = {
    Membership.STRANGER: "{} is from another organization",
    Membership.BOT: "{} is a bot",
    Membership.DEACTIVATED: "{}’s account is deactivated",
}


def unfit(membership: Membership, name: str) -> str:
    """Return the reason why a person cannot be given a role or follow-up; empty if they can."""
    why = _UNFIT.get(membership, "").format(name)
    return f"{why}, so they cannot take this on. Choose another person." if why else ""


class PermissionLimits(FrozenModel):
    """User groups to which some verbs are limited; an empty tuple is no limit."""

    declare: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    guests_may_declare: bool = False

    def groups(self, verb: Verb, *, private: bool = False) -> tuple[tuple[str, ...], ...]:
        """Return the groups of each limit on this verb; a person must be in one group of each limit."""
        found = []
        if verb in {Verb.DECLARE, Verb.ACCEPT, Verb.TEST}:
            found.append(self.declare)
        if verb in ENDING:
            found.append(self.close)
        if verb is Verb.PRIVATE or (verb is Verb.DECLARE and private):
            found.append(self.private)
        return tuple(groups for groups in found if groups)


class Actor(FrozenModel):
    """Person who wants to use a verb, with their membership and groups according to Slack."""

    person: PersonId | None
    membership: Membership
    groups: frozenset[str] | None = frozenset()
    """The limits' user groups of which they are a member; None if Slack could not be reached."""
    handles: dict[str, str] = Field(default_factory=dict)
    """Handles of the user groups by id, as far as known."""


def permitted(
    actor: Actor, verb: Verb, incident: Incident | None, limits: PermissionLimits, *, private: bool = False
) -> str:
    """Check that a person may use a verb; return an empty string, or a note that this could not be checked.

    `private` is True for the declaration of a private incident. Raises Refused with a sentence for the
    person.
    """
    if incident is not None and not is_visible_to(actor.person, incident):
        raise Refused(NOT_SEEN)
    fails_open = verb is Verb.DECLARE and not private
    if actor.membership is Membership.UNKNOWN:
        if fails_open:
            return UNCHECKED
        raise Refused(_unchecked(verb, private))
    if not _may_as_member(actor, verb, incident, limits, private):
        raise Refused(_refused(actor.membership, verb))
    for groups in limits.groups(verb, private=private):
        if actor.groups is None:
            if fails_open:
                return "could not be checked: Slack did not say which groups they are in"
            raise Refused(_unchecked(verb, private))
        if not actor.groups & set(groups):
            raise Refused(_limited(verb, [_group(g, actor.handles) for g in groups], private))
    return ""


def _may_as_member(
    actor: Actor, verb: Verb, incident: Incident | None, limits: PermissionLimits, private: bool
) -> bool:
    if actor.membership is Membership.MEMBER:
        return True
    if not actor.membership.is_guest:
        return False
    if verb in {Verb.DECLARE, Verb.TEST}:
        return limits.guests_may_declare and not private
    return verb in WORKING and incident is not None and actor.person in incident.people


def _refused(membership: Membership, verb: Verb) -> str:
    sentence = f"{_KINDS[membership]} may not {verb.doing} here."
    if verb is Verb.DECLARE:
        return f"{sentence} Ask a member of the workspace to declare it for you, now."
    return sentence


def _group(group: str, handles: Mapping[str, str]) -> str:
    """Return a user group's `@handle`; the limits name a group by its handle or its id."""
    handle = group.removeprefix("@") if group.startswith("@") else handles.get(group, "")
    return f"@{handle}" if handle else "a user group"


def _limited(verb: Verb, groups: Sequence[str], private: bool) -> str:
    doing = "declare private incidents" if private and verb is Verb.DECLARE else verb.doing
    return f"Only members of {' or '.join(groups)} may {doing} here. Ask one of them."


def _unchecked(verb: Verb, private: bool) -> str:
    doing = "declare private incidents" if private else verb.doing
    return f"Slack could not be asked whether you may {doing}, and nothing was done. Try again in a minute."
