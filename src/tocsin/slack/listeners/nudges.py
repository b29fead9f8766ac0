"""Buttons and menu on nudges, and the verb `snooze`."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import TeamId
from tocsin.incidents.nudges import ALL, MOST_SNOOZED, parse_snooze
from tocsin.incidents.permissions import Verb
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners import close, roles, update
from tocsin.slack.listeners.replies import begin, reply_about
from tocsin.slack.listeners.targets import authorize, find_incident
from tocsin.slack.listeners.verbs import Invocation, VerbSpec, run_from_card, sentence_of, submit
from tocsin.slack.payloads import BlockAction, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.nudges import read_snooze, snooze_modal
from tocsin.workflows.command import AnyChange
from tocsin.workflows.nudges import SnoozeCommand

# The verb.


async def _build_snooze(call: Invocation, problem: str, chosen: str = "") -> View:
    return snooze_modal(call.incident, chosen, problem=escape(problem))


async def _snooze(call: Invocation) -> AnyChange | None:
    return await _snooze_for(call, parse_snooze(call.text))


async def _snooze_for(call: Invocation, minutes: int, kind: str = ALL) -> AnyChange | None:
    context = call.context
    command = SnoozeCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        asked=call.key,
        asked_by=context.people.meet(call.payload.by),
        at=context.clock(),
        minutes=minutes,
        kind=kind,
    )
    return await context.workflows.snooze(command, call.tracker.acknowledged, call.tracker.patience_left())


SNOOZE = VerbSpec(
    Verb.SNOOZE,
    "/incident snooze [2 hours]",
    "snoozes the nudges about it for so long; `off` ends that",
    build_view=_build_snooze,
    execute=_snooze,
)


async def submit_snooze(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form that snoozes nudges."""
    chosen = read_snooze(submission.view.values)

    async def execute(call: Invocation) -> AnyChange | None:
        return await _snooze_for(call, _minutes(chosen))

    again = partial(_build_snooze, chosen=chosen)
    await submit(ack, submission, context, tracker, {Verb.SNOOZE}, again, execute)


def _minutes(chosen: str) -> int:
    """Return the minutes of a choice. Raises Refused for a forged one."""
    if not (chosen.isascii() and chosen.isdecimal() and int(chosen[:9]) <= MOST_SNOOZED):
        raise Refused("Choose for how long.", {"minutes": "Choose for how long."})
    return int(chosen[:9])


# The nudges themselves, whose value is their kind and the incident's id.

ACTED: dict[str, VerbSpec] = {
    "nudge_take_lead": roles.TAKE,
    "nudge_update": update.UPDATE,
    "nudge_close": close.CLOSE,
}
"""The verb of each button on a nudge."""


async def press_nudge(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle a button on a nudge, which does what the nudge asks for."""
    kind, _, incident_id = action.value.partition(" ")
    context.workflows.nudger.count(kind, "acted", context.open_now.find(incident_id))
    await run_from_card(ACTED[action.action_id], ack, action, context, incident_id)


async def press_snooze(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle a choice in the *Snooze* menu of a nudge, whose value begins with the minutes."""
    await ack()
    tracker = AckTracker()
    begin(context, action, "snooze the nudges", _press_snooze(context, action, tracker), tracker)


async def _press_snooze(context: WorkspaceContext, action: BlockAction, tracker: AckTracker) -> None:
    minutes, _, about = action.selected_value.partition(" ")
    kind, _, incident_id = about.partition(" ")
    incident = await find_incident(context, incident_id, action.by.slack_user_id)
    await authorize(context, action, Verb.SNOOZE, incident)
    call = Invocation(context, action, Verb.SNOOZE, incident, tracker=tracker)
    said = sentence_of(await _snooze_for(call, _minutes(minutes), kind))
    await reply_about(context, action, incident, said)
