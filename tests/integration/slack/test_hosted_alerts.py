"""Alerts make incidents at incident.io, too, and the card that Tocsin posts counts them."""

from __future__ import annotations

from pathlib import Path

from support.alerts import VARIABLE, accepted, fired, keyed
from support.hosted import staged
from support.readings import cards, settled, words

CONFIG = f"""
[[alert_sources]]
id = "monitoring"
name = "Monitoring"
token_variable = "{VARIABLE}"
"""


async def test_an_alert_is_an_incident_at_incident_io_and_later_ones_are_counted_on_its_card(
    tmp_path: Path,
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(CONFIG)
    with keyed():
        async with staged(tmp_path / "data", tocsin_config=config) as stage:
            bot, place = stage.bot, stage.bot.slack.channel("incidents")
            for number in range(2):
                await accepted(bot, "monitoring", fired("Disk is full", key=f"disk/{number}"))
                await stage.until(lambda: cards(bot, place))
            await stage.until(lambda: "2 alerts firing" in words(cards(bot, place)[0]))
            stage.open_channel("inc-1-disk-is-full", "ana")
            await settled(bot)
            (card,) = cards(bot, place)
            assert "Declared by the alert “Disk is full”" in words(card)
            (incident,) = await bot.backend.incidents()
            assert incident.name == "Disk is full"
            assert incident.incident_status.is_triage
            assert incident.alerts is not None
            assert incident.alerts.firing == 2
