"""The verb `note`, and messages that people add to the timeline by a shortcut, a pin or 📌."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, TeamId, TimelineEntry
from tocsin.incidents.permissions import Verb
from tocsin.incidents.requests import TEXT_LIMIT
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import AckTracker, WorkspaceContext
from tocsin.slack.disclosure import listed_to
from tocsin.slack.listeners.replies import begin, reply_about
from tocsin.slack.listeners.targets import authorize, find_channel_incident
from tocsin.slack.listeners.verbs import KEYS, Invocation, VerbSpec, key_of, sentence_of, submit
from tocsin.slack.messages import PIN
from tocsin.slack.payloads import EventCallback, Payload, Shortcut, ViewSubmission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.followups import note_modal, read_note
from tocsin.slack.views.lists import choose_modal
from tocsin.slack.views.message_text import kept_text, unnamed, unnamed_author
from tocsin.slack.views.metadata import VerbMetadata
from tocsin.workflows.command import AnyChange
from tocsin.workflows.timeline import NoteCommand

CARRIED = 1400
"""Characters of a message that a form carries until an incident has been chosen."""


async def _build_note(call: Invocation, problem: str, message: str = "") -> View:
    form = await call.context.forms.fetch()
    return note_modal(form, call.incident, message=message, problem=escape(problem))


async def _note(call: Invocation, text: str | None = None) -> AnyChange | None:
    return await add_note(call, note_of(call, call.text if text is None else text))


def note_of(call: Invocation, text: str) -> TimelineEntry:
    by = call.context.people.meet(call.payload.by)
    return TimelineEntry(at=call.context.clock(), by=by, verb=Verb.NOTE.timeline, text=text)


async def add_note(call: Invocation, entry: TimelineEntry) -> AnyChange | None:
    """Run the durable command that adds the entry; returns None if it is saved and still running."""
    command = NoteCommand(
        incident_id=call.incident.id,
        team=TeamId(call.payload.team_id),
        asked=call.key,
        entry_key=call.key,
        entry=entry,
    )
    return await call.context.workflows.notes(command, call.tracker.acknowledged)


NOTE = VerbSpec(
    Verb.NOTE,
    "/incident note [what happened]",
    "adds a note to the timeline",
    build_view=_build_note,
    execute=_note,
)


async def submit_note(
    ack: AsyncAck, submission: ViewSubmission, context: WorkspaceContext, tracker: AckTracker
) -> None:
    """Handle the submission of the note form."""
    text = read_note(submission.view.values)
    again, execute = partial(_build_note, message=text), partial(_note, text=text)
    await submit(ack, submission, context, tracker, {Verb.NOTE}, again, execute)


async def keep_from_message(ack: AsyncAck, shortcut: Shortcut, context: WorkspaceContext) -> None:
    """Handle the message shortcut *Add to incident timeline*; a modal asks for the incident if need be."""
    await ack()
    tracker = AckTracker()
    begin(context, shortcut, "keep a message", _keep_from_message(context, shortcut, tracker), tracker)


async def _keep_from_message(context: WorkspaceContext, shortcut: Shortcut, tracker: AckTracker) -> None:
    ts = shortcut.message_ts or shortcut.message.get("ts")
    if shortcut.channel is None or not ts:
        raise Refused("That message cannot be kept.")
    incident = await find_channel_incident(context, shortcut.channel.id, shortcut.by.slack_user_id)
    if incident is not None:
        await authorize(context, shortcut, Verb.NOTE, incident)
        message = await _marked(context, (shortcut.channel.id, ts), shortcut.message)
        kept = await _kept(context, shortcut, incident, message, tracker.acknowledged)
        await reply_about(context, shortcut, incident, sentence_of(kept))
        return
    known = context.open_to(shortcut.by.slack_user_id)
    if not known:
        raise Refused("No incident is open that this message could be added to.")
    where, about = (shortcut.channel.id, ts), listed_to(shortcut.by.slack_user_id, known)
    view = choose_modal(_metadata(_as_known(context, where, shortcut.message, CARRIED)), known)
    view_id = await context.workspace.open_modal(shortcut.trigger_id or "", view, about)
    if _unknown_people(context, shortcut.message):
        metadata = _metadata(await _marked(context, where, shortcut.message, CARRIED))
        known = context.open_to(shortcut.by.slack_user_id)
        about = listed_to(shortcut.by.slack_user_id, known)
        await context.workspace.update_modal(view_id, choose_modal(metadata, known), about)


def _metadata(marked: KeptMessage) -> VerbMetadata:
    return VerbMetadata(
        verb=Verb.NOTE,
        channel=marked.channel,
        ts=marked.ts,
        rest=marked.text,
        edited=marked.edited[:30],
    )


async def keep_message(call: Invocation, metadata: VerbMetadata) -> AnyChange | None:
    """Add the message in a form's metadata to this incident's timeline."""
    await authorize(call.context, call.payload, Verb.NOTE, call.incident)
    message = KeptMessage(ChannelId(metadata.channel), MessageTs(metadata.ts), metadata.rest, metadata.edited)
    return await _kept(call.context, call.payload, call.incident, message, call.tracker.acknowledged)


async def on_reaction_or_pin(callback: EventCallback, context: WorkspaceContext) -> None:
    """Handle a pin or a 📌 reaction that was added to or removed from a message in an incident's channel.

    The message's present state decides, so events may come late, twice, or in any order.
    """
    marked = callback.message
    by = callback.user
    if marked is None or by is None or by == context.workspace.bot_user_id:
        return
    if callback.event.get("reaction", PIN) != PIN:
        return
    channel, ts = marked
    incident = context.open_now.of_channel(channel) or await context.find.here(channel)
    if incident is not None and await context.find.is_left(incident):
        return
    if incident is None:
        return
    with contextlib.suppress(Refused):
        await context.check_permission(callback, Verb.NOTE, incident)
        stands, message = await context.marks.marked(channel, ts)
        await _kept(context, callback, incident, await _marked(context, marked, message), removed=not stands)


Where = tuple[ChannelId, MessageTs]


class KeptMessage(NamedTuple):
    """A message for the timeline, with the text of its entry."""

    channel: ChannelId
    ts: MessageTs
    text: str
    edited: str


async def _marked(
    context: WorkspaceContext, where: Where, message: Mapping[str, Any], limit: int = TEXT_LIMIT
) -> KeptMessage:
    """Return the message with the names of mentioned people, which are fetched from Slack if need be."""
    if strangers := _unknown_people(context, message):
        await context.mentions.names_of(strangers, CHECK_SECONDS)
    return _as_known(context, where, message, limit)


def _unknown_people(context: WorkspaceContext, message: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids in a message whose names are not cached."""
    return unnamed(message, context.mentions.names) | unnamed_author(message, context.mentions.names)


def _as_known(context: WorkspaceContext, where: Where, message: Mapping[str, Any], limit: int) -> KeptMessage:
    """Return the message with the cached names; its text is empty if the message is gone."""
    permalink = context.permalink(*where, message.get("thread_ts"))
    edited = message.get("edited")
    return KeptMessage(
        *where,
        text=kept_text(message, permalink, context.mentions.names, limit) if message else "",
        edited=str(edited.get("ts") or "") if isinstance(edited, dict) else "",
    )


async def _kept(
    context: WorkspaceContext,
    payload: Payload | EventCallback,
    incident: Incident,
    message: KeptMessage,
    acknowledged: asyncio.Event | None = None,
    *,
    removed: bool = False,
) -> AnyChange | None:
    """Add a message to the timeline, or remove it; a message has one entry, however many people mark it."""
    if isinstance(payload, EventCallback):
        key = str(uuid5(KEYS, f"{payload.team_id}/{payload.event_id}"))
    else:
        key = key_of(payload)
    entry = TimelineEntry(
        at=_moment(message.ts), by=context.people.meet(payload.by), verb=Verb.NOTE.timeline, text=message.text
    )
    command = NoteCommand(
        incident_id=incident.id,
        team=TeamId(payload.team_id),
        asked=key,
        entry_key=f"message:{message.channel}:{message.ts}",
        edited=message.edited,
        entry=entry,
        removed=removed,
    )
    return await context.workflows.notes(command, acknowledged)


def _moment(ts: str) -> datetime:
    """Return the time at which a message was written: its `ts` is in seconds (Slack, message object)."""
    return datetime.fromtimestamp(float(ts), UTC)
