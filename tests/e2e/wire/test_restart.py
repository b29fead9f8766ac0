"""A process that is killed and started again with another configuration, over each way in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.bot import chosen
from support.operated import canaries, free_port, operated
from support.readings import told, value
from support.slack import running_workspace

from e2e.wire.journey import WRITTEN, Journey, over
from slack_emulator.manifest import Manifest
from slack_emulator.models import Message, View
from tocsin.slack import routes

pytestmark = pytest.mark.process

SEVERITIES = 'severities = [{{ name = "Minor" }}, {{ name = "{}" }}]\n'


@pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])
async def test_what_was_refused_after_a_restart_is_fixed_and_sent(tmp_path: Path, http: bool) -> None:
    """Killed before the backend could say no, and started on a file in which what was chosen is gone."""
    config, port = tmp_path / "tocsin.toml", free_port()
    config.write_text(SEVERITIES.format("Major"))
    manifest = routes.manifest(f"http://127.0.0.1:{port}" if http else None)
    async with running_workspace(Manifest.from_dict(manifest)) as slack:
        async with operated(slack, tmp_path, port, http=http, TOCSIN_CONFIG=str(config)) as bot:
            journey = over(slack, bot, http)
            view = await journey.form("ana", f"checkout is slow {WRITTEN}")
            await journey.people.fill("ana", view, severity_id=chosen("major"))
            # The file is held, as by a slow disk: the declaration is saved, and not made.
            with held(tmp_path / "data" / "incidents.db"):
                outcome = await journey.people.submit("ana", view)
                assert outcome.ok, outcome
                assert "Saved, still declaring" in journey.shown("ana")
                bot.process.kill()
                await bot.process.wait()
        config.write_text(SEVERITIES.format("Grave"))
        # A severity that was retired still counts; one that never was does not.
        with closing(sqlite3.connect(tmp_path / "data" / "incidents.db", isolation_level=None)) as incidents:
            incidents.execute("DELETE FROM severities WHERE id = 'major'")
        async with operated(slack, tmp_path, port, http=http, TOCSIN_CONFIG=str(config)) as bot:
            journey = over(slack, bot, http)
            assert await bot.quiet() == 0
            refusal = told(journey.people, "ana")[-1]
            form = await reopened(journey, "ana", refusal)
            assert value(form, "name") == f"checkout is slow {WRITTEN}"
            incident = await journey.declared("ana", form, severity_id=chosen("grave"))
            assert [one.id for one in await journey.incidents()] == [incident.id]
            assert await bot.stopped() == 0
        secrets = canaries(slack, {"written": WRITTEN})
    assert [name for name, secret in secrets.items() if secret in bot.log] == []


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Nobody else can write to this database meanwhile."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def reopened(journey: Journey, person: str, refusal: Message) -> View:
    """*Fix and send*, pressed in the message that tells of the refusal."""
    opened = journey.people.opened_so_far
    (block,) = [b for b in refusal.blocks if b["type"] == "actions"]
    who, where = journey.slack.person(person), (refusal.channel, refusal.ts)
    outcome = await journey.slack.workspace.press(
        who, "fix_and_send", block["block_id"], channel=where[0], ts=where[1]
    )
    assert outcome.ok, outcome
    return await journey.people.opened_form(person, since=opened)
