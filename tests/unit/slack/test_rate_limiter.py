"""Slack says how fast we may go: what it limits waits, and nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bot import chosen, running_bot
from support.limited import LimitedMethod, TurnedTime, in_turn, paced
from support.readings import newest, settled
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin.incidents.errors import SlackRefused, Unavailable
from tocsin.slack import routes
from tocsin.slack.rate_limiter import MOST_BUCKETS, Priority, RateLimiter


@pytest.mark.parametrize("a_second", [1, 5, 20, 50])
async def test_a_hundred_posts_into_a_limit_are_all_delivered_and_few_are_refused(
    a_second: int,
) -> None:
    method = await paced(a_second, [(f"post {n}", Priority.CARD) for n in range(100)])
    assert sorted(method.delivered) == sorted(f"post {n}" for n in range(100))
    assert method.calls <= 105
    assert method.time.now <= 100 / a_second * 1.05 + 1.0


async def test_when_not_all_can_go_the_most_urgent_go_first() -> None:
    announcements = [(f"announcement {n}", Priority.ANNOUNCEMENT) for n in range(50)]
    cards = [(f"card {n}", Priority.CARD) for n in range(10)]
    method = await paced(10, [*announcements, *cards])
    places = [method.delivered.index(f"card {n}") for n in range(10)]
    assert max(places) < 10 + 4, "only what was under way already may come before a card"


async def test_who_asks_for_little_does_not_wait_behind_who_asks_for_much() -> None:
    time = TurnedTime()
    method = LimitedMethod(time, 1)
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def create(user: str, number: int) -> None:
        called = f"{user} {number}"
        assert await in_turn(
            limiter, "conversations.create", Priority.ANSWER, lambda: method.call(called), user=user
        )

    bens = [asyncio.create_task(create("ben", number)) for number in range(45)]
    await asyncio.sleep(0)
    anas = [asyncio.create_task(create("ana", number)) for number in range(3)]
    cat = asyncio.create_task(create("cat", 0))
    await time.run(*bens, *anas, cat)
    placed = method.delivered.index
    # Four were under way before anybody else came.
    assert placed("ana 0") < placed("cat 0") <= 4 + 2
    assert placed("ana 2") <= 4 + 2 + 2 * 2 + 1
    in_order = [name for name in method.delivered if name.startswith("ben")]
    assert in_order == sorted(in_order, key=lambda name: int(name.split()[1]))
    assert len(method.delivered) == 49


async def test_what_is_more_urgent_goes_first_whoever_asked_for_more() -> None:
    time = TurnedTime()
    method = LimitedMethod(time, 1)
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def call(what: str, priority: Priority, user: str) -> None:
        await in_turn(limiter, "chat.postMessage", priority, lambda: method.call(what), user=user)

    calls = [asyncio.create_task(call(f"ana's card {n}", Priority.CARD, "ana")) for n in range(3)]
    calls += [asyncio.create_task(call(f"ben's answer {n}", Priority.ANSWER, "ben")) for n in range(20)]
    await time.run(*calls)
    assert max(method.delivered.index(f"ben's answer {n}") for n in range(20)) < 20 + 3


async def test_a_lane_that_waits_has_one_alarm_however_many_wait_in_it() -> None:
    time = TurnedTime()
    method = LimitedMethod(time, 1)
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)
    made = 0
    loop = asyncio.get_running_loop()

    def counted(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
        nonlocal made
        made += 1
        return asyncio.Task(coroutine, loop=loop, **named)

    loop.set_task_factory(counted)  # type: ignore[arg-type]
    try:
        waiting = [
            asyncio.create_task(in_turn(limiter, "bucket", Priority.CARD, lambda: method.call("post")))
            for _ in range(100)
        ]
        await time.run(*(asyncio.create_task(_done(task)) for task in waiting))
    finally:
        loop.set_task_factory(None)
    # Two for each call, and one alarm for each time that the bucket opens.
    assert made <= 100 * 2 + 110


async def _done(task: asyncio.Task[str]) -> None:
    await task


async def test_a_refusal_is_answered_at_once_and_holds_nobody_up() -> None:
    limiter = RateLimiter()

    async def refused() -> None:
        raise SlackRefused("pins.add", "missing_scope")

    async def fine() -> str:
        return "fine"

    with pytest.raises(SlackRefused):
        await in_turn(limiter, "pins.add", Priority.BACKGROUND, refused)
    async with asyncio.timeout(30):
        assert await in_turn(limiter, "pins.add", Priority.BACKGROUND, fine) == "fine"


async def test_who_gives_up_waiting_leaves_their_place_to_the_next() -> None:
    time = TurnedTime()
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)
    gates = [asyncio.Event() for _ in range(4)]

    async def held(gate: asyncio.Event) -> None:
        await gate.wait()

    async def nothing() -> None:
        return None

    busy = [
        asyncio.create_task(in_turn(limiter, "bucket", Priority.CARD, lambda g=g: held(g))) for g in gates
    ]
    gone = asyncio.create_task(in_turn(limiter, "bucket", Priority.CARD, nothing))
    waits = asyncio.create_task(in_turn(limiter, "bucket", Priority.CARD, nothing))
    await asyncio.sleep(0)
    gone.cancel()
    for gate in gates:
        gate.set()
    async with asyncio.timeout(30):
        await asyncio.gather(*busy, waits)


async def test_one_refusal_out_of_the_blue_is_waited_out_and_slows_nobody_down() -> None:
    time, calls = TurnedTime(), 0
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def opened() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Unavailable("Slack asks us to slow down.", retry_after=1.0)

    async def ten_forms() -> None:
        for _ in range(10):
            await in_turn(limiter, "views.open", Priority.ANSWER, opened)

    await time.run(asyncio.create_task(ten_forms()))
    assert calls == 11
    assert time.now == 1.0


async def test_refusals_that_have_nothing_to_do_with_our_rate_slow_us_down_only_so_far() -> None:
    time, calls = TurnedTime(), 0
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def moody() -> None:
        nonlocal calls
        calls += 1
        if calls % 5 == 0:
            raise Unavailable("Slack asks us to slow down.", retry_after=1.0)

    posts = 60
    await time.run(
        *(asyncio.create_task(in_turn(limiter, "pins.add", Priority.CARD, moody)) for _ in range(posts))
    )
    # A second after each call, and one more for each that was refused.
    assert time.now < 1.6 * posts


async def test_what_is_refused_at_any_rate_only_stands_still_for_as_long_as_it_was_asked_to() -> None:
    """A fifth of all calls is refused, whatever we do: five a second get through all the same."""
    time, dice, calls = TurnedTime(), Random(3), 0
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def moody() -> None:
        nonlocal calls
        calls += 1
        await time.sleep(0.02)
        if dice.random() < 0.2:
            raise Unavailable("Slack asks us to slow down.", retry_after=1.0)

    posts = 600
    await time.run(
        *(asyncio.create_task(in_turn(limiter, "pins.add", Priority.CARD, moody)) for _ in range(posts))
    )
    assert time.now < posts / 5
    assert calls < 1.4 * posts


async def test_lanes_that_nobody_needs_any_more_are_forgotten() -> None:
    time, refused = TurnedTime(), set[int]()
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def limited_once(channel: int) -> None:
        if channel not in refused:
            refused.add(channel)
            raise Unavailable("Slack asks us to slow down.", retry_after=1.0)

    async def many() -> None:
        for channel in range(MOST_BUCKETS * 2):
            await in_turn(
                limiter, ("chat.postMessage", channel), Priority.CARD, lambda c=channel: limited_once(c)
            )

    await time.run(asyncio.create_task(many()))
    assert limiter.bucket_count <= MOST_BUCKETS


async def test_refusals_of_another_kind_count_as_allowed_and_no_lane_stands_still_for_minutes() -> None:
    """Windows that were closed meanwhile: each update is refused for that, and one by chance with 429."""
    time, calls = TurnedTime(), 0
    limiter = RateLimiter(now=lambda: time.now, sleep=time.sleep)

    async def gone() -> None:
        nonlocal calls
        calls += 1
        number = calls
        await time.sleep(0.1)
        if number == 400:
            raise Unavailable("Slack asks us to slow down.", retry_after=1.0)
        if number > 1:
            raise SlackRefused("views.update", "not_found")

    async def update() -> None:
        with suppress(SlackRefused):
            await in_turn(limiter, "views.update", Priority.ANSWER, gone)

    await time.run(*(asyncio.create_task(update()) for _ in range(460)))
    assert time.now < 30


async def test_a_declaration_comes_to_its_end_within_slacks_own_limits(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        slack.workspace.rates.on = True
        async with running_bot(tmp_path, slack) as bot:
            for number in range(3):
                view = await bot.type_command("ana", "general", f"/incident number {number}")
                await bot.fill("ana", view, severity_id=chosen("major"))
                assert (await bot.submit("ana", view)).ok
                await bot.workspace.dismiss(slack.person("ana"), whole_stack=True)
            await settled(bot)
            assert (await newest(bot)).slack_channel_id
    posted = [m for m in slack.workspace.state.lasting(slack.channel("incidents")) if m.app_id]
    assert len(posted) == 3
