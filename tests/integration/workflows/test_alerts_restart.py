"""An incident that alerts were declaring when the process ended has them once the next one declared it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.alerts import accepted, attached, declared_by, fired, kept, keyed
from support.bot import running_bot
from support.declarations import BEN, DAWN, declaration
from support.held_backend import HeldBackend
from support.readings import newest, settled
from support.slack import running_workspace

from slack_emulator.manifest import Manifest
from tocsin.incidents.requests import IncidentChange
from tocsin.slack import routes
from tocsin.workflows.ports import IncidentBackend


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tocsin.toml"
    path.write_text(declared_by("service"))
    return path


async def test_an_incident_that_was_being_declared_has_its_alerts_although_the_one_before_was_merged_since(
    tmp_path: Path, config: Path
) -> None:
    held: list[HeldBackend] = []

    def behind(real: IncidentBackend) -> IncidentBackend:
        held.append(HeldBackend(real))
        return held[-1]

    def change(status: str, **more: str) -> IncidentChange:
        return IncidentChange(key=status, by=BEN, at=DAWN, incident_status_id=status, **more)

    disk, queue = (fired(title, metadata={"service": "billing"}) for title in ("Disk full", "Queue full"))
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        with keyed():
            async with running_bot(tmp_path / "data", slack, behind, tocsin_config=config) as bot:
                held[0].let_go()
                await accepted(bot, "monitoring", disk)
                await attached(bot)
                before, other = await newest(bot), await bot.backend.create(declaration("goes on"))
                await bot.backend.change(before.id, change("closed"))
                held[0].hold_again()
                await accepted(bot, "monitoring", queue)
                await held[0].asked.wait()
                await bot.backend.change(before.id, change("merged", merged_into=other.reference))
            async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
                await attached(bot)
                await settled(bot)
                declared = await newest(bot)
                assert declared.id not in {before.id, other.id}
                assert (await kept(bot))[-1].incident_id == declared.id
                assert declared.alerts is not None
                assert declared.alerts.firing == 1
