"""What a declaration costs in calls: counted, so the same on every machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.bot import RunningBot, chosen, running_bot
from support.limited import paced
from support.readings import settled

from benchmarks.servers import counted, forget, module, pressed, tocsin, until_asked
from benchmarks.table import Row, at_most
from tocsin.slack.rate_limiter import Priority

pytestmark = pytest.mark.benchmark
Measure = Callable[[Row], None]

POSTS, LIMIT = 100, 20
"""Posts in one moment, into a limit of so many a second (by a clock that is turned)."""

LONG_ENOUGH = 2.0
"""Seconds a Slack call takes here: what goes side by side begins within them on a busy machine too."""


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with running_bot(tmp_path) as running:
        yield running


async def test_the_form_opens_with_one_call_and_none_before_it(bot: RunningBot, measured: Measure) -> None:
    bot.workspace.clear()
    await bot.type_command("ana", "general", "/incident checkout is slow")
    asked = [call.method for call in bot.calls()]
    assert asked == ["views.open"]
    measured(at_most("Slack calls to open the form", "best peer: 1", len(asked), 1, counted=True))


async def test_the_reference_is_visible_before_anything_is_asked_of_slack(
    bot: RunningBot, measured: Measure
) -> None:
    view = await bot.type_command("ana", "general", "/incident checkout is slow")
    await bot.fill("ana", view, severity_id=chosen("major"))
    # Who reads the channel is asked beside the open form, and waits for nobody.
    general = bot.slack.channel("general")
    await bot.workspace.heard(
        lambda call: call.method == "conversations.info" and call.args["channel"] == general
    )
    bot.workspace.clear()
    assert (await bot.submit("ana", view)).ok
    await settled(bot)
    (answered,) = (request for request in bot.workspace.requests if request.method == "view_submission")
    assert answered.took is not None
    before = [call for call in bot.calls() if call.at < answered.at + answered.took]
    measured(
        at_most("Slack calls before the reference is visible", "best peer: 1", len(before), 0, counted=True)
    )


@pytest.mark.process
async def test_a_whole_incident_is_eight_calls_in_three_rounds(tmp_path: Path, measured: Measure) -> None:
    async with (
        module("benchmarks.stub_slack") as slack,
        tocsin(tmp_path, f"{slack.url}/api/", TOCSIN_ANNOUNCE_CHANNEL="C0000000009") as bot,
    ):
        assert (await pressed(bot, "command", 1, 60, 1)).refused == 0
        # What is learnt beside the form: who reads both channels, and who the person is.
        await until_asked(slack, "conversations.info", 2)
        await until_asked(slack, "users.info", 1)
        await forget(slack, LONG_ENOUGH)
        assert (await pressed(bot, "submission", 1, 60, 1)).refused == 0
        asked = await until_asked(slack, "pins.add", 1)
        methods = [method for method, _, _ in sorted(asked.calls, key=lambda call: call[1])]
        edits, announcements = methods.count("views.update"), 1
        whole = len(methods) - edits - announcements
        until_link = methods.index("conversations.create") + 1
        for row in (
            at_most("Slack calls before the channel link", "best peer: 1", until_link, 1, counted=True),
            at_most("Slack calls for a whole incident", "best peer: 7", whole, 8, counted=True),
            at_most("edits of the open form", "", edits, 1, counted=True),
            at_most("rounds of calls until all is done", "best peer: 4", asked.rounds, 3, counted=True),
        ):
            measured(row)


@pytest.mark.process
async def test_a_hundred_first_commands_ask_who_we_are_once_and_calls_share_a_connection(
    tmp_path: Path, measured: Measure
) -> None:
    async with (
        module("benchmarks.stub_slack") as slack,
        tocsin(tmp_path, f"{slack.url}/api/") as bot,
    ):
        crowd = await pressed(bot, "command", 100, 60, 1)
        assert (crowd.refused, crowd.answers) == (0, 100)
        asked = await until_asked(slack, "views.open", 100)
        who = asked.methods["auth.test"]
        measured(at_most("auth.test for 100 first commands", "bare Bolt: 100", who, 1, counted=True))
        await forget(slack)
        await pressed(bot, "command", 1, 60, 100)
        await until_asked(slack, "views.open", 100)
        asked = await counted(slack)
        # The commands do not wait for the forms: on a slow machine several calls are under way at once.
        new = max(0, asked.connections - asked.most_at_once + 1)
        measured(at_most("new connections for 100 Slack calls", "bare Bolt: 100", new, 1, counted=True))


async def test_a_hundred_posts_into_a_limit_lose_nothing_and_waste_little(measured: Measure) -> None:
    posts = [(f"post {number}", Priority.CARD) for number in range(POSTS)]
    method = await paced(LIMIT, posts)
    lost, late = POSTS - len(set(method.delivered)), method.time.now / (POSTS / LIMIT)
    peer = "a peer: {}"
    for row in (
        at_most("posts lost of 100 into a limit of 20 a second", peer.format(80), lost, 0, counted=True),
        at_most("calls for them", peer.format(2.56), method.calls / POSTS, 1.05, "a post", counted=True),
        at_most("time for them", peer.format(1.08), late, 1.05, "of the least", counted=True),
    ):
        measured(row)
