"""A digest that was on its way when the process ended is finished by the next one, and is there once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.bot import running_bot
from support.managing import verbs
from support.readings import cards, words
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.slack import routes


async def test_a_digest_whose_answer_was_lost_before_a_stop_is_found_by_the_next_process(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    monday = now.replace(hour=10, minute=0) + timedelta(days=7 - now.weekday())
    config = tmp_path / "tocsin.toml"
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        room, workspace = slack.channel("alerts"), slack.workspace
        config.write_text(f'[[digests]]\nchannel = "{room}"\n')
        unheard = [Fault(reset=True)] * 30
        workspace.faults.plan("chat.postMessage", Fault(reset=True, after_effect=True), *unheard)
        workspace.faults.plan("conversations.history", *unheard)
        async with running_bot(tmp_path / "data", slack, clock=lambda: monday, tocsin_config=config) as bot:
            await verbs(bot).rules.digests.start_due()
            await workspace.heard("conversations.history")
            assert len(await bot.engine.unfinished()) == 1
        workspace.faults.clear()
        async with running_bot(tmp_path / "data", slack, clock=lambda: monday, tocsin_config=config) as bot:
            await bot.app.settled()
            await verbs(bot).rules.digests.start_due()
            await bot.app.settled()
            (digest,) = [one for one in cards(bot, room) if ":calendar:" in words(one)]
            assert "No incidents from" in words(digest)
