"""Which incident somebody means, and whether they may: asked once, in the same way, for every verb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from tocsin.actions.open_now import is_reference
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Form, Incident, PersonId
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.rules import visible_to
from tocsin.slack.desk import Desk
from tocsin.slack.gestures import Command
from tocsin.slack.listeners.answers import Asked


@dataclass(frozen=True)
class Aim:
    """An incident that somebody means, and what else they typed."""

    incident: Incident
    rest: str


async def aimed(desk: Desk, command: Command, rest: str) -> Aim | None:
    """The incident that is named first in the text, else the one whose channel this is; None without either.

    In an incident's own channel a bare number is a number. Raises Refused for a reference to what is not
    there, in the same words as to what this person may not see.
    """
    person = command.by.slack_user_id
    own = await incident_of(desk, command.channel_id, person)
    word, _, after = rest.strip().partition(" ")
    if is_reference(word, bare=own is None):
        return Aim(await called(desk, word, person), after.strip())
    return Aim(own, rest.strip()) if own is not None else None


async def called(desk: Desk, reference: str, person: PersonId | None) -> Incident:
    """The incident with this id or reference. Raises Refused where there is none that they may see."""
    known = desk.open_now.called(reference)
    if known is not None and visible_to(person, known):
        return known
    found = await desk.find.named(reference, person)
    if found is None:
        raise Refused(NOT_SEEN)
    return found


async def incident_of(desk: Desk, channel: ChannelId | None, person: PersonId | None) -> Incident | None:
    """The incident whose own channel this is, if this person may see it.

    Raises Refused for who is in a private incident's channel and has no part in the incident.
    """
    found = desk.open_now.of_channel(channel)
    if found is None and channel is not None:
        found = await desk.find.here(channel)
    if found is not None and not visible_to(person, found):
        raise Refused(f"{found.reference} is private: only its reporter and the people with a role may.")
    return found


GATES: dict[str, Verb] = {"lead": "role", "take": "role", "action": "follow_up", "follow-up": "follow_up"}
"""Under which name a verb is permitted, where it is not its own."""


async def allowed(desk: Desk, asked: Asked, verb: str, incident: Incident, *, opening: bool = False) -> None:
    """Raises Refused where this person may not do this, or where the backend cannot.

    With `opening` a form is about to open that shows the incident: who somebody is must be known, and the
    rest is asked when the form is sent.
    """
    gate = GATES.get(verb, cast(Verb, verb))
    if not visible_to(asked.by.slack_user_id, incident):
        raise Refused(NOT_SEEN)
    if opening:
        await desk.permits.check_opening(asked.by.slack_user_id, gate, incident)
    else:
        await desk.may(asked, gate, incident)
    lacks = (desk.forms.now or Form()).lacks
    if verb in lacks:
        raise Refused(lacks[verb])
