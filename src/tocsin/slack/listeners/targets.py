"""The incident that a verb is about, found and authorized, and checks of those who get a role."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Form, Incident, Person, PersonId
from tocsin.incidents.parsing import trimmed
from tocsin.incidents.permissions import NOT_SEEN, Verb, unfit
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

# The target of a verb and the right to it: resolved in the same way for every verb.

_OPENED_AS = re.compile(r"(([a-z][a-z0-9]{0,19})-[0-9]{1,15})(?:-|$)")
"""How the names of channels begin that were opened for an incident."""


class Uncertain(Refused):
    """The text may be about another incident than the channel's own: the person has to be asked."""


@dataclass(frozen=True)
class Target:
    """The incident that a command is about, and the rest of its text."""

    incident: Incident
    rest: str
    is_named: bool = False
    """They typed which; else it is the one whose channel this is."""


async def resolve_target(
    context: WorkspaceContext, command: SlashCommand, rest: str, *, is_choice: bool = False
) -> Target | None:
    """The incident that is named first in the text, else the one whose channel this is; None without either.

    In an incident's own channel a bare number is a number. Raises Refused for a reference to what is not
    there, in the same words as to what this person may not see; and Uncertain where it is not clear which
    incident is named. The channel's own is never meant then. With `is_choice` the text begins with a
    status, a role or the like, and an incident may be named behind it.
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
    """Return the prefixes of references here, as far as the cached incidents tell."""
    return frozenset(known.reference.rpartition("-")[0] for known in context.open_now.now) - {""}


def _unclear(reference: FoundReference) -> Uncertain:
    return Uncertain(f"It is not clear which incident “{reference.name or reference.said}” is.")


async def resolve_reference(
    context: WorkspaceContext, reference: FoundReference, person: PersonId | None
) -> Incident | None:
    """The incident that is named; None where it is an address of something else.

    Raises Refused where there is none that they may see, and Uncertain where it may be something else.
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
    """The incident whose channel is called so, or was when it was opened: it begins with the reference."""
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
    """The incident with this permalink, or with this page; a page below it is its own, too.

    Raises Refused for the address of an incident that is not there, or that they may not see.
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
    """The incident with this id or reference. Raises Refused where there is none that they may see."""
    known = context.open_now.find(reference)
    if known is not None and is_visible_to(person, known):
        return known
    found = await context.find.named(reference, person)
    if found is None:
        raise Refused(NOT_SEEN)
    return found


async def find_channel_incident(
    context: WorkspaceContext, channel: ChannelId | None, person: PersonId | None
) -> Incident | None:
    """The incident whose own channel this is, if this person may see it.

    Raises Refused for who is in a private incident's channel and has no part in the incident.
    """
    found = context.open_now.of_channel(channel)
    if found is None and channel is not None:
        found = await context.find.here(channel)
    if found is not None and not is_visible_to(person, found):
        raise Refused(f"{found.reference} is private: only its reporter and the people with a role may.")
    return found


async def authorize(
    context: WorkspaceContext, payload: Payload, verb: Verb, incident: Incident, *, opening: bool = False
) -> None:
    """Raises Refused where this person may not do this, or where the backend cannot.

    With `opening` a form is about to open that shows the incident: who somebody is must be known, and the
    rest is asked when the form is sent.
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


# Whether those who are given a role, or something to do, can take it on.

ROLE = "incident_role_assignments."


async def validate_roles(
    context: WorkspaceContext, roles: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """The same as `checked_assignees`, for people by the role that each is given."""
    chosen = {f"{ROLE}{role}": person for role, person in roles.items()}
    return await validate_assignees(context, chosen, private=private, within=within)


async def validate_assignees(
    context: WorkspaceContext, chosen: Mapping[str, PersonId | None], *, private: bool, within: float = 0.0
) -> tuple[Person, ...]:
    """Return the people who are given something, by name; `chosen` has them by the field of the form.

    Slack is asked anew, except about those of whom it told `within` so many seconds.

    Raises Refused, with a sentence for each field, for bots, deactivated accounts, people of another
    organisation, and people whom Slack does not know. While Slack does not say, a public incident takes them,
    since an alarm cannot wait; a private one does not, since it is shown to everybody with a role in it.
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
