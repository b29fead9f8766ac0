"""Trouble in a form is an alert block; where Slack does not take these, the form opens all the same."""

from __future__ import annotations

import asyncio
import json

import pytest
from slack_bolt.response import BoltResponse
from support.bot import RunningBot
from support.readings import settled, words

from slack_emulator.faults import Fault
from slack_emulator.models import View
from tocsin.slack.form_alerts import FormAlerts
from tocsin.slack.views.declare import error_modal

pytestmark = pytest.mark.asyncio(loop_scope="module")


def alerts_of(bot: RunningBot) -> FormAlerts:
    (context,) = bot.app.contexts.open
    return context.workspace.form_alerts


def kinds(view: View, holds: str) -> list[str]:
    """The types of the blocks in which these words stand."""
    return [block["type"] for block in view.payload["blocks"] if holds in words(block)]


async def misspelt(bot: RunningBot, *, times: int = 1) -> View:
    """The form that a slip opens, after so many calls."""
    before = bot.opened_so_far
    await bot.type_command("ana", "general", "/incident clsoe it")
    view = await bot.opened_form("ana", since=before + times - 1)
    await settled(bot)
    return view


async def test_trouble_is_an_alert_and_a_section_where_slack_refuses_alerts(bot: RunningBot) -> None:
    alerts = alerts_of(bot)
    (context,) = bot.app.contexts.open
    await context.workspace.learn_alerts()
    assert kinds(await misspelt(bot), "Did you mean") == ["alert"]
    # An API that says nothing when it is asked, and refuses the form: it opens at the same press.
    alerts.are_taken = None
    bot.workspace.faults.plan("views.open", Fault(error="invalid_arguments"))
    assert kinds(await misspelt(bot, times=2), "Did you mean") == ["section"]
    before = bot.opened_so_far
    assert kinds(await misspelt(bot), "Did you mean") == ["section"]
    assert bot.opened_so_far == before + 1
    await context.workspace.learn_alerts()
    assert alerts.are_taken
    bot.workspace.faults.plan("blocks.validate", Fault(error="invalid_view"))
    await context.workspace.learn_alerts()
    assert kinds(await misspelt(bot), "Did you mean") == ["section"]
    await context.workspace.learn_alerts()


async def test_a_form_opens_although_the_api_said_that_it_takes_alerts(bot: RunningBot) -> None:
    alerts = alerts_of(bot)
    await misspelt(bot)
    for code in ("invalid_arguments", "invalid_blocks_format"):
        alerts.are_taken = True
        bot.workspace.faults.plan("views.open", Fault(error=code))
        assert kinds(await misspelt(bot, times=2), "Did you mean") == ["section"]
        assert alerts.are_taken is False


async def test_a_start_does_not_wait_for_an_api_that_limits_the_question(bot: RunningBot) -> None:
    (context,) = bot.app.contexts.open
    bot.workspace.faults.plan("blocks.validate", *[Fault(status=429, retry_after=300)] * 3)
    began = asyncio.get_running_loop().time()
    await context.greet()
    assert asyncio.get_running_loop().time() - began < 2
    bot.workspace.faults.clear()


async def test_an_answer_in_a_form_has_alerts_only_where_slack_is_known_to_take_them() -> None:
    view = error_modal("Not done", "It is closed.").to_dict()
    for known, kind in ((None, "section"), (False, "section"), (True, "alert")):
        alerts = FormAlerts()
        alerts.are_taken = known
        answer = BoltResponse(status=200, body={"response_action": "update", "view": view})
        alerts.in_answer(answer)
        (block,) = json.loads(answer.body)["view"]["blocks"]
        assert (block["type"], "It is closed." in block["text"]["text"]) == (kind, True)
