"""What incident.io alone knows of an incident is read in Slack: what declared it, its document, its call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.errands import typed_verb
from support.hosted import Stage, staged
from support.incident_io.making import make
from support.readings import cards, settled, words

RULES = '[[calls]]\nseverities = ["major"]\nurl = "https://bridge.example.com/1"\n'
DOCUMENT = "https://docs.example.com/1"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with staged(tmp_path / "data", tocsin_config=config) as ready:
        yield ready


async def test_an_incident_that_an_alert_declared_is_shown_with_all_that_is_known_of_it(stage: Stage) -> None:
    body = {
        "idempotency_key": "alert",
        "visibility": "public",
        "name": "Disk is full",
        "severity_id": "major",
    }
    more = {
        "creator": {"alert": {"id": "01ALERT", "title": "disk usage above 95 %"}},
        "postmortem_document_url": DOCUMENT,
        "workload_minutes_total": 61.5,
    }
    make(stage.io.account, body).update(more)
    general = stage.bot.slack.channel("general")
    said = await typed_verb(stage.bot, "ana", general, "/incident show INC-1")
    assert "Declared by the alert “disk usage above 95 %”" in said
    assert DOCUMENT in said
    assert "1 h 1 min" in said
    said = await typed_verb(stage.bot, "ana", general, "/incident document INC-1")
    assert f"INC-1 has its document already: {DOCUMENT}" in said


async def test_the_call_that_a_rule_gives_is_incident_ios_too(stage: Stage) -> None:
    assert (await stage.bot.submit("ana", await stage.filled())).ok
    await stage.until(lambda: stage.io.account.incidents[-1].get("call_url"))
    assert stage.io.account.incidents[-1]["call_url"] == "https://bridge.example.com/1"
    stage.open_channel("inc-1-checkout-is-slow", "ana")
    await settled(stage.bot)
    general = stage.bot.slack.channel("general")
    assert "https://bridge.example.com/1" in str(cards(stage.bot, general)[0].blocks)
    assert "huddle" in await typed_verb(stage.bot, "ana", general, "/incident call INC-1 huddle")
    assert stage.io.account.incidents[-1]["call_url"].startswith("https://app.slack.com/huddle/T")
    assert "Join the call" in words(cards(stage.bot, general)[0])
