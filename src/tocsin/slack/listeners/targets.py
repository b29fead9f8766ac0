"""Resolve the target incident of a verb, check permissions, and validate assignees."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Form, Incident, Person, PersonId
from tocsin.incidents.parsing import trimmed
from tocsin.incidents.permissions import NOT_SEEN, Verb, unfit
from tocsin.incidents.requests import NOBODY
from tocsin.incidents.validation import is_visible_to
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.command_text import (
    USUAL_PREFIX,
    FoundReference,
    named_after_choice,
    named_in_passing,
    names_one,
    pages_above,
    plain_address,
    reference_in,
)
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.payloads import Payload, SlashCommand
from tocsin.slack.users import WorkspaceUser
from tocsin.workflows.access import AccessState

_OPENED_AS = re.compile(r"(([a-z][a-z0-9]{0,19})-[0-9]{1,15})(?:-|$)")
"""Beginning of the names of channels that were created for incidents: a reference."""


class Uncertain(Refused):
    """The text may be about another incident than the channel's own, so the person must be asked."""


class NoAccess(Refused):
    """A member of a private incident's channel, who may not see the incident, did something there."""

    def __init__(self, state: AccessState) -> None:
        super().__init__(f"The incident of this channel is private, and not yours to see. {_ACCESS[state]}")
        self.may_ask = state is AccessState.NOT_ASKED


_ACCESS = {
    AccessState.NOT_ASKED: "You can ask for access: its lead decides.",
    AccessState.ASKED: "Access was asked for; its lead has yet to decide.",
    AccessState.DECIDED: "A person who sees it can bring you in with /incident invite.",
}


@dataclass(frozen=True)
class Target:
    """The incident that a command is about, and the rest of its text."""

    incident: Incident
    rest: str
    is_named: bool = False
    """True if the text names the incident; otherwise it is the channel's own."""


async def resolve_target(
    context: WorkspaceContext, command: SlashCommand, rest: str, *, is_choice: bool = False
) -> Target | None:
    """Return the incident named at the beginning of the text, or else the channel's own; None without either.

    In an incident's own channel a bare number is no reference. Raises Refused for an incident that does not
    exist or that this person may not see, in the same words; and Uncertain if it is not clear which incident
    is named, so that the channel's own is never changed by mistake. With `is_choice` the text begins with a
    status, a role or the like, and the incident may be named after it.
    """
    person = command.by.slack_user_id
    own = await find_channel_incident(context, command.channel_id, person)
    found = reference_in(rest, prefixes(context), bare_number=own is None)
    if found is not None:
        reference, after = found
        incident = await resolve_reference(context, reference, person)
        if incident is not None:
            return Target(incident, after, is_named=True)
    elif own is not None:
        named = named_after_choice if is_choice else named_in_passing
        if (passing := named(rest, prefixes(context))) is not None:
            raise _unclear(passing)
    return Target(own, trimmed(rest)) if own is not None else None


def prefixes(context: WorkspaceContext) -> frozenset[str]:
    """Return the prefixes of the references of all cached open incidents, such as `INC`."""
    return frozenset(known.reference.rpartition("-")[0] for known in context.open_now.now) - {""}


def _unclear(reference: FoundReference) -> Uncertain:
    return Uncertain(f"It is not clear which incident “{reference.name or reference.said}” is.")


async def resolve_reference(
    context: WorkspaceContext, reference: FoundReference, person: PersonId | None
) -> Incident | None:
    """Return the incident of a reference; None if it is the URL of something else.

    Raises Refused if there is no such incident that the person may see, and Uncertain if the reference may
    mean something else.
    """
    match reference.by:
        case "address":
            return await _at(context, reference.said, person)
        case "channel":
            return await _of_room(context, reference, person)
        case "name":
            return await _of_name(context, reference, reference.said, person)
        case "unclear":
            raise _unclear(reference)
    try:
        return await find_incident(context, reference.said, person)
    except Refused as refusal:
        raise refusal if reference.is_usual else _unclear(reference) from refusal


async def _of_room(context: WorkspaceContext, reference: FoundReference, person: PersonId | None) -> Incident:
    channel = ChannelId(reference.said)
    found = context.open_now.of_channel(channel) or await context.find.here(channel)
    if found is None:
        return await _of_name(context, reference, reference.name, person)
    if not is_visible_to(person, found):
        raise Refused(NOT_SEEN)
    return found


async def _of_name(
    context: WorkspaceContext, reference: FoundReference, name: str, person: PersonId | None
) -> Incident:
    """Return the incident of a channel name: its present name, or one that begins with a reference."""
    wanted = name.casefold()
    known = (one for one in context.open_now.seen_by(person) if one.slack_channel_name.casefold() == wanted)
    if wanted and (found := next(known, None)) is not None:
        return found
    opened = _OPENED_AS.match(wanted)
    if opened is None:
        raise _unclear(reference)
    try:
        return await find_incident(context, opened[1], person)
    except Refused as refusal:
        raise refusal if opened[2] in _usual(context) else _unclear(reference) from refusal


def _usual(context: WorkspaceContext) -> frozenset[str]:
    return frozenset(prefix.casefold() for prefix in prefixes(context)) | {USUAL_PREFIX}


async def _at(context: WorkspaceContext, address: str, person: PersonId | None) -> Incident | None:
    """Return the incident whose permalink or page is this URL or one above it; None for other URLs.

    Raises Refused if the incident does not exist or the person may not see it, and Uncertain if the URL may
    be an incident's but is not known.
    """
    addresses = {plain_address(known.permalink): known for known in context.open_now.now if known.permalink}
    places = {known.rpartition("/")[0] for known in addresses} | {plain_address(f"{context.pages}/incidents")}
    for above, last in pages_above(address):
        known = addresses.get(f"{above}/{last}")
        if known is not None and is_visible_to(person, known):
            return known
        if known is not None:
            raise Refused(NOT_SEEN)
        if above in places:
            return await find_incident(context, last.upper(), person)
        if names_one(last) and ("-" in last or "incident" in above):
            found = await context.find.named(last.upper(), person)
            if found is not None and plain_address(found.permalink) == f"{above}/{last}":
                return found
            if "incident" in above:
                raise Uncertain(f"It is not clear which incident {address} is.")
    return None


async def find_incident(context: WorkspaceContext, reference: str, person: PersonId | None) -> Incident:
    """Return the incident with this id or reference. Raises Refused if the person may see none."""
    known = context.open_now.find(reference)
    if known is not None and is_visible_to(person, known):
        return known
    found = await context.find.named(reference, person)
    if found is None:
        raise Refused(NOT_SEEN)
    return found


async def incident_of_channel(context: WorkspaceContext, channel: ChannelId | None) -> Incident | None:
    """Return the incident whose own channel this is, for a person who may see it or not; None without one."""
    found = context.open_now.of_channel(channel)
    if found is None and channel is not None:
        found = await context.find.here(channel)
    return found


async def find_channel_incident(
    context: WorkspaceContext, channel: ChannelId | None, person: PersonId | None
) -> Incident | None:
    """Return the incident whose own channel this is; None if it is no incident's.

    Raises NoAccess for a member of a private incident's channel who may not see the incident.
    """
    found = await incident_of_channel(context, channel)
    if found is not None and not is_visible_to(person, found):
        raise NoAccess(await context.workflows.access.state_of(found.id, person or NOBODY))
    return found


async def authorize(
    context: WorkspaceContext, payload: Payload, verb: Verb, incident: Incident, *, opening: bool = False
) -> None:
    """Raise Refused if this person may not use the verb, or if the backend lacks it.

    With `opening`, a form that shows the incident is about to open: only the membership must be known, and
    the rest is checked when the form is submitted.
    """
    if not is_visible_to(payload.by.slack_user_id, incident):
        raise Refused(NOT_SEEN)
    if opening:
        await context.authorizer.check_opening(payload.by.slack_user_id, verb, incident)
    else:
        await context.check_permission(payload, verb, incident)
    lacks = (context.forms.now or Form()).lacks
    if verb in lacks:
        raise Refused(lacks[verb])


# Validation of people who are given a role or a follow-up.

ROLE = "incident_role_assignments."


async def validate_roles(
    context: WorkspaceContext, roles: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """Do as `validate_assignees`, for people by the id of the role that each is given."""
    chosen = {f"{ROLE}{role}": person for role, person in roles.items()}
    return await validate_assignees(context, chosen, private=private, within=within)


async def validate_assignees(
    context: WorkspaceContext, chosen: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """Return the assignees with their names; `chosen` has them by the field of the form.

    Slack is asked about each, except about accounts that were fetched `within` so many seconds.

    Raises Refused, with a sentence for each field, for bots, deactivated accounts, people of another
    organisation, and unknown people. If Slack does not answer, a public incident accepts them, since an alarm
    cannot wait; a private one does not, since it is shown to all people with a role in it.
    """
    people = list(dict.fromkeys(person for person in chosen.values() if person))
    asked = (context.people.account(person, CHECK_SECONDS, within=within) for person in people)
    found = await asyncio.gather(*asked)
    why = {
        person: _unfit(account, context.people.names.get(person, ""), private)
        for person, account in zip(people, found, strict=True)
    }
    wrong = {field: why[person] for field, person in chosen.items() if person and why[person]}
    if wrong:
        raise Refused(" ".join(dict.fromkeys(wrong.values())), wrong)
    return tuple(context.people.meet(Person(slack_user_id=person)) for person in people)


def _unfit(account: WorkspaceUser | None, name: str, private: bool) -> str:
    if account is None:
        who = name or "that person"
        said = f"The incident is private, and Slack could not be asked who {who} is. Try again in a minute."
        return said if private else ""
    if not account.is_known:
        return "Slack knows no such person, so they cannot take this on. Choose another person."
    return unfit(account.membership, name or "That person")
