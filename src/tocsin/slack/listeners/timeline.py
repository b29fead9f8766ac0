"""Keep something in an incident's timeline: what somebody writes, pins, or marks with 📌."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, TeamId, TimelineEntry
from tocsin.incidents.requests import TEXT_LIMIT
from tocsin.slack.authorization import CHECK_SECONDS
from tocsin.slack.context import Delivery, Desk, being_answered
from tocsin.slack.disclosure import listed_to
from tocsin.slack.listeners.replies import Asked, begin, say_of
from tocsin.slack.listeners.targets import allowed, incident_of
from tocsin.slack.listeners.verbs import KEYS, Way, go, key_of, sentence_of, submit
from tocsin.slack.messages import PIN
from tocsin.slack.payloads import Command, Happening, Shortcut, Submission
from tocsin.slack.views.blocks import escape
from tocsin.slack.views.followups import note_modal, read_note
from tocsin.slack.views.lists import choose_modal
from tocsin.slack.views.message_text import kept_text, unnamed, unnamed_author
from tocsin.slack.views.metadata import Errand
from tocsin.workflows.command import AnyChange
from tocsin.workflows.timeline import NoteCommand

NOTED = "noted:"
CARRIED = 1400
"""Characters of a message that a form carries until an incident has been chosen."""


async def _opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
    return note_modal(await desk.forms.fetch(), incident, trouble=escape(trouble))


async def _act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    return sentence_of(await _noted(desk, asked, incident, text))


async def _noted(desk: Desk, asked: Asked, incident: Incident, text: str) -> AnyChange | None:
    key = key_of(asked)
    entry = TimelineEntry(at=desk.clock(), by=desk.people.meet(asked.by), verb=NOTED, text=text)
    order = NoteCommand(
        incident_id=incident.id, team=TeamId(asked.team_id), asked=key, entry_key=key, entry=entry
    )
    return await desk.notes(order, being_answered())


NOTE = Way("note", _opened, _act)


async def add_note(ack: AsyncAck, command: Command, rest: str, desk: Desk) -> None:
    """`/incident note`, with what happened."""
    await go(NOTE, ack, command, rest, desk)


async def submit_note(ack: AsyncAck, submission: Submission, desk: Desk, delivery: Delivery) -> None:
    """The note form, sent."""
    text = read_note(submission.view.values)

    async def again(incident: Incident, trouble: str) -> View:
        return note_modal(await desk.forms.fetch(), incident, message=text, trouble=trouble)

    async def do(incident: Incident) -> AnyChange | None:
        return await _noted(desk, submission, incident, text)

    await submit(ack, submission, desk, again, do)


async def keep_from_message(ack: AsyncAck, shortcut: Shortcut, desk: Desk) -> None:
    """*Add to incident timeline*, on a message; outside an incident's channel it asks which incident."""
    await ack()
    begin(desk, shortcut, "keep a message", _keep_from_message(desk, shortcut))


async def _keep_from_message(desk: Desk, shortcut: Shortcut) -> None:
    ts = shortcut.message_ts or shortcut.message.get("ts")
    if shortcut.channel is None or not ts:
        raise Refused("That message cannot be kept.")
    incident = await incident_of(desk, shortcut.channel.id, shortcut.by.slack_user_id)
    if incident is not None:
        await allowed(desk, shortcut, "note", incident)
        message = await _marked(desk, (shortcut.channel.id, ts), shortcut.message)
        kept = await _kept(desk, shortcut, incident, message)
        await say_of(desk, shortcut, incident, sentence_of(kept))
        return
    known = desk.open_to(shortcut.by.slack_user_id)
    if not known:
        raise Refused("No incident is open that this message could be added to.")
    where, about = (shortcut.channel.id, ts), listed_to(shortcut.by.slack_user_id, known)
    view = choose_modal(_errand(_as_known(desk, where, shortcut.message, CARRIED)), known)
    view_id = await desk.workspace.open_modal(shortcut.trigger_id or "", view, about)
    if _strangers(desk, shortcut.message):
        errand = _errand(await _marked(desk, where, shortcut.message, CARRIED))
        known = desk.open_to(shortcut.by.slack_user_id)
        about = listed_to(shortcut.by.slack_user_id, known)
        await desk.workspace.update_modal(view_id, choose_modal(errand, known), about)


def _errand(marked: Marked) -> Errand:
    return Errand(
        verb="note",
        channel=marked.channel,
        ts=marked.ts,
        rest=marked.text,
        edited=marked.edited[:30],
    )


async def keep_message(desk: Desk, asked: Asked, incident: Incident, errand: Errand) -> str:
    """The message of the errand goes into this incident's timeline; answers in a sentence."""
    await allowed(desk, asked, "note", incident)
    message = Marked(ChannelId(errand.channel), MessageTs(errand.ts), errand.rest, errand.edited)
    return sentence_of(await _kept(desk, asked, incident, message))


async def heed_mark(happening: Happening, desk: Desk) -> None:
    """A pin or a 📌 was put on a message of an incident's channel, or taken off.

    What counts is how the message stands now, so events may come late, twice, or in any order.
    """
    marked = happening.message
    by = happening.user
    if marked is None or by is None or by == desk.workspace.bot_user_id:
        return
    if happening.event.get("reaction", PIN) != PIN:
        return
    channel, ts = marked
    incident = desk.open_now.of_channel(channel) or await desk.find.here(channel)
    if incident is None:
        return
    with contextlib.suppress(Refused):
        await desk.may(happening, "note", incident)
        stands, message = await desk.marks.marked(channel, ts)
        await _kept(desk, happening, incident, await _marked(desk, marked, message), removed=not stands)


Where = tuple[ChannelId, MessageTs]


class Marked(NamedTuple):
    """A message that is to be kept, with what the timeline says of it."""

    channel: ChannelId
    ts: MessageTs
    text: str
    edited: str


async def _marked(desk: Desk, where: Where, message: Mapping[str, Any], limit: int = TEXT_LIMIT) -> Marked:
    """The message with the names of all whom it mentions, as far as Slack tells them."""
    if strangers := _strangers(desk, message):
        await desk.mentions.names_of(strangers, CHECK_SECONDS)
    return _as_known(desk, where, message, limit)


def _strangers(desk: Desk, message: Mapping[str, Any]) -> frozenset[str]:
    """Ids of all in it who have no name yet."""
    return unnamed(message, desk.mentions.names) | unnamed_author(message, desk.mentions.names)


def _as_known(desk: Desk, where: Where, message: Mapping[str, Any], limit: int) -> Marked:
    """The message with the names that are known now; nothing is said of one that is gone."""
    permalink = desk.permalink(*where, message.get("thread_ts"))
    edited = message.get("edited")
    return Marked(
        *where,
        text=kept_text(message, permalink, desk.mentions.names, limit) if message else "",
        edited=str(edited.get("ts") or "") if isinstance(edited, dict) else "",
    )


async def _kept(
    desk: Desk,
    asked: Asked | Happening,
    incident: Incident,
    message: Marked,
    *,
    removed: bool = False,
) -> AnyChange | None:
    """Put a message into the timeline, or take it out: one entry, however many people mark it."""
    if isinstance(asked, Happening):
        key = str(uuid5(KEYS, f"{asked.team_id}/{asked.event_id}"))
    else:
        key = key_of(asked)
    entry = TimelineEntry(
        at=_moment(message.ts), by=desk.people.meet(asked.by), verb=NOTED, text=message.text
    )
    order = NoteCommand(
        incident_id=incident.id,
        team=TeamId(asked.team_id),
        asked=key,
        entry_key=f"message:{message.channel}:{message.ts}",
        edited=message.edited,
        entry=entry,
        removed=removed,
    )
    return await desk.notes(order, being_answered())


def _moment(ts: str) -> datetime:
    """When a message was written: its `ts` is in seconds (Slack, message object)."""
    return datetime.fromtimestamp(float(ts), UTC)
