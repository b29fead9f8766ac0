"""The custom fields of an incident: seen, changed by command and in a form, asked for at closing."""

from __future__ import annotations

from typing import Any

import pytest
from support.beginning import declared_before
from support.bot import RunningBot, chosen, typed
from support.errands import opened_by, press_card, sent, typed_verb, whispers
from support.readings import block_ids, cards, settled, value, words

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[[custom_fields]]
name = "Affected area"
field_type = "multi_select"
options = ["Website", "API", "Payments"]

[[custom_fields]]
name = "Customers affected"
field_type = "numeric"

[[custom_fields]]
name = "Customer or ticket"

[[custom_fields]]
name = "Cause"
field_type = "single_select"
options = ["Deploy", "Capacity"]
required_when = "closing"
"""
AREA, CUSTOMERS, TICKET, CAUSE = (
    f"custom_field_entries.{name}"
    for name in ("affected_area", "customers_affected", "customer_or_ticket", "cause")
)


def areas(*names: str) -> dict[str, Any]:
    options = [chosen(name.lower(), name)["selected_option"] for name in names]
    return {"type": "multi_static_select", "selected_options": options}


def number(text: str) -> dict[str, Any]:
    return {"type": "number_input", "value": text}


async def answers(bot: RunningBot, incident: Incident) -> dict[str, list[str]]:
    """What the incident's fields hold, once everything has followed."""
    await settled(bot)
    found = await bot.backend.find(incident.id)
    assert found is not None
    return {e.custom_field.name: [v.shown for v in e.values] for e in found.custom_field_entries}


async def test_two_people_who_change_different_fields_do_not_undo_one_another(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    anas = await opened_by(bot, "ana", here, "/incident fields")
    bens = await opened_by(bot, "ben", bot.slack.channel("general"), f"/incident fields {incident.reference}")
    said = await sent(bot, "ana", anas, custom_field_entries__affected_area=areas("API", "Payments"))
    assert "Affected area is API and Payments (was not set)" in said
    await sent(bot, "ben", bens, custom_field_entries__customers_affected=number("1200"))
    assert await answers(bot, incident) == {
        "Affected area": ["API", "Payments"],
        "Customers affected": ["1200"],
    }
    assert "set Affected area to API and Payments" in words(cards(bot, here)[-2])
    assert [entry.verb for entry in await bot.backend.timeline(incident.id)][-2:] == [
        *("set Affected area to", "set Customers affected to"),
    ]
    again = await opened_by(bot, "ana", here, "/incident fields")
    assert value(again, CUSTOMERS) == "1200"
    await sent(bot, "ana", again, custom_field_entries__affected_area=areas())
    assert await answers(bot, incident) == {"Customers affected": ["1200"]}


async def test_who_was_overtaken_in_a_field_reads_it_and_keeps_what_they_typed(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    view = await opened_by(bot, "ana", here, "/incident fields")
    elsewhere = f"/incident fields {incident.reference}"
    for text in ("customer or ticket: TKT-7", "affected area api"):
        await typed_verb(bot, "ben", bot.slack.channel("general"), f"{elsewhere} {text}")
    said = await sent(bot, "ana", view, custom_field_entries__customer_or_ticket=typed("TKT-8"))
    assert "Customer or ticket is TKT-7 by now" in said
    (form,) = bot.workspace.stack(bot.slack.person("ana"))
    assert value(form, TICKET) == "TKT-8"
    await sent(bot, "ana", form)
    assert await answers(bot, incident) == {"Affected area": ["API"], "Customer or ticket": ["TKT-8"]}


async def test_a_value_that_is_none_is_named_with_its_field_and_nothing_typed_is_lost(
    bot: RunningBot,
) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    said = await typed_verb(bot, "ana", here, "/incident fields customers affected a few")
    assert "Customers affected: Write a number" in said
    assert "a few" in said
    said = await typed_verb(bot, "ana", here, "/incident fields affected area API and Shop")
    assert "Affected area has no choice “Shop”. Choose Website, API or Payments." in said
    view = await opened_by(bot, "ana", here, "/incident fields")
    await bot.fill("ana", view, custom_field_entries__customers_affected=number("9" * 41))
    outcome = await bot.submit("ana", view)
    assert outcome.errors == {CUSTOMERS: "Customers affected: Write a number, such as 42 or 0.5."}
    assert await answers(bot, incident) == {}


async def test_closing_asks_for_what_is_wanted_by_then_and_for_nothing_else(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    view = await opened_by(bot, "ana", here, "/incident close a restart helped")
    assert "INC-1 is not closed yet: fill in Cause." in words(view)
    assert [block for block in block_ids(view) if block.startswith("custom_field")] == [CAUSE]
    assert value(view, "message") == "a restart helped"
    assert (await bot.submit("ana", view)).errors.keys() == {CAUSE}
    assert "Closed" in await sent(bot, "ana", view, custom_field_entries__cause=chosen("deploy", "Deploy"))
    assert await answers(bot, incident) == {"Cause": ["Deploy"]}
    await typed_verb(bot, "ana", here, "/incident reopen")
    assert "Closed" in await typed_verb(bot, "ana", here, "/incident close it was fixed")


async def test_no_other_way_closes_an_incident_whose_field_is_empty(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    said = await typed_verb(bot, "ana", here, "/incident status closed")
    assert "Cause is needed to close INC-1: `/incident close` asks for it." in said
    await typed_verb(bot, "ana", here, "/incident fields cause deploy")
    await settled(bot)
    again = await typed_verb(bot, "ana", here, "/incident fields cause: Deploy")
    assert "Cause of INC-1 is Deploy already." in again
    assert "Closed" in await typed_verb(bot, "ana", here, "/incident status closed")


async def test_show_has_the_fields_and_the_button_that_changes_them(bot: RunningBot) -> None:
    incident = await declared_before(bot, "checkout is slow")
    here = incident.slack_channel_id
    await typed_verb(bot, "ana", here, "/incident fields customers affected = 12")
    await settled(bot)
    assert "*Customers affected*  12" in await typed_verb(bot, "ana", here, "/incident show")
    opened = bot.opened_so_far
    await press_card(bot, "ana", whispers(bot, "ana", here)[-1], "change_fields")
    view = await bot.opened_form("ana", since=opened)
    assert value(view, CUSTOMERS) == "12"
    assert view.payload["callback_id"] == "fields"
