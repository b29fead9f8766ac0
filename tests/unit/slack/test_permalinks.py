"""The address of an incident, where incident.io or DevRev keeps it, means that incident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.bot import RunningBot, chosen, running_bot
from support.devrev import running_org
from support.hosted import Stage, staged
from support.readings import words
from support.slash import slash

TAILS = ["", "/", "?tab=updates", "#timeline", "/timeline", "/?a=1&amp;b=2"]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as ready:
        yield ready


async def severities(bot: RunningBot) -> list[str]:
    found = [await bot.backend.find(f"INC-{number}") for number in (1, 2)]
    return [incident.severity.name for incident in found if incident and incident.severity]


async def test_the_address_of_incident_io_means_its_incident_in_anothers_channel(stage: Stage) -> None:
    bot, channels = stage.bot, list[str]()
    for name in ("checkout is slow", "payments down"):
        view = await stage.filled(name)
        assert (await bot.submit("ana", view)).ok
        channels.append(stage.open_channel(f"inc-{len(channels) + 1}-green-parrot", "ana"))
        await stage.until(lambda view=view: channels[-1] in words(view))
    for tail in TAILS:
        for level in ("critical", "minor"):
            address = f"<https://app.incident.io/incidents/2{tail}>: {level}"
            assert "INC-2" in (await slash(bot, "ana", channels[0], f"severity {address}")).said, tail
            assert await severities(bot) == ["Major", level.title()], tail
    absent = await slash(bot, "ana", channels[0], "severity <https://app.incident.io/incidents/99> minor")
    assert "There is no such incident" in absent.said
    assert (await severities(bot))[0] == "Major"


async def test_the_address_of_devrev_means_its_incident_in_anothers_channel(tmp_path: Path) -> None:
    template = "https://app.devrev.ai/acme/works/{display_id}"
    async with (
        running_org() as (org, url),
        running_bot(
            tmp_path,
            tocsin_backend="devrev",
            devrev_url=url,
            devrev_token=org.token,
            devrev_permalink=template,
        ) as bot,
    ):
        for name in ("checkout is slow", "payments down"):
            view = await bot.type_command("ana", "general", f"/incident {name}")
            await bot.fill("ana", view, severity_id=chosen("18"))
            assert (await bot.submit("ana", view)).ok
            await bot.app.settled()
        own = await bot.backend.find("INC-1")
        assert own is not None
        for number, tail in enumerate(TAILS):
            address = template.format(display_id="INC-2") + tail
            said = (await slash(bot, "ana", own.slack_channel_id, f"update <{address}> told {number}")).said
            assert "INC-2" in said, tail
        absent = template.format(display_id="INC-99")
        said = (await slash(bot, "ana", own.slack_channel_id, f"update {absent} told")).said
        assert "There is no such incident" in said
        assert not [entry for entry in await bot.backend.timeline(own.id) if "told" in entry.text]
