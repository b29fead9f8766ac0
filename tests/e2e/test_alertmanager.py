"""Prometheus' own Alertmanager fires an alert, and it becomes an incident in triage in the playground."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.operated import free_port
from support.patience import LIMIT
from support.playground import Playground, running_playground

pytestmark = pytest.mark.process

GLANCE_SECONDS = 0.1
CONFIG = """
route:
  receiver: tocsin
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: tocsin
    webhook_configs:
      - url: {url}
        http_config: {{ authorization: {{ credentials: {token} }} }}
"""


def required_alertmanager() -> str:
    """Skips the test where there is none; fails it where CI=true says there must be one."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if found is None:
        reason = "needs Debian's Alertmanager: apt-get install prometheus-alertmanager"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@asynccontextmanager
async def alertmanager(folder: Path, source: str, token: str) -> AsyncIterator[str]:
    """Alertmanager, which sends to this source; its address."""
    program, port = required_alertmanager(), free_port()
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(url=source, token=token))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def until(holds: Callable[[], Any]) -> Any:
    """Until this is true of what two other processes do meanwhile."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                if found := await holds():
                    return found
            except httpx.TransportError:
                pass
            await asyncio.sleep(GLANCE_SECONDS)


def sample_of(playground: Playground) -> tuple[str, str]:
    """Address and token of the source that the playground says it has."""
    found = re.search(r"curl '(\S+)\?token=(\S+)' -d '", " ".join(playground.said))
    assert found is not None, playground.said
    return found[1], found[2]


async def test_a_real_alert_becomes_an_incident_in_triage_and_that_it_is_resolved_is_noted(
    tmp_path: Path,
) -> None:
    required_alertmanager()
    async with running_playground(tmp_path) as playground:
        await until(lambda: _printed(playground))
        source, token = sample_of(playground)
        headers = {"Accept": "application/json"}
        async with (
            alertmanager(tmp_path, source, token) as manager,
            httpx.AsyncClient(base_url=playground.url, trust_env=False, headers=headers) as client,
        ):
            assert (await client.get(playground.address)).status_code == 303
            await until(lambda: _fire(client, manager))
            (alert,) = await until(lambda: _alerts(client, "firing"))
            incidents = (await client.get("/incidents")).json()["incidents"]
            (incident,) = (one for one in incidents if one["id"] == alert["incident_id"])
            assert incident["name"] == "The disk of db-1 is full"
            assert incident["incident_status"]["category"] == "triage"
            assert incident["creator"]["alert"]["title"] == "The disk of db-1 is full"
            await until(lambda: _fire(client, manager, is_over=True))
            await until(lambda: _alerts(client, "resolved"))
            page = f"/incidents/{incident['reference']}"
            await until(lambda: _says(client, page, "1 resolved: The disk of db-1 is full"))


async def _printed(playground: Playground) -> bool:
    return any("-d '" in line for line in playground.said)


async def _fire(client: httpx.AsyncClient, manager: str, *, is_over: bool = False) -> bool:
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": "DiskFull", "instance": "db-1"},
        "annotations": {"summary": "The disk of db-1 is full"},
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now if is_over else now + timedelta(hours=1)).isoformat(),
    }
    return (await client.post(f"{manager}/api/v2/alerts", json=[alert])).is_success


async def _alerts(client: httpx.AsyncClient, status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/alerts")).json()["alerts"]
    return [one for one in found if one["status"] == status and one["incident_id"]]


async def _says(client: httpx.AsyncClient, page: str, words: str) -> bool:
    return words in json.dumps((await client.get(page)).json())
