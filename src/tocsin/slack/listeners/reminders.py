"""Buttons on the reminder for the next update: give it, put it off, take it over, or stop reminders."""

from __future__ import annotations

from slack_bolt.context.ack.async_ack import AsyncAck

from tocsin.incidents.model import Incident
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.listeners.replies import begin, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.update import UPDATE
from tocsin.slack.listeners.verbs import Invocation, key_of, open_view
from tocsin.slack.payloads import BlockAction
from tocsin.slack.views.nudges import SNOOZE_MINUTES


async def give_update(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Give an update*: open the form."""
    await ack()
    begin(context, action, "open the form to update", _give(context, action))


async def _give(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await _incident(context, action, opening=True)
    context.workflows.nudger.count("next_update", "acted", incident)
    await open_view(UPDATE.build_view, Invocation(context, action, UPDATE.verb, incident))


async def snooze(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *In 15 minutes*: remind again then."""
    await ack()
    begin(context, action, "put the update off", _snooze(context, action))


async def _snooze(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await _incident(context, action)
    by = context.people.meet(action.by)
    await context.workflows.remind.snooze(incident, SNOOZE_MINUTES, by, key_of(action))
    context.workflows.nudger.count("next_update", "snoozed", incident)
    said = f"The channel is asked again for an update on {incident.reference} in {SNOOZE_MINUTES} minutes."
    await reply_about(context, action, incident, said)


async def take_over(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *I'll do it*: address the next reminder to the person who pressed."""
    await ack()
    begin(context, action, "take the update over", _take_over(context, action))


async def _take_over(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await _incident(context, action)
    await context.workflows.remind.take_over(
        incident, SNOOZE_MINUTES, context.people.meet(action.by), key_of(action)
    )
    context.workflows.nudger.count("next_update", "acted", incident)
    said = f"You give the next update on {incident.reference}; you are asked in {SNOOZE_MINUTES} minutes."
    await reply_about(context, action, incident, said)


async def stop(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Stop reminding*: delete the reminder."""
    await ack()
    begin(context, action, "stop asking for updates", _stop(context, action))


async def _stop(context: WorkspaceContext, action: BlockAction) -> None:
    incident = await _incident(context, action)
    await context.workflows.remind.stop(incident)
    await reply_about(context, action, incident, f"No more updates on {incident.reference} are asked for.")


async def _incident(context: WorkspaceContext, action: BlockAction, *, opening: bool = False) -> Incident:
    incident = await find_incident(context, action.value, action.by.slack_user_id)
    await authorize(context, action, UPDATE.verb, incident, opening=opening)
    return incident
