"""Alerts as monitoring systems send them: bodies of their documentation, and a source that sends them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from support.bot import RunningBot
from support.readings import settled
from tocsin.incidents.alert_payloads import path_of
from tocsin.incidents.alerts import Alert

BODIES = Path(__file__).parent.parent / "data" / "alerts"
TOKEN = "a-token-of-the-tests-sources"
VARIABLE = "TOCSIN_TEST_ALERTS_TOKEN"
MONITORING = "monitoring"
"""The source of `declared_by`."""


@contextmanager
def keyed() -> Iterator[None]:
    """The token of the sources in the environment, where an operator has it."""
    os.environ[VARIABLE] = TOKEN
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def declared_by(group: str) -> str:
    """The configuration in which the alerts that have the same value of this field are one major incident."""
    return f"""
[[alert_sources]]
id = "{MONITORING}"
token_variable = "{VARIABLE}"

[[alert_rules]]
group_by = ["{group}"]
do = "declare"
severity = "Major"
"""


def body_of(name: str) -> Any:
    """A body as a vendor's documentation has it, with values of our own."""
    return json.loads((BODIES / f"{name}.json").read_text())


def fired(title: str = "Disk is full", key: str = "", status: str = "firing", **more: Any) -> dict[str, Any]:
    """incident.io's body."""
    return {"title": title, "status": status, "deduplication_key": key or title, **more}


async def sent(
    bot: RunningBot, source: str, body: Any, token: str | None = TOKEN, **given: Any
) -> httpx.Response:
    """A body left at the address of a source."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=bot.url, trust_env=False, verify=False) as client:
        return await client.post(path_of(source), json=body, headers=headers, **given)


async def accepted(bot: RunningBot, source: str, *bodies: Any) -> None:
    for body in bodies:
        answer = await sent(bot, source, body)
        assert answer.status_code == 202, answer.text


async def attached(bot: RunningBot) -> None:
    """Everything that came is with its incident, and Slack shows it."""
    while True:
        if not any(await bot.app.alerting.store.due()):
            return await settled(bot)
        await asyncio.sleep(1)


async def kept(bot: RunningBot, **wanted: Any) -> list[Alert]:
    """The alerts in the database, oldest first."""
    return list(reversed(await bot.app.alerting.store.alerts(limit=20_000, **wanted)))
