"""What was brought over from incident.io is silent in Slack until a person does something about it."""

from __future__ import annotations

from pathlib import Path

from support.bot import running_bot
from support.declarations import Ticking, declaration
from support.incident_io.account import Account
from support.incident_io.server import running_incident_io
from support.readings import settled
from support.slash import slash

from tocsin.backends.incident_io import IncidentIo
from tocsin.importing import import_account
from tocsin.settings import read_settings
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore

NUDGES = """
[[nudges.rules]]
when = "no_lead"
after = "10 minutes"
[[nudges.rules]]
when = "no_update"
after = "30 minutes"
[[announcements]]
channels = ["C0ALERTS02"]
"""
HOUR = 3600.0


async def brought(folder: Path) -> None:
    """An open incident without a lead, in the channel #general, is brought over."""
    store = SqlKeyValueStore(Database(f"sqlite:///{folder / 'hosted.db'}"))
    async with running_incident_io(Account(clock=Ticking())) as server:
        hosted = IncidentIo(server.url, server.account.key, store=store, clock=Ticking())
        made = await hosted.create(declaration())
        server.account.open_channel(server.account.incidents[0], "C0GENERAL1", "general")
        await hosted.close()
        given = {"incident_io_url": server.url, "incident_io_api_key": server.account.key}
        read = read_settings(tocsin_data_dir=folder / "kept", **given)
        assert await import_account(read, print) == "Incidents imported: 1."
        assert made.reference == "INC-1"
    store.database.close()


async def test_nothing_is_said_in_slack_of_what_was_brought_over_until_a_person_does_something(
    tmp_path: Path,
) -> None:
    await brought(tmp_path)
    config = tmp_path / "tocsin.toml"
    config.write_text(NUDGES)
    async with running_bot(tmp_path / "kept", tocsin_config=config) as bot:
        before = len(bot.calls())
        for _ in range(3):
            bot.slack.clock.turn(HOUR)
            await bot.app.workflows.watching.poll()
            await bot.app.workflows.nudger.nudge_due()
            await settled(bot)
        written = {one.method for one in bot.calls()[before:]}
        assert not {name for name in written if name.startswith(("chat.", "conversations.set", "pins."))}
        said = await slash(bot, "ana", bot.slack.channel("general"), "update INC-1 we look into it")
        assert "INC-1" in said.said, said
