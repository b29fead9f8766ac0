"""The verbs `list`, `find` and `show`, and the buttons that turn pages and show one incident."""

from __future__ import annotations

import asyncio

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.models.views import View

from tocsin.incidents.errors import Refused
from tocsin.incidents.model import Form, Incident, PersonId
from tocsin.incidents.parsing import parse_filter
from tocsin.incidents.permissions import NOT_SEEN, Verb
from tocsin.incidents.requests import IncidentFilter
from tocsin.slack.command_text import as_read
from tocsin.slack.context import WorkspaceContext
from tocsin.slack.disclosure import shown_to
from tocsin.slack.listeners.replies import begin, reply
from tocsin.slack.listeners.targets import Uncertain, authorize, resolve_target
from tocsin.slack.listeners.verbs import CommandSpec
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


async def list_incidents(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident list`, with words that filter the list."""
    await ack()
    words = as_read(rest, context.people.names)
    begin(context, command, "list incidents", _listed(context, command, ListQuery(words=words[:300])))


async def find_incidents(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident find`, with words of the name, the summary or the reference."""
    await ack()
    query = ListQuery(words=as_read(rest, context.people.names)[:300], searching=True)
    begin(context, command, "find incidents", _listed(context, command, query))


async def turn_page(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Older*, *Back to the newest*, and *List incidents* on Home."""
    await ack()
    query = ListQuery.from_text(action.value)
    begin(context, action, "list incidents", _listed(context, action, query))


async def _listed(context: WorkspaceContext, payload: SlashCommand | BlockAction, query: ListQuery) -> None:
    await context.check_permission(payload, Verb.LIST)
    listing = await _listing(context, payload.by.slack_user_id, query)
    if isinstance(payload, SlashCommand) and (query.searching or listing.said):
        listing = listing.model_copy(update={"typed": as_read(payload.text, context.people.names).strip()})
    now, about = context.clock(), shown_to(payload.by.slack_user_id, *listing.incidents)
    if not isinstance(payload, BlockAction) or payload.response_url:
        blocks = list_blocks(listing, now)
        await reply(
            context, payload, list_text(listing), about, blocks, instead=isinstance(payload, BlockAction)
        )
    elif payload.view is not None and payload.view.type == "modal":
        await context.workspace.update_modal(
            payload.view.id, list_modal(listing, now), about, seen=payload.view.hash
        )
    else:
        await context.workspace.open_modal(payload.trigger_id or "", list_modal(listing, now), about)


async def _build_list(context: WorkspaceContext, payload: Payload, text: str) -> View:
    return await _modal(context, payload, ListQuery(words=text[:300]))


async def _build_found(context: WorkspaceContext, payload: Payload, text: str) -> View:
    return await _modal(context, payload, ListQuery(words=text[:300], searching=True))


async def _modal(context: WorkspaceContext, payload: Payload, query: ListQuery) -> View:
    await context.check_permission(payload, Verb.LIST)
    person = payload.by.slack_user_id
    listing = await _listing(context, person, query)
    await context.workspace.api.check_disclosure(shown_to(person, *listing.incidents), "acknowledgement")
    return list_modal(listing, context.clock())


async def _listing(context: WorkspaceContext, person: PersonId | None, query: ListQuery) -> Listing:
    if query.searching and query.words:
        wanted, said = IncidentFilter(text=query.words, visible_to=person), ""
        title = f"Incidents with “{query.words}”"
    else:
        wanted, title, said = parse_filter(query.words, context.forms.now or Form(), person)
    found = await context.find.matching(wanted, after=query.after, limit=PAGE + 1)
    more = len(found) > PAGE
    shown = await context.as_seen(person, found[:PAGE])
    return Listing(title=title, said=said, incidents=tuple(shown), query=query, more=more)


async def show_incident(ack: AsyncAck, command: SlashCommand, rest: str, context: WorkspaceContext) -> None:
    """Handle `/incident show`, in an incident's channel or with a reference; other words are searched for."""
    await ack()
    begin(context, command, "show an incident", _show(context, command, rest))


async def _show(context: WorkspaceContext, command: SlashCommand, rest: str) -> None:
    try:
        target = await resolve_target(context, command, rest)
    except Uncertain:
        target = None
    if target is None or (target.rest and not target.is_named):
        words = as_read(rest, context.people.names)
        await _listed(context, command, ListQuery(words=words[:300], searching=bool(words)))
        return
    await _show_one(context, command, target.incident)


async def press_show(ack: AsyncAck, action: BlockAction, context: WorkspaceContext) -> None:
    """Handle *Show* in a list or on Home."""
    await ack()
    begin(context, action, "show an incident", _show_pressed(context, action))


async def _show_pressed(context: WorkspaceContext, action: BlockAction) -> None:
    found = await context.find.named(action.value, action.by.slack_user_id)
    if found is None:
        raise Refused(NOT_SEEN)
    await _show_one(context, action, found)


async def _show_one(context: WorkspaceContext, payload: Payload, incident: Incident) -> None:
    await authorize(context, payload, Verb.SHOW, incident)
    timeline, checklist, (incident,) = await asyncio.gather(
        context.find.timeline(incident.id),
        context.workflows.follow_ups.checklists.of(incident),
        context.as_seen(payload.by.slack_user_id, [incident]),
    )
    about, can_page = shown_to(payload.by.slack_user_id, incident), bool(context.workflows.paging.targets)
    if isinstance(payload, BlockAction) and not payload.response_url:
        modal = show_modal(incident, timeline, checklist, can_page=can_page, form=context.forms.now)
        if payload.view is not None and payload.view.type == "modal":
            await context.workspace.push_modal(payload.trigger_id or "", modal, about)
        else:
            await context.workspace.open_modal(payload.trigger_id or "", modal, about)
        return
    blocks = show_blocks(incident, timeline, checklist, can_page=can_page, form=context.forms.now)
    await reply(context, payload, show_text(incident), about, blocks)


LIST = CommandSpec(
    Verb.LIST,
    "/incident list [mine] [closed] [severity] [status]",
    "lists what is open, or what you ask for",
    list_incidents,
    build_view=_build_list,
)
FIND = CommandSpec(
    Verb.FIND,
    "/incident find [words]",
    "looks for words in names and summaries",
    find_incidents,
    build_view=_build_found,
)
SHOW = CommandSpec(
    Verb.SHOW,
    "/incident show [INC-12]",
    "shows one incident and what happened",
    show_incident,
    build_view=_build_found,
)
