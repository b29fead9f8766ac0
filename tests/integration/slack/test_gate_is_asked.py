"""No call goes round the gate, and a gate that lets anything through is noticed."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import test_gate as gate_tests
from measures import nodes_in, nodes_of
from slack_sdk.web.async_client import AsyncWebClient
from structlog.typing import EventDict
from support.bot import RunningBot

from tocsin.incidents.errors import Withheld
from tocsin.incidents.model import Incident
from tocsin.slack.authorization import Authorizer
from tocsin.slack.disclosure import SAYING_NOTHING, Alone, Disclosure
from tocsin.slack.gate import DisclosureGate
from tocsin.slack.shared_channels import SharedChannels
from tocsin.slack.web_api import WebApi, name_of, web_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = gate_tests.CONFIG
SOURCE = Path(__file__).parents[3] / "src" / "tocsin"
OF_THE_APP = {"apps.connections.open", "auth.revoke", "auth.test", "bots.info", "oauth.v2.access"}
"""Slack's methods about the app itself, which are asked before there is a workspace to speak of."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
FAMILIES = tuple(
    f"{family}_"
    for family in (
        *("apps", "auth", "bookmarks", "bots", "canvases", "chat", "conversations", "entity", "files"),
        *("functions", "oauth", "openid", "pins", "reactions", "team", "usergroups", "users", "views"),
    )
)
"""What the SDK's methods begin with, as Slack names their families."""


@cache
def functions() -> Sequence[tuple[str, Function]]:
    """Every function of the bot, by its file and name."""
    return [
        (f"{path.relative_to(SOURCE)}:{node.name}", node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in nodes_of(path)
        if isinstance(node, Function)
    ]


nodes_below = cache(nodes_in)


def is_a_method(name: str) -> bool:
    return name.startswith(FAMILIES) and hasattr(AsyncWebClient, name)


def methods_in(function: Function) -> set[str]:
    """Slack's names of the methods that a function names."""
    found = {node.attr for node in nodes_below(function) if isinstance(node, ast.Attribute)}
    return {
        name.replace("_", ".")
        for name in found
        if name.startswith(FAMILIES) and hasattr(AsyncWebClient, name)
    }


def calls_in(function: Function) -> Iterator[ast.Call]:
    return (node for node in nodes_below(function) if isinstance(node, ast.Call))


def says_what_it_carries(call: ast.Call) -> bool:
    named = {keyword.arg for keyword in call.keywords} | {ast.unparse(argument) for argument in call.args}
    return bool(named & {"about", "carried", "NOTHING"})


async def test_every_call_that_may_carry_something_of_an_incident_says_what_it_carries() -> None:
    silent = [
        where
        for where, function in functions()
        if methods_in(function) - SAYING_NOTHING - OF_THE_APP
        and not any(says_what_it_carries(call) for call in calls_in(function))
    ]
    assert silent == []


async def test_no_method_of_slacks_is_called_but_through_the_gate() -> None:
    round_it = [
        f"{where} calls {call.func.attr}"
        for where, function in functions()
        for call in calls_in(function)
        if isinstance(call.func, ast.Attribute)
        and is_a_method(call.func.attr)
        and call.func.attr.replace("_", ".") not in OF_THE_APP
    ]
    assert round_it == []


async def test_what_goes_to_slack_past_its_methods_goes_from_two_places_that_ask() -> None:
    past = {
        where
        for where, function in functions()
        for call in calls_in(function)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "post"
        if ast.unparse(call.func).endswith("session.post")
    }
    assert past == {"slack/workspace.py:reply", "slack/files.py:_upload"}


async def test_a_call_that_does_not_say_what_it_carries_is_not_made(bot: RunningBot) -> None:
    calls = WebApi()
    session = bot.app.contexts.open[0].workspace.client.session  # type: ignore[union-attr]
    assert session is not None
    client = web_client(session, token="xoxb-1", base_url=bot.slack.api_url)
    with pytest.raises(TypeError, match=r"chat\.postMessage may carry"):
        await calls.call(client.chat_postMessage, channel="C0GENERAL1", text="hello")


async def test_before_there_is_a_gate_nothing_of_an_incident_passes(bot: RunningBot) -> None:
    incident = await gate_tests.declared(bot, "checkout is slow")
    with pytest.raises(Withheld):
        await WebApi().check_disclosure(
            Disclosure((incident,), Alone(incident.creator.slack_user_id)), "chat.postMessage"
        )


async def test_slacks_names_of_methods_are_read_from_the_sdks() -> None:
    client = AsyncWebClient()
    named = {name_of(client.usergroups_users_list), name_of(client.conversations_canvases_create)}
    assert named == {"usergroups.users.list", "conversations.canvases.create"}


async def lets_pass(*_: Any, **__: Any) -> None:
    """Stands in for a question that is not asked."""


async def always(*_: Any, **__: Any) -> bool:
    return True


async def never(*_: Any, **__: Any) -> bool:
    return False


async def as_it_was(_: DisclosureGate, incident: Incident, at_hand: bool) -> Incident:
    """Stands in for reading an incident again."""
    return incident


async def export_again(bot: RunningBot, _: list[EventDict]) -> None:
    await gate_tests.test_an_export_that_is_sent_again_is_not_sent_to_who_may_not_see_the_incident_any_more(
        bot, "files.completeUploadExternal", {"status": 500}
    )


async def cards_wait(bot: RunningBot, _: list[EventDict]) -> None:
    await gate_tests.test_cards_that_wait_are_not_posted_once_the_incident_is_private(bot, {"retry_after": 2})


async def channel_fails(bot: RunningBot, _: list[EventDict]) -> None:
    await gate_tests.test_made_private_while_slack_makes_its_channel_it_moves_into_a_private_one(bot)


async def made_public(bot: RunningBot, troubles: list[EventDict]) -> None:
    await gate_tests.test_a_private_channel_that_was_made_public_is_not_written_to_and_two_are_told(
        bot, troubles
    )


async def announced_to_others(bot: RunningBot, _: list[EventDict]) -> None:
    await gate_tests.test_an_incident_is_not_announced_in_a_channel_that_another_organisation_reads(bot)


async def form_of_a_guest(bot: RunningBot, _: list[EventDict]) -> None:
    await gate_tests.test_no_form_that_shows_an_incident_opens_for_who_may_not_read_it(bot, "guest")


Mutant = tuple[type, str, Callable[..., Any], Callable[..., Awaitable[None]]]
MUTANTS: dict[str, Mutant] = {
    "nobody asks the gate": (WebApi, "check_disclosure", lets_pass, cards_wait),
    "the gate knows an incident as it was": (DisclosureGate, "_now", as_it_was, cards_wait),
    "anybody may read a direct message": (DisclosureGate, "_check_person", lets_pass, export_again),
    "everything may be posted anywhere": (DisclosureGate, "_check_channel", lets_pass, cards_wait),
    "every channel is private": (SharedChannels, "is_for_its_members_alone", always, made_public),
    "no channel is shared": (SharedChannels, "read_by_others", never, announced_to_others),
    "a form opens for anybody": (Authorizer, "check_opening", lets_pass, form_of_a_guest),
}


@contextmanager
def planted(holder: type, name: str, stand_in: Callable[..., Any]) -> Iterator[None]:
    original = getattr(holder, name)
    setattr(holder, name, stand_in)
    try:
        yield
    finally:
        setattr(holder, name, original)


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_gate_that_lets_something_through_is_noticed(
    bot: RunningBot, mutant: str, troubles: list[EventDict]
) -> None:
    holder, name, stand_in, journey = MUTANTS[mutant]
    with planted(holder, name, stand_in), pytest.raises(AssertionError):
        await journey(bot, troubles)
    await gate_tests.settled(bot)
    troubles.clear()
