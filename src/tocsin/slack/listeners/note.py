"""Keep something in an incident's timeline: what somebody writes, pins, or marks with 📌."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.actions.note import NoteOrder
from tocsin.actions.promises import AnyChange
from tocsin.incidents.errors import Refused
from tocsin.incidents.model import ChannelId, Incident, MessageTs, Person, TeamId, TimelineEntry
from tocsin.slack.desk import Delivery, Desk
from tocsin.slack.gestures import Command, Happening, Shortcut, Submission
from tocsin.slack.listeners.answers import Asked, begin, say
from tocsin.slack.listeners.changing import KEYS, Way, go, key_of, sentence_of
from tocsin.slack.listeners.errands import allowed, incident_of
from tocsin.slack.listeners.submitting import submit
from tocsin.slack.marks import PIN
from tocsin.slack.views.choose import choose_modal
from tocsin.slack.views.errand import Errand
from tocsin.slack.views.kept import kept_text
from tocsin.slack.views.kit import escape
from tocsin.slack.views.note import note_modal, read_note

NOTED = "noted"


async def _opened(desk: Desk, asked: Asked, incident: Incident, trouble: str) -> View:
    return note_modal(await desk.forms.fetch(), incident, trouble=escape(trouble))


async def _act(desk: Desk, asked: Asked, incident: Incident, text: str) -> str:
    return sentence_of(await _noted(desk, asked, incident, text))


async def _noted(desk: Desk, asked: Asked, incident: Incident, text: str) -> AnyChange | None:
    key = key_of(asked)
    entry = TimelineEntry(at=desk.clock(), by=desk.people.meet(asked.by), verb=NOTED, text=text)
    order = NoteOrder(
        incident_id=incident.id, team=TeamId(asked.team_id), asked=key, entry_key=key, entry=entry
    )
    return await desk.notes(order)


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
        kept = await _kept(
            desk, shortcut.team_id, shortcut.by, incident, shortcut.channel.id, ts, shortcut.message,
            key_of(shortcut),
        )  # fmt: skip
        await say(desk, shortcut, escape(sentence_of(kept)))
        return
    known = desk.open_now.seen_by(shortcut.by.slack_user_id)
    if not known:
        raise Refused("No incident is open that this message could be added to.")
    errand = Errand(verb="note", channel=shortcut.channel.id, ts=ts)
    await desk.workspace.open_modal(shortcut.trigger_id or "", choose_modal(errand, known))


async def keep_message(desk: Desk, asked: Asked, incident: Incident, errand: Errand) -> str:
    """The message of the errand goes into this incident's timeline; answers in a sentence."""
    await allowed(desk, asked, "note", incident)
    channel, ts = ChannelId(errand.channel), MessageTs(errand.ts)
    message = await desk.marks.message(channel, ts)
    if not message:
        raise Refused("That message is not there any more, or Tocsin cannot read it.")
    kept = await _kept(desk, asked.team_id, asked.by, incident, channel, ts, message, key_of(asked))
    return sentence_of(kept)


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
        await _stand_by(desk, happening, incident, channel, ts)


async def _stand_by(
    desk: Desk, happening: Happening, incident: Incident, channel: ChannelId, ts: MessageTs
) -> None:
    """Have the timeline say what the message says of itself now."""
    stands, message = await desk.marks.marked(channel, ts)
    person = desk.people.meet(happening.by)
    key = str(uuid5(KEYS, f"{happening.team_id}/{happening.event_id}"))
    await _kept(desk, happening.team_id, person, incident, channel, ts, message, key, removed=not stands)


async def _kept(
    desk: Desk,
    team: TeamId,
    by: Person,
    incident: Incident,
    channel: ChannelId,
    ts: MessageTs,
    message: Mapping[str, Any],
    key: str,
    *,
    removed: bool = False,
) -> AnyChange | None:
    """Put a message into the timeline, or take it out: one entry, however many people mark it."""
    permalink = desk.permalink(channel, ts, message.get("thread_ts"))
    entry = TimelineEntry(
        at=_moment(ts),
        by=desk.people.meet(by),
        verb=NOTED,
        text=kept_text(message, permalink, desk.people.names) if message else "",
    )
    order = NoteOrder(
        incident_id=incident.id,
        team=TeamId(team),
        asked=key,
        entry_key=f"message:{channel}:{ts}",
        entry=entry,
        removed=removed,
    )
    return await desk.notes(order)


def _moment(ts: str) -> datetime:
    """When a message was written: its `ts` is in seconds (Slack, message object)."""
    return datetime.fromtimestamp(float(ts), UTC)
