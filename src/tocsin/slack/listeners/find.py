"""Find incidents: lists, pages, words, and one incident in full."""

from __future__ import annotations

import asyncio

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, Incident, PersonId
from tocsin.incidents.parsing import wanted_by
from tocsin.incidents.permissions import NOT_SEEN
from tocsin.incidents.requests import IncidentFilter
from tocsin.slack.command_text import as_read
from tocsin.slack.context import Desk
from tocsin.slack.disclosure import shown_to
from tocsin.slack.listeners.replies import begin, say
from tocsin.slack.listeners.targets import Uncertain, aimed, allowed
from tocsin.slack.payloads import BlockAction, Payload, SlashCommand
from tocsin.slack.views.lists import (
    Listing,
    ListQuery,
    list_blocks,
    list_modal,
    list_text,
    show_blocks,
    show_modal,
    show_text,
)

PAGE = 8


async def list_incidents(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident list`, with what is to be listed in words."""
    await ack()
    words = as_read(rest, desk.people.names)
    begin(desk, command, "list incidents", _listed(desk, command, ListQuery(words=words[:300])))


async def find_incidents(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident find`, with words of the name, the summary or the reference."""
    await ack()
    query = ListQuery(words=as_read(rest, desk.people.names)[:300], searching=True)
    begin(desk, command, "find incidents", _listed(desk, command, query))


async def turn_page(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*Older*, *Back to the newest*, and *List incidents* on Home."""
    await ack()
    query = ListQuery.read(action.value)
    begin(desk, action, "list incidents", _listed(desk, action, query))


async def _listed(desk: Desk, asked: SlashCommand | BlockAction, query: ListQuery) -> None:
    await desk.may(asked, "list")
    listing = await _listing(desk, asked.by.slack_user_id, query)
    if isinstance(asked, SlashCommand) and (query.searching or listing.said):
        listing = listing.model_copy(update={"typed": as_read(asked.text, desk.people.names).strip()})
    now, about = desk.clock(), shown_to(asked.by.slack_user_id, *listing.incidents)
    if not isinstance(asked, BlockAction) or asked.response_url:
        blocks = list_blocks(listing, now)
        await say(desk, asked, list_text(listing), about, blocks, instead=isinstance(asked, BlockAction))
    elif asked.view is not None and asked.view.type == "modal":
        await desk.workspace.update_modal(
            asked.view.id, list_modal(listing, now), about, seen=asked.view.hash
        )
    else:
        await desk.workspace.open_modal(asked.trigger_id or "", list_modal(listing, now), about)


async def listed(desk: Desk, asked: Payload, text: str) -> View:
    """What these words ask to be listed, in a modal."""
    return await _modal(desk, asked, ListQuery(words=text[:300]))


async def found(desk: Desk, asked: Payload, text: str) -> View:
    """The incidents with these words, in a modal."""
    return await _modal(desk, asked, ListQuery(words=text[:300], searching=True))


async def _modal(desk: Desk, asked: Payload, query: ListQuery) -> View:
    await desk.may(asked, "list")
    person = asked.by.slack_user_id
    listing = await _listing(desk, person, query)
    await desk.workspace.calls.judge(shown_to(person, *listing.incidents), "acknowledgement")
    return list_modal(listing, desk.clock())


async def _listing(desk: Desk, person: PersonId | None, query: ListQuery) -> Listing:
    if query.searching and query.words:
        wanted, said = IncidentFilter(text=query.words, visible_to=person), ""
        title = f"Incidents with “{query.words}”"
    else:
        wanted, title, said = wanted_by(query.words, desk.forms.now or Form(), person)
    found = await desk.find.matching(wanted, after=query.after, limit=PAGE + 1)
    more = len(found) > PAGE
    shown = await desk.as_seen(person, found[:PAGE])
    return Listing(title=title, said=said, incidents=tuple(shown), query=query, more=more)


async def show_incident(ack: AsyncAck, command: SlashCommand, rest: str, desk: Desk) -> None:
    """`/incident show`, here or with a reference; other words are looked for."""
    await ack()
    begin(desk, command, "show an incident", _show(desk, command, rest))


async def _show(desk: Desk, command: SlashCommand, rest: str) -> None:
    try:
        aim = await aimed(desk, command, rest)
    except Uncertain:
        aim = None
    if aim is None or (aim.rest and not aim.is_named):
        words = as_read(rest, desk.people.names)
        await _listed(desk, command, ListQuery(words=words[:300], searching=bool(words)))
        return
    await _show_one(desk, command, aim.incident)


async def press_show(ack: AsyncAck, action: BlockAction, desk: Desk) -> None:
    """*Show*, in a list or on Home."""
    await ack()
    begin(desk, action, "show an incident", _show_pressed(desk, action))


async def _show_pressed(desk: Desk, action: BlockAction) -> None:
    found = await desk.find.named(action.value, action.by.slack_user_id)
    if found is None:
        raise Refused(NOT_SEEN)
    await _show_one(desk, action, found)


async def _show_one(desk: Desk, asked: Payload, incident: Incident) -> None:
    await allowed(desk, asked, "show", incident)
    timeline, follow_ups, (incident,) = await asyncio.gather(
        desk.find.timeline(incident.id),
        desk.follow_ups.of(incident.id),
        desk.as_seen(asked.by.slack_user_id, [incident]),
    )
    about = shown_to(asked.by.slack_user_id, incident)
    if isinstance(asked, BlockAction) and not asked.response_url:
        modal = show_modal(incident, timeline, follow_ups)
        if asked.view is not None and asked.view.type == "modal":
            await desk.workspace.push_modal(asked.trigger_id or "", modal, about)
        else:
            await desk.workspace.open_modal(asked.trigger_id or "", modal, about)
        return
    await say(desk, asked, show_text(incident), about, show_blocks(incident, timeline, follow_ups))
