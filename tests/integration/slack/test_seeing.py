"""Seeing it run: every route is counted and timed, and one id goes through everything a gesture sets off."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from support.bot import RunningBot, chosen, running_bot, ticked
from support.held_backend import held_bot
from support.operated import figures
from support.readings import deliver, last_delivery, newest, settled
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin import logs
from tocsin.logs import trace, traced
from tocsin.slack import routes
from tocsin.slack.routes import every_route


@contextmanager
def written() -> Iterator[io.StringIO]:
    """What an operator would read."""
    stream = io.StringIO()
    logs.configure(stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()


async def declared(bot: RunningBot, text: str = "checkout is slow") -> None:
    view = await bot.type_command("ana", "general", f"/incident {text}")
    await bot.fill("ana", view, severity_id=chosen("major"))
    assert (await bot.submit("ana", view)).ok
    await settled(bot)


async def test_each_route_is_counted_and_its_acknowledgement_timed(tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        before = await figures(bot.url)
        assert before['tocsin_requests_total{outcome="answered",route="view declare"}'] == 0
        await declared(bot)
        seen = await figures(bot.url)
    for route in ("command declare", "view declare"):
        assert seen[f'tocsin_requests_total{{outcome="answered",route="{route}"}}'] == 1
        assert seen[f'tocsin_acknowledgement_seconds_count{{route="{route}"}}'] == 1
        assert seen[f'tocsin_acknowledgement_seconds_bucket{{le="3.0",route="{route}"}}'] == 1
    assert seen["tocsin_visible_reference_seconds_count"] == 1
    assert seen['tocsin_declarations_total{outcome="declared"}'] == 1


async def test_how_many_private_incidents_there_are_is_in_no_figure(tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        view = await bot.type_command("ana", "general", "/incident Payroll is public")
        await bot.fill("ana", view, severity_id=chosen("major"), visibility=ticked("private"))
        assert (await bot.submit("ana", view)).ok
        await settled(bot)
        seen = await figures(bot.url)
    assert seen["tocsin_visible_reference_seconds_count"] == 0
    assert 'tocsin_declarations_total{outcome="declared"}' not in seen


async def test_another_word_for_a_verb_counts_as_that_verb(tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        await declared(bot)
        command = last_delivery(bot, "slash_commands")
        await deliver(bot, "slash_commands", command | {"text": "roles"})
        await deliver(bot, "slash_commands", command | {"text": "Followup INC-1 write an alert"})
        await bot.app.settled()
        seen = await figures(bot.url)
    for route in ("command role", "command follow-up", "command declare"):
        assert seen[f'tocsin_requests_total{{outcome="answered",route="{route}"}}'] == 1


async def test_a_reference_that_comes_late_counts_from_the_press_to_the_update(tmp_path: Path) -> None:
    async with held_bot(tmp_path) as held:
        view = await held.filled()
        assert (await held.bot.submit("ana", view)).ok
        assert (await figures(held.bot.url))["tocsin_visible_reference_seconds_count"] == 0
        held.backend.go_on.set()
        await settled(held.bot)
        seen = await figures(held.bot.url)
    assert seen["tocsin_visible_reference_seconds_count"] == 1
    assert seen["tocsin_visible_reference_seconds_sum"] >= 2.0


async def test_what_strangers_make_up_never_becomes_a_label(tmp_path: Path) -> None:
    async with running_bot(tmp_path) as bot:
        await declared(bot)
        names = set(await figures(bot.url))
        command = last_delivery(bot, "slash_commands")
        await deliver(bot, "slash_commands", command | {"text": "made-up-by-a-stranger"})
        await deliver(bot, "slash_commands", command | {"team_id": "T0STRANGER"})
        shortcut = {
            "type": "shortcut", "callback_id": "made-up-by-a-stranger", "trigger_id": "1.2.x",
            "team": {"id": "T0STRANGER"}, "user": {"id": "U0STRANGER"},
        }  # fmt: skip
        await deliver(bot, "interactive", shortcut)
        event = {"type": "made-up-by-a-stranger"}
        await deliver(bot, "events_api", {"type": "event_callback", "event_id": "Ev1", "event": event})
        await bot.app.settled()
        seen = await figures(bot.url)
    known = {f'"{route}"' for route in every_route()}
    routes = {found[1] for series in seen if (found := re.search(r'route=("[^"]*")', series))}
    assert routes <= known
    assert not any("made-up" in series for series in seen)
    assert seen['tocsin_requests_total{outcome="stranger",route="command declare"}'] == 1
    assert len(set(seen) - names) < 40


async def test_one_id_goes_from_slacks_request_through_the_story(tmp_path: Path) -> None:
    with written() as log:
        async with running_bot(tmp_path) as bot:
            await declared(bot)
            sent = next(r for r in bot.workspace.requests if r.method == "view_submission").envelope_id
            reference = (await newest(bot)).reference
    lines = [line for line in log.getvalue().splitlines() if f"trace={sent}" in line]
    assert any("view declare" in line for line in lines), log.getvalue()
    assert any("came to its end" in line and reference in line for line in lines), log.getvalue()


async def test_a_story_that_is_resumed_keeps_the_id_of_the_gesture_that_began_it(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with held_bot(tmp_path, slack) as held:
            view = await held.filled()
            assert (await held.bot.submit("ana", view)).ok
            held.backend.refusal = asyncio.CancelledError()
        sent = next(r for r in slack.workspace.requests if r.method == "view_submission").envelope_id
        with written() as log:
            async with running_bot(tmp_path, slack) as bot:
                await bot.workspace.heard("pins.add")
                await settled(bot)
    ended = [line for line in log.getvalue().splitlines() if "came to its end" in line]
    assert [f"trace={sent}" in line for line in ended] == [True], log.getvalue()


def test_an_id_goes_no_further_than_what_it_was_given_for() -> None:
    with traced("one"):
        with traced() as other:
            assert trace() == other != "one"
        assert trace() == "one"
    assert trace() == ""
