"""Access to a private incident: people who were brought into its channel by hand, and the lead's decision.

A person is told that there is something to ask for only where they know of the incident already: as a member
of its own channel. Everywhere else a private incident looks as if it did not exist.
"""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, Person, PersonId, TeamId
from tocsin.incidents.permissions import NOT_SEEN, Membership, Verb
from tocsin.incidents.validation import is_visible_to
from tocsin.slack.authorization import ASKING_SECONDS, CHECK_SECONDS
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.disclosure import NOTHING
from tocsin.slack.listeners.replies import begin, explain, reply, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident, incident_of_channel, validate_assignees
from tocsin.slack.listeners.verbs import sentence_of
from tocsin.slack.payloads import BlockAction, EventCallback
from tocsin.slack.views.blocks import escape
from tocsin.workflows.access import AccessDecision, AccessRequest, decision_key, request_key
from tocsin.workflows.command import AnyChange

NEVER_ASKED_ABOUT = frozenset({Membership.BOT, Membership.STRANGER, Membership.DEACTIVATED})
"""Accounts that cannot be invited, so that the lead is not asked about them."""

PRIVATE_CHANNEL = "G"
"""Type of a private channel (Slack, member_joined_channel: `channel_type`)."""


async def on_member_joined(callback: EventCallback, context: WorkspaceContext) -> None:
    """Handle a person who joined a private channel: ask the lead about them if they may not see its incident.

    The lead is asked once, however often the person leaves and comes back.
    """
    channel, person = callback.event.get("channel"), callback.user
    if callback.event.get("channel_type") != PRIVATE_CHANNEL or not isinstance(channel, str):
        return
    if person is None or person == context.workspace.bot_user_id:
        return
    incident = await incident_of_channel(context, ChannelId(channel))
    if incident is None or is_visible_to(person, incident):
        return
    if await context.people.membership(person, CHECK_SECONDS) in NEVER_ASKED_ABOUT:
        return
    inviter = callback.event.get("inviter")
    invited_by = PersonId(inviter) if isinstance(inviter, str) and inviter != person else None
    await _ask(context, incident, TeamId(callback.served_team), callback.by, invited_by)


async def ask_for_access(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Ask for access*, which is below a refusal in a private incident's own channel."""
    await ack()
    begin(context, action, "ask for access", _asked_for(context, action))


async def _asked_for(context: WorkspaceContext, action: BlockAction) -> None:
    # The channel of the press is one that the person reads; a value in the button could be another's.
    incident = await incident_of_channel(context, action.channel.id) if action.channel else None
    if incident is None or not incident.is_private:
        raise Refused(NOT_SEEN)
    outcome = await _ask(context, incident, action.team_id, action.by, None)
    await reply(context, action, escape(sentence_of(outcome)), NOTHING, instead=True)


async def _ask(
    context: WorkspaceContext, incident: Incident, team: TeamId, person: Person, invited_by: PersonId | None
) -> AnyChange | None:
    who = person.slack_user_id or PersonId("")
    command = AccessRequest(
        incident_id=incident.id,
        team=team,
        asked=request_key(incident.id, who),
        asked_by=Person(),
        at=context.clock(),
        person=context.people.meet(person),
        invited_by=invited_by,
    )
    return await context.workflows.access(command, patience=ASKING_SECONDS)


async def allow_access(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Allow* below the question if a person may see a private incident."""
    await ack()
    begin(context, action, "allow access", _decide(context, action, is_allowed=True))


async def decline_access(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Decline* below that question."""
    await ack()
    begin(context, action, "decline access", _decide(context, action, is_allowed=False))


async def _decide(context: WorkspaceContext, action: BlockAction, *, is_allowed: bool) -> None:
    incident_id, _, person = action.value.partition(" ")
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, Verb.INVITE, incident)
    who = context.people.meet(Person(slack_user_id=PersonId(person)))
    if is_allowed:
        (who,) = await validate_assignees(context, {"person": PersonId(person)}, private=True)
    command = AccessDecision(
        incident_id=incident.id,
        team=action.team_id,
        asked=decision_key(incident.id, PersonId(person)),
        asked_by=context.people.meet(action.by),
        at=context.clock(),
        person=who,
        is_allowed=is_allowed,
        channel=action.channel.id if action.channel else ChannelId(""),
        ts=action.message_ts,
    )
    try:
        sentence = sentence_of(await context.workflows.decisions(command))
    except Refused as refusal:
        sentence = explain(refusal)
    await reply_about(context, action, incident, sentence)
