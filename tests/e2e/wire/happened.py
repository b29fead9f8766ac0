"""Shortcuts, searches in long menus, and what happens in a channel by itself."""

from __future__ import annotations

import asyncio

from support.bot import chosen
from support.errands import until
from support.estate import AWAY, AWAY_ADMIN, HOME, HOME_ADMIN, Lobby, heading
from support.patience import LIMIT
from support.readings import pressed, said, value, words

from e2e.wire.journey import WRITTEN, Journey, text
from e2e.wire.pressed import asked_about
from e2e.wire.rows import row
from slack_emulator.composer import rich_text_of
from slack_emulator.entity_comments import CommentsView
from slack_emulator.models import Message
from tocsin.incidents.model import Incident
from tocsin.slack.listeners.comments import POSTED
from tocsin.slack.listeners.workflow_step import DECLARE

# people


@row("event member_joined_channel")
async def the_lead_is_asked_about_who_was_brought_into_a_private_channel(way: Journey) -> None:
    incident, question = await asked_about(way)
    assert incident.reference in words(question)
    chloe = way.slack.person("chloe")
    assert f"<@{chloe}>" in words(question)


# shortcuts


@row("shortcut declare_from_message")
async def a_message_is_declared_with_its_words_and_answered_in_its_thread(way: Journey) -> None:
    message = await said(way.people, "ben", "alerts", f"disks are full {WRITTEN}")
    view = await way.people.pick_shortcut("ana", message)
    assert value(view, "name") == f"disks are full {WRITTEN}"
    incident = await way.declared("ana", view)
    await way.done("ana")
    assert incident.source is not None
    assert incident.source.timestamp == message.ts
    replies = way.slack.workspace.replies(message.channel, message.ts, view.user)
    assert incident.reference in words(replies[-1])


@row("shortcut add_to_timeline")
async def a_message_is_kept_from_its_menu_here_and_elsewhere(way: Journey) -> None:
    incident, ana = await way.opened("kept from a menu"), way.slack.person("ana")
    here = await way.said_in(incident, "ben", "the index was dropped")
    before = len(way.whispered("ana", here.channel))
    await way.slack.workspace.message_shortcut(ana, "add_to_timeline", here.channel, here.ts)
    assert await way.answered("ana", here.channel, before)
    elsewhere = await said(way.people, "ben", "general", f"orders hang {WRITTEN}")
    opened = way.people.opened_so_far
    await way.slack.workspace.message_shortcut(ana, "add_to_timeline", elsewhere.channel, elsewhere.ts)
    view = await way.people.opened_form("ana", since=opened)
    assert incident.reference in await way.sends("ana", view, incident_id=chosen(incident.id))
    noted = [entry.text for entry in await way.timeline(incident) if entry.verb == "noted:"]
    # By when they were written.
    assert [entry.split(f" {WRITTEN}")[0] for entry in noted] == ["the index was dropped", "orders hang"]


@row("shortcut declare")
async def the_shortcut_that_is_everywhere_opens_the_form(way: Journey) -> None:
    opened = way.people.opened_so_far
    assert (await way.slack.workspace.global_shortcut(way.slack.person("ana"), "declare")).ok
    view = await way.people.opened_form("ana", since=opened)
    incident = await way.declared("ana", view, name=text(f"the queue grows {WRITTEN}"))
    assert incident.name == f"the queue grows {WRITTEN}"
    await way.done("ana")


# long menus


@row("suggestion custom_field_entries")
async def a_long_menu_is_searched_and_what_was_found_is_kept(way: Journey) -> None:
    depot = "custom_field_entries.depot"
    view = await way.form("ana", f"a depot is dark {WRITTEN}")
    await pressed(way.people, view, "more_fields", "more_fields")
    outcome = await way.slack.workspace.suggest(view.user, view.id, depot, depot, "depot 142")
    assert [option["value"] for option in outcome.options or []] == ["depot_142"]
    found = {"type": "external_select", "selected_option": (outcome.options or [{}])[0]}
    incident = await way.declared("ana", view, custom_field_entries__depot=found)
    (entry,) = (e for e in incident.custom_field_entries if e.custom_field.id == "depot")
    assert [given.shown for given in entry.values] == ["Depot 142"]
    await way.done("ana")


@row("suggestion other")
async def a_menu_of_the_backends_own_is_searched_there(beside_devrev: Journey) -> None:
    view = await beside_devrev.form("ana", f"checkout is slow {WRITTEN}")
    await pressed(beside_devrev.people, view, "more_fields", "more_fields")
    part = "applies_to_parts"
    outcome = await beside_devrev.slack.workspace.suggest(view.user, view.id, part, part, "check")
    assert [option["text"]["text"] for option in outcome.options or []] == [
        "Checkout (PROD-1)",
        "Checkout (FEAT-4)",
    ]


# events


@row("event app_home_opened")
async def home_says_what_is_open(way: Journey) -> None:
    incident, ana = await way.opened("seen at home"), way.slack.person("ana")
    await way.slack.workspace.open_home(ana, way.slack.app.app_id)
    assert await way.at_home("ana", incident.reference)


async def noted(way: Journey, incident: Incident) -> list[str]:
    return [entry.text for entry in await way.timeline(incident) if entry.verb == "noted:"]


@row("event reaction_added")
async def a_pushpin_keeps_a_message(way: Journey) -> None:
    incident = await way.opened("marked")
    message = await way.said_in(incident, "ben", "the rate doubled")
    await way.slack.workspace.react(way.slack.person("ben"), message.channel, message.ts, "pushpin")
    await way.happened("reaction_added", message.ts)
    (kept,) = await noted(way, incident)
    assert kept.startswith(f"the rate doubled {WRITTEN}")


@row("event reaction_removed")
async def taking_the_pushpin_off_takes_it_out(way: Journey) -> None:
    incident, ben = await way.opened("marked by mistake"), way.slack.person("ben")
    message = await way.said_in(incident, "ben", "nothing to see")
    await way.slack.workspace.react(ben, message.channel, message.ts, "pushpin")
    await way.happened("reaction_added", message.ts)
    assert len(await noted(way, incident)) == 1
    await way.slack.workspace.unreact(ben, message.channel, message.ts, "pushpin")
    await way.happened("reaction_removed", message.ts)
    assert await noted(way, incident) == []


@row("event pin_added")
async def a_pin_keeps_a_message(way: Journey) -> None:
    incident = await way.opened("pinned")
    message = await way.said_in(incident, "ben", "this graph says it")
    await way.slack.workspace.pin(way.slack.person("ben"), message.channel, message.ts)
    await way.happened("pin_added", message.ts)
    (kept,) = await noted(way, incident)
    assert kept.startswith(f"this graph says it {WRITTEN}")


@row("event pin_removed")
async def taking_the_pin_off_takes_it_out(way: Journey) -> None:
    incident, ben = await way.opened("pinned by mistake"), way.slack.person("ben")
    message = await way.said_in(incident, "ben", "the wrong graph")
    await way.slack.workspace.pin(ben, message.channel, message.ts)
    await way.happened("pin_added", message.ts)
    assert len(await noted(way, incident)) == 1
    await way.slack.workspace.unpin(ben, message.channel, message.ts)
    await way.happened("pin_removed", message.ts)
    assert await noted(way, incident) == []


@row("event function_executed")
async def a_step_in_a_workflow_declares_and_is_answered(way: Journey) -> None:
    inputs = {"name": f"from a workflow {WRITTEN}", "reporter": way.slack.person("ana"), "severity": "major"}
    run = way.slack.workspace.steps.begin(way.slack.app, DECLARE, inputs)
    async with asyncio.timeout(LIMIT):
        await run.ended.wait()
    assert run.state == "completed", run.error
    (incident,) = (one for one in await way.incidents() if one.name == inputs["name"])
    assert (run.outputs["reference"], run.outputs["permalink"]) == (incident.reference, incident.permalink)


async def linked(way: Journey, incident: Incident) -> Message:
    """A message of Ben's with a link to the incident, once that is shown below it."""
    message = await said(way.people, "ben", "general", f"see {incident.permalink}")
    await until(way.people, lambda: message.attachments)
    return message


@row("event link_shared")
async def a_link_to_an_incident_is_shown_as_an_incident(way: Journey) -> None:
    incident = await way.opened("linked to")
    (shown,) = (await linked(way, incident)).attachments
    assert shown["entity"]["external_ref"] == {"id": incident.id}
    assert shown["entity"]["entity_payload"]["attributes"]["display_id"] == incident.reference


@row("event entity_details_requested")
async def who_opens_what_is_shown_reads_more_of_it(way: Journey) -> None:
    incident = await way.opened("looked into")
    message, ben = await linked(way, incident), way.slack.person("ben")
    look = way.slack.workspace.unfurls.open(ben, message, str(incident.permalink))
    async with asyncio.timeout(LIMIT):
        await look.answered.wait()
    assert not look.error
    assert incident.name in str(look.shown)


async def commented(way: Journey, incident: Incident) -> CommentsView:
    """The incident's comments, as Ben reads them below a link."""
    message, ben = await linked(way, incident), way.slack.person("ben")
    look = way.slack.workspace.entity_comments.open(ben, message, str(incident.permalink))
    async with asyncio.timeout(LIMIT):
        await look.answered.wait()
    return look


@row("event entity_comments_requested")
async def who_opens_the_comments_reads_what_was_noted(way: Journey) -> None:
    incident = await way.opened("commented on")
    await way.types("ana", f"note drained eu-1 {WRITTEN}", incident)
    look = await commented(way, incident)
    assert [one["comment"]["value"] for one in look.comments] == [f"drained eu-1 {WRITTEN}"]
    assert look.comments[0]["sender"] == {"user_id": way.slack.person("ana")}


@row(f"view {POSTED}")
async def a_comment_that_is_posted_is_noted(way: Journey) -> None:
    incident = await way.opened("written to")
    look = await commented(way, incident)
    (blocks,) = rich_text_of(f"drained eu-2 {WRITTEN}")
    assert (await way.slack.workspace.entity_comments.post(look, blocks)).ok
    async with asyncio.timeout(LIMIT):
        await look.acted[-1].answered.wait()
    assert look.acted[-1].error == ""
    noted = [entry.text for entry in await way.timeline(incident) if entry.verb == "noted:"]
    assert noted == [one["comment"]["value"] for one in look.comments] == [f"drained eu-2 {WRITTEN}"]


# what only an app that workspaces install by themselves hears of


def served(installed: Lobby) -> list[str]:
    return [found.home for found in installed.bot.app.registry.installations]


@row("event app_uninstalled")
async def a_workspace_that_uninstalled_is_served_no_more(installed: Lobby) -> None:
    assert heading(await installed.install(AWAY_ADMIN)) == "Tocsin is in Northwind"
    away = installed.of(AWAY)
    installed.estate.uninstall(away.workspace, installed.app.app_id)
    await away.workspace.heard("event.app_uninstalled")
    assert AWAY not in served(installed)


@row("event tokens_revoked")
async def a_word_of_revoked_tokens_is_checked_with_slack(installed: Lobby) -> None:
    assert heading(await installed.install(HOME_ADMIN)) == "Tocsin is in Lumen Freight"
    home = installed.of(HOME)
    asked = len(home.calls("auth.test"))
    tokens = {"oauth": [], "bot": [home.slack.app.bot_user_id]}
    home.workspace.events.emit({"type": "tokens_revoked", "tokens": tokens})
    await home.workspace.heard("event.tokens_revoked")
    assert len(home.calls("auth.test")) > asked
    assert served(installed) == [HOME]
