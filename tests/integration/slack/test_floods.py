"""Who declares one incident after another is asked whether they mean it, and loses nothing they typed."""

from __future__ import annotations

import asyncio

import pytest
from support.bot import RunningBot, asks_whether_sure, chosen, picked, ticked, typed
from support.readings import deliver, how_many, last_delivery, newest, pressed, settled, words

from slack_emulator.models import View
from tocsin.slack.context import LIMITED_SECONDS, MOST_DECLARED
from tocsin.slack.views.declare import read_declare

pytestmark = pytest.mark.asyncio(loop_scope="module")

SURE = "Declare all the same"


async def filled(bot: RunningBot, name: str, who: str = "ana") -> View:
    view = await bot.type_command(who, "general", f"/incident {name}")
    await bot.fill(who, view, severity_id=chosen("major"))
    return view


async def declared(bot: RunningBot, number: int, who: str = "ana") -> View:
    """Declared by them, one after another; each is answered with its reference."""
    for one in range(number):
        view = await filled(bot, f"number {one}", who)
        assert (await bot.workspace.submit(view.user, view.id)).ok
        assert "is declared" in words(view)
    return view


async def test_the_sixth_within_a_minute_is_asked_about_and_declared_when_it_is_pressed_again(
    bot: RunningBot,
) -> None:
    await declared(bot, MOST_DECLARED)
    view = await filled(bot, "one more")
    await pressed(bot, view, "more_fields", "more_fields")
    await bot.fill(
        "ana",
        view,
        summary=typed("Since 21:05.\n<!channel> & friends"),
        incident_role_assignments__lead=picked(bot.slack.person("ben")),
        custom_field_entries__customers_affected={"type": "number_input", "value": "1200.5"},
        visibility=ticked("private"),
    )
    sent = read_declare(view.values)
    assert (await bot.workspace.submit(view.user, view.id)).ok
    assert asks_whether_sure(view)
    assert "You have declared 5 incidents within a minute, and this one is *not declared yet*" in words(view)
    assert read_declare(view.values) == sent
    await settled(bot)
    assert await how_many(bot) == MOST_DECLARED
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    incident = await newest(bot)
    assert (await how_many(bot), incident.name) == (MOST_DECLARED + 1, "one more")
    assert (incident.summary, incident.is_private) == (sent.summary, True)


async def test_the_same_press_that_comes_twice_is_asked_about_twice(bot: RunningBot) -> None:
    await declared(bot, MOST_DECLARED)
    view = await filled(bot, "one more")
    assert (await bot.workspace.submit(view.user, view.id)).ok
    again = await deliver(bot, "interactive", last_delivery(bot, "view_submission"))
    assert again["view"]["submit"]["text"] == SURE
    await settled(bot)
    assert await how_many(bot) == MOST_DECLARED


async def test_pressing_one_form_again_is_no_new_declaration(bot: RunningBot) -> None:
    view = await declared(bot, MOST_DECLARED - 1)
    for _ in range(MOST_DECLARED):
        await deliver(bot, "interactive", last_delivery(bot, "view_submission"))
    view = await declared(bot, 1)
    assert not asks_whether_sure(view)
    await settled(bot)
    assert await how_many(bot) == MOST_DECLARED


async def test_another_person_is_not_asked_and_a_minute_later_nobody_is(bot: RunningBot) -> None:
    await declared(bot, MOST_DECLARED)
    await declared(bot, 1, "ben")
    await settled(bot)
    await asyncio.sleep(LIMITED_SECONDS + 1)
    await declared(bot, 1)
    await settled(bot)
    assert await how_many(bot) == MOST_DECLARED + 2


async def test_what_is_not_filled_in_rightly_is_not_counted(bot: RunningBot) -> None:
    for _ in range(MOST_DECLARED + 1):
        view = await filled(bot, "x")
        await bot.fill("ana", view, name=typed("x" * 201))
        assert (await bot.submit("ana", view)).errors
    await declared(bot, 1)
    await settled(bot)
