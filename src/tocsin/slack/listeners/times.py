"""The verbs `time`, which sets an incident's timestamps, and `retro`, which declares what is over."""

from __future__ import annotations

from functools import partial

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, PersonId
from tocsin.incidents.permissions import Verb
from tocsin.incidents.timestamps import match_timestamp, parse_time, told_in, zone_named
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.listeners.declare import open_declare
from tocsin.slack.listeners.verbs import CommandSpec, Invocation, NeedsForm, VerbSpec, change, submit_change
from tocsin.slack.payloads import SlashCommand, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.slack.views.times import Times, as_shown, read_times, times_modal
from tocsin.workflows.command import AnyChange, Changed

DEFAULT_ZONE = "UTC"
"""Time zone of a person if Slack does not tell their own."""


async def find_zone(context: WorkspaceContext, person: PersonId | None) -> str:
    """Return a person's time zone in Slack; asks for a second at most if their account is not cached."""
    account = await context.people.account(person, CHECK_SECONDS) if person else None
    return account.zone if account is not None and account.zone else DEFAULT_ZONE


async def _build_times(call: Invocation, problem: str, entered: Times | None = None) -> View:
    form = await call.context.forms.fetch()
    return times_modal(form, call.incident, entered, problem=escape(problem))


async def _set_time(call: Invocation) -> AnyChange | None:
    form = await call.context.forms.fetch()
    timestamp, rest = match_timestamp(call.text, form)
    if not rest:
        raise NeedsForm(f"Say when, here or as in: time {timestamp.name} 14:05")
    zone = await find_zone(call.context, call.person)
    typed = parse_time(rest, call.context.clock(), zone_named(zone))
    if call.incident.timestamp(timestamp.id) == typed.at:
        value = told_in(typed.at, zone_named(zone)) if typed.at else "not set"
        raise Refused(f"{timestamp.name} of {call.incident.reference} is {value} already.")
    outcome = await change(call, incident_timestamp_values={timestamp.id: typed.at}, zone=zone)
    if isinstance(outcome, Changed) and typed.note:
        return outcome.model_copy(update={"said": f"{outcome.said} {typed.note}"})
    return outcome


TIME = VerbSpec(
    Verb.TIME,
    "/incident time [fixed 14:05]",
    "sets a timestamp, such as when it was fixed",
    build_view=_build_times,
    execute=_set_time,
    begins_with_choice=True,
)


async def submit_times(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the form; timestamps that were left alone change nothing."""
    entered = read_times(submission.view.values)
    metadata = VerbMetadata.from_text(submission.view.private_metadata)
    changed = metadata.changes(as_shown(entered))
    values = {one: at for one, at in entered.items() if as_shown({one: at}).keys() & changed.keys()}
    zone = await find_zone(context, submission.by.slack_user_id)
    await submit_change(
        ack,
        submission,
        context,
        tracker,
        {Verb.TIME},
        partial(_build_times, entered=entered),
        {"incident_timestamp_values": values, "zone": zone} if values else {},
    )


# What is declared in retrospect: it is over, so its times are asked, and nobody is called.


async def open_retrospective(
    ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext
) -> None:
    """Handle `/incident retro`: open the declare form with the times of what is over."""
    lacking = (context.forms.now or Form()).lacks.get(Verb.RETRO, "")
    notice = escape(lacking)
    await open_declare(ack, command, rest, context, notice, mode="standard" if lacking else "retrospective")


RETRO = CommandSpec(
    Verb.RETRO,
    "/incident retro [what was wrong]",
    "declares a retrospective incident; nobody is called",
    open_retrospective,
)
