"""Menus with more choices than Slack shows are searched as people type."""

from __future__ import annotations

import pytest
from support.bot import RunningBot, chosen
from support.readings import newest, pressed, settled, value

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPOTS = [f"Depot {number:03}" for number in range(150)]
CONFIG = f"""
[[custom_fields]]
name = "Depot"
field_type = "single_select"
required = true
options = {DEPOTS}
[[custom_fields]]
name = "Routes"
field_type = "multi_select"
options = {[f"Route {number}" for number in range(101)]}
"""
DEPOT, ROUTES = "custom_field_entries.depot", "custom_field_entries.routes"


async def found(bot: RunningBot, person: str, view_id: str, field: str, query: str) -> list[str]:
    outcome = await bot.workspace.suggest(bot.slack.person(person), view_id, field, field, query)
    assert outcome.ok, outcome
    return [option["text"]["text"] for option in outcome.options or []]


async def test_a_needed_field_with_150_choices_is_searched_on_the_first_screen(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident")
    assert await found(bot, "ana", view.id, DEPOT, "") == DEPOTS[:100]
    assert await found(bot, "ana", view.id, DEPOT, "depot 13") == [d for d in DEPOTS if "13" in d]
    assert await found(bot, "ana", view.id, DEPOT, "120 DEPOT") == ["Depot 120"]
    assert await found(bot, "ana", view.id, DEPOT, "<!channel>") == []


async def test_what_was_found_is_declared_and_survives_more_fields(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident depot dark")
    depot = {
        "type": "external_select",
        "selected_option": chosen("depot_142", "Depot 142")["selected_option"],
    }
    await bot.fill("ana", view, severity_id=chosen("major"), custom_field_entries__depot=depot)
    await pressed(bot, view, "more_fields", "more_fields")
    assert value(view, DEPOT) == "depot_142"
    routes = [chosen(f"route_{number}")["selected_option"] for number in (7, 100)]
    state = {"type": "multi_external_select", "selected_options": routes}
    assert await found(bot, "ana", view.id, ROUTES, "route 100") == ["Route 100"]
    await bot.fill("ana", view, custom_field_entries__routes=state)
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    shown = {e.custom_field.id: [v.shown for v in e.values] for e in (await newest(bot)).custom_field_entries}
    assert shown == {"depot": ["Depot 142"], "routes": ["Route 7", "Route 100"]}


async def test_a_needed_field_that_is_left_empty_is_asked_for(bot: RunningBot) -> None:
    view = await bot.type_command("ana", "general", "/incident depot dark")
    await bot.fill("ana", view, severity_id=chosen("major"))
    outcome = await bot.submit("ana", view)
    assert list(outcome.errors) == [DEPOT]
