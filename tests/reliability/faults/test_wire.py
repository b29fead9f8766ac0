"""Slack's answers late, broken, lost or refused for a while: everything is done in the end, and done once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from support.bot import picked, ticked
from support.readings import cards, newest, own_channel, post, settled
from support.slack import RunningWorkspace, running_workspace

from reliability.faults.run import Run
from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.errors import OutcomeUnknown
from tocsin.incidents.model import PersonId, TeamId
from tocsin.slack import routes
from tocsin.slack.installations import Installation
from tocsin.slack.web_api import WebApi, open_session, web_client
from tocsin.slack.workspace import SlackWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITES = (
    "conversations.create",
    "conversations.invite",
    "conversations.setTopic",
    "conversations.setPurpose",
    "bookmarks.add",
    "chat.postMessage",
    "pins.add",
    "views.update",
)
HTML = "<html><body>502 Bad Gateway</body></html>"
FAULTS = {
    "429 with no Retry-After": Fault(status=429),
    "429 with a word for Retry-After": Fault(retry_after="soon"),
    "429 with Retry-After: 0": Fault(retry_after=0),
    "a 500 before the effect": Fault(status=500),
    "a 500 after the effect": Fault(status=500, after_effect=True),
    "an answer that breaks off": Fault(reset=True),
    "an answer lost after the effect": Fault(reset=True, after_effect=True),
    "an HTML page": Fault(body=HTML, content_type="text/html"),
    "an HTML page after the effect": Fault(body=HTML, content_type="text/html", after_effect=True),
    "no JSON": Fault(body="{ok: yes"),
    "no JSON after the effect": Fault(body='{"ok":tr', after_effect=True),
    "plain text": Fault(body="ok", content_type="text/plain", after_effect=True),
    "JSON that is no object": Fault(body='["ok"]', after_effect=True),
    "ok without what it should say": Fault(body='{"ok":true}', after_effect=True),
    "ok with the wrong types": Fault(body='{"ok":true,"channel":7,"ts":null}', after_effect=True),
    "a refusal without a reason": Fault(body='{"ok":false}', after_effect=True),
}


@pytest.fixture
def day(shared_day: Run) -> Run:
    return shared_day


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_whatever_slack_answers_once_all_is_done_in_the_end_and_nothing_twice(
    day: Run, fault: Fault
) -> None:
    for method in WRITES:
        day.fail(method, replace(fault))
    await day.declare(incident_role_assignments__lead=picked(day.bot.slack.person("ben")))
    assert day.broken() == []
    assert day.told() == ""
    assert len(cards(day.bot, own_channel(day.bot, await newest(day.bot)).id)) == 1


async def test_who_is_slow_to_answer_holds_nobody_else_up(day: Run) -> None:
    goes_on = asyncio.Event()
    day.fail("bookmarks.add", Fault(until=goes_on))
    view, press = await day.filled()
    assert (await day.submit(press)).ok
    await day.bot.workspace.heard("chat.postMessage", 3)
    assert "INC-1" in str(view.payload)
    goes_on.set()
    await settled(day.bot)
    assert day.broken() == []


async def test_answers_in_any_order_make_one_incident_each(day: Run) -> None:
    held = [asyncio.Event() for _ in range(3)]
    for event in held:
        day.fail("conversations.create", Fault(until=event))
    pressed = [await day.filled(who) for who in ("ana", "ben", "chloe")]
    for _, press in pressed:
        assert (await day.submit(press)).ok
    await day.bot.workspace.begun("conversations.create", 3)
    for event in reversed(held):
        event.set()
    await settled(day.bot)
    assert day.broken() == []


@pytest.mark.parametrize("method", ["views.update", "chat.postMessage"])
async def test_a_limit_is_waited_out_by_everybody_and_costs_few_calls(day: Run, method: str) -> None:
    day.fail(method, *(Fault(retry_after=1) for _ in range(2)))
    await day.declare()
    assert day.broken() == []
    asked = Counter(call.method for call in day.bot.calls())
    assert asked[method] <= 3 + 2


@pytest_asyncio.fixture(loop_scope="module")
async def slack() -> AsyncIterator[RunningWorkspace]:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        yield slack


async def test_a_call_that_hangs_is_given_up_and_its_message_is_found_before_it_is_posted_again(
    slack: RunningWorkspace,
) -> None:
    async with open_session(0.3) as session:
        client = web_client(session, token=slack.bot_token, base_url=slack.api_url)
        team = TeamId(slack.workspace.state.team.id)
        workspace = SlackWorkspace(client, clock=lambda: datetime.now(UTC), team_id=team)
        bot = PersonId(slack.app.bot_user_id)
        workspace.enter(Installation(team_id=team, bot_token=slack.bot_token, bot_user_id=bot))
        ana, for_ever = PersonId(slack.person("ana")), asyncio.Event()
        slack.workspace.faults.plan("chat.postMessage", Fault(until=for_ever))
        with pytest.raises(OutcomeUnknown):
            await workspace.messages.tell(ana, "It is through.", about=None, key="k")
        for_ever.set()
        await slack.workspace.heard("chat.postMessage")
        await workspace.messages.tell(ana, "It is through.", about=None, key="k", again=True)
        assert len(slack.workspace.request_log.matching("chat.postMessage")) == 1


@pytest.mark.parametrize(
    "asked_for", ["nan", "inf", "1e400", "99999999", "-5", "", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
async def test_whatever_retry_after_says_the_pause_is_neither_nothing_nor_without_end(
    slack: RunningWorkspace, asked_for: str
) -> None:
    async with open_session() as session:
        client = web_client(session, token=slack.bot_token, base_url=slack.api_url)
        slack.workspace.faults.plan("users.info", Fault(retry_after=asked_for))
        with pytest.raises(Exception, match="slow down") as limited:
            await WebApi().call_now(client.users_info, user=slack.person("ana"))
        assert 1.0 <= limited.value.retry_after <= 300.0  # type: ignore[attr-defined]


async def test_while_slack_cannot_be_reached_a_declaration_waits_and_then_goes_on(day: Run) -> None:
    """More lost answers than a step that can be done without is tried for."""
    day.fail("conversations.create", *(Fault(status=503, retry_after=None) for _ in range(3)))
    day.fail("chat.postMessage", *(Fault(status=503) for _ in range(3)))
    await day.declare()
    assert day.broken() == []


async def test_a_message_is_found_again_below_two_hundred_newer_ones(day: Run) -> None:
    goes_on = asyncio.Event()
    day.fail("chat.postMessage", *(Fault(reset=True, after_effect=True) for _ in range(3)))
    _, press = await day.filled()
    day.fail("conversations.history", Fault(until=goes_on), Fault(until=goes_on), Fault(until=goes_on))
    assert (await day.submit(press)).ok
    await day.bot.workspace.begun("conversations.history", 1)
    for number in range(250):
        post(day.bot, "general", user=day.bot.slack.person("ben"), text=f"me too {number}")
    goes_on.set()
    await settled(day.bot)
    assert day.broken() == []


async def test_a_message_in_a_thread_is_found_again_where_the_bot_is_no_member(day: Run) -> None:
    alert = day.bot.workspace.history(day.bot.slack.channel("alerts"), day.bot.slack.person("ana"))[0]
    day.fail("chat.postMessage", *(Fault(reset=True, after_effect=True) for _ in range(3)))
    _, press = await day.from_message("chloe", alert)
    assert (await day.submit(press)).ok
    await settled(day.bot)
    assert day.broken() == []


async def test_a_direct_message_is_found_again(day: Run) -> None:
    day.fail("chat.postMessage", *(Fault(status=502, after_effect=True) for _ in range(2)))
    await day.declare(visibility=ticked("private"))
    assert day.broken() == []
