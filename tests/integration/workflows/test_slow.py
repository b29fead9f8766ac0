"""A backend that is slow, down, or says no: what the person reads meanwhile, and afterwards."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from support.bot import picked, ticked, typed
from support.errands import typed_verb
from support.held_backend import Held, held_bot
from support.readings import deliver, how_many, last_delivery, newest, pressed, settled, told, words

from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable
from tocsin.incidents.requests import IncidentChange
from tocsin.slack.views.declare import read_declare, saved_modal
from tocsin.workflows.ports import loop_time

LATEST_ACKNOWLEDGEMENT = 2.5


async def test_a_slow_backend_is_answered_with_saved_in_time_and_with_the_reference_later(held: Held) -> None:
    view = await held.filled()
    began = loop_time()
    outcome = await held.bot.submit("ana", view)
    assert loop_time() - began <= LATEST_ACKNOWLEDGEMENT
    assert outcome.ok
    assert "Saved, still declaring" in words(view)
    again = await deliver(held.bot, "interactive", last_delivery(held.bot, "view_submission"))
    assert again["view"]["title"] == saved_modal().to_dict()["title"]
    held.backend.go_on.set()
    await settled(held.bot)
    assert await how_many(held.bot) == 1
    incident = await newest(held.bot)
    assert incident.reference in words(view)
    assert f"<#{incident.slack_channel_id}>" in words(view)


async def test_two_forms_on_one_message_while_the_backend_is_slow_are_one_incident(held: Held) -> None:
    message = held.bot.workspace.history(held.bot.slack.channel("alerts"), held.bot.slack.person("ana"))[0]
    forms = {who: await held.bot.pick_shortcut(who, message) for who in ("ana", "chloe")}
    major = {"severity_id": {"severity_id": {"type": "static_select", "selected_option": {"value": "major"}}}}
    submitted = (
        held.bot.workspace.submit(held.bot.slack.person(who), form.id, major) for who, form in forms.items()
    )
    assert all(outcome.ok for outcome in await asyncio.gather(*submitted))
    held.backend.go_on.set()
    await settled(held.bot)
    assert await how_many(held.bot) == 1
    shown = [words(form) for form in forms.values()]
    assert sum("Already declared" in text for text in shown) == 1
    assert all("INC-1" in text for text in shown)


async def test_a_backend_that_cannot_be_reached_is_asked_again_until_it_answers(held: Held) -> None:
    view = await held.filled()
    held.backend.failing = [Unavailable("down", retry_after=0.1), OutcomeUnknown("lost", retry_after=0.1)]
    held.backend.go_on.set()
    assert (await held.bot.submit("ana", view)).ok
    await settled(held.bot)
    assert "INC-1" in words(view)
    assert await how_many(held.bot) == 1


async def test_a_field_that_the_backend_refuses_is_marked_and_everything_typed_stays(held: Held) -> None:
    view = await held.filled()
    held.backend.failing = [Refused("No.", {"severity_id": "Choose something milder."})]
    outcome = await held.bot.submit("ana", view)
    assert outcome.errors == {"severity_id": "Choose something milder."}
    assert view.values["name"]["name"]["value"] == "checkout is slow"


async def test_a_refused_form_can_be_put_right_and_sent_again(held: Held) -> None:
    view = await held.filled()
    held.backend.failing = [Refused("No.", {"name": "That name is taken."})]
    held.backend.go_on.set()
    assert (await held.bot.submit("ana", view)).errors == {"name": "That name is taken."}
    await settled(held.bot)
    await held.bot.fill("ana", view, name={"type": "plain_text_input", "value": "another name"})
    outcome = await held.bot.submit("ana", view)
    assert outcome.ok, outcome
    await settled(held.bot)
    assert (await newest(held.bot)).name == "another name"


async def test_a_refusal_that_comes_late_is_told_where_the_person_looks(held: Held) -> None:
    view = await held.filled()
    assert (await held.bot.submit("ana", view)).ok
    assert "Saved, still declaring" in words(view)
    held.backend.refusal = Refused("Incidents are frozen today.")
    held.backend.go_on.set()
    await settled(held.bot)
    assert "Incidents are frozen today." in words(view)
    assert any("Incidents are frozen today." in words(message) for message in told(held.bot, "ana"))


async def test_fix_and_send_opens_the_refused_form_with_everything_typed_and_makes_it_an_incident(
    held: Held,
) -> None:
    bot = held.bot
    view = await held.filled()
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill(
        "ana",
        view,
        summary=typed("Since 21:05.\n<!channel> & friends"),
        incident_role_assignments__lead=picked(bot.slack.person("ben")),
        custom_field_entries__customers_affected={"type": "number_input", "value": "1200.5"},
        visibility=ticked("private"),
    )
    filled = read_declare(view.values)
    assert (await bot.submit("ana", view)).ok
    held.backend.refusal = Refused("Incidents are frozen today.")
    held.backend.go_on.set()
    await settled(bot)
    message, opened = told(bot, "ana")[-1], bot.opened_so_far
    ana = bot.slack.person("ana")
    await bot.workspace.press(ana, "fix_and_send", "refused", channel=message.channel, ts=message.ts)
    again = await bot.opened_form("ana", since=opened)
    assert read_declare(again.values) == filled
    held.backend.refusal = None
    assert (await bot.submit("ana", again)).ok
    await settled(bot)
    incident = await newest(bot)
    assert incident.is_private
    assert incident.summary == "Since 21:05.\n<!channel> & friends"


async def test_a_form_whose_choices_are_not_there_yet_opens_as_loading_and_is_filled(tmp_path: Path) -> None:
    async with held_bot(tmp_path, with_form=False) as held:
        view = await held.bot.type_command("ana", "general", "/incident checkout is slow")
        assert "Fetching the form" in words(view)
        held.backend.form_may_come.set()
        await held.bot.workspace.heard("views.update")
        assert view.values["name"]["name"]["value"] == "checkout is slow"


async def test_who_waited_for_an_answer_reads_nothing_of_what_became_private_meanwhile(held: Held) -> None:
    held.backend.go_on.set()
    assert (await held.bot.submit("ana", await held.filled())).ok
    await settled(held.bot)
    incident, general = await newest(held.bot), held.bot.slack.channel("general")
    held.backend.may_change.clear()
    said = await typed_verb(held.bot, "ben", general, f"/incident severity {incident.reference} critical")
    assert "Saved" in said
    private = IncidentChange(key="hidden", by=incident.creator, at=datetime.now(UTC), visibility="private")
    await held.backend._behind.change(incident.id, private)
    held.backend.may_change.set()
    await settled(held.bot)
    late = " ".join(map(words, told(held.bot, "ben")))
    assert "What you asked for is done. The incident is not yours to see any more." in late
    assert "Critical" not in late
