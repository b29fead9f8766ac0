"""A workspace that installs Tocsin, or removes it, at one replica is served by the others alike."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier
from support.estate import AWAY, AWAY_ADMIN, HOME, HOME_ADMIN, Lobby, heading, lobby
from support.forked import forked
from support.operated import GLANCE_SECONDS, free_port
from support.patience import LIMIT
from support.postgresql import PostgresqlServer

pytestmark = pytest.mark.process

NOT_SERVED = "does not serve this workspace"


def environment(running: Lobby, database: str, folder: Path, port: int) -> dict[str, str]:
    """What an operator sets for one more replica."""
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "SLACK_API_URL": running.settings.slack_api_url,
        "SLACK_CLIENT_ID": running.app.client_id,
        "SLACK_CLIENT_SECRET": running.app.client_secret,
        "SLACK_SIGNING_SECRET": running.app.signing_secret,
        "TOCSIN_DATABASE_URL": database,
        "TOCSIN_PORT": str(port),
        "TOCSIN_PUBLIC_URL": running.url,
        "TOCSIN_TEAMS": running.settings.tocsin_teams,
    }


async def says(secret: str, port: int, team: str) -> str:
    """What the replica there answers to `/incident help` of this workspace; nothing before it listens."""
    sent = {
        "command": "/incident",
        "text": "help",
        "team_id": team,
        "user_id": "U0ANA00001",
        "channel_id": "C0GENERAL1",
        "trigger_id": "1.2.3",
        "response_url": "https://hooks.slack.com/commands/1",
    }
    body, now = urlencode(sent), str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=now, body=body)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": str(signature),
    }
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        try:
            answer = await client.post(f"http://127.0.0.1:{port}/slack/events", content=body, headers=headers)
        except httpx.TransportError:
            return ""
    return answer.text if answer.status_code == 200 else ""


async def until_it_says(part: str, secret: str, port: int) -> None:
    """Until the replica there answers so in the first workspace."""
    async with asyncio.timeout(LIMIT):
        while True:
            if part in await says(secret, port, HOME):
                return
            await asyncio.sleep(GLANCE_SECONDS)


async def comes_back_elsewhere(running: Lobby, port: int) -> None:
    """An admin begins at one replica, and Slack's redirect lands at the other: it installs there, once."""
    browser = running.browser()
    begun = await browser.get("/slack/install")
    back = urlsplit(await running.way_back(browser, begun.headers["location"], AWAY_ADMIN))
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    elsewhere = f"http://127.0.0.1:{port}{back.path}?{back.query}"
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        sent = {"Cookie": cookies, "Host": back.netloc}
        assert heading(await client.get(elsewhere, headers=sent)) == "Tocsin is in Northwind"
        for again in (f"{running.url}{back.path}?{back.query}", elsewhere):
            answer = await client.get(again, headers=sent)
            assert (answer.status_code, heading(answer)) == (403, "Not installed")


async def test_a_workspace_that_installs_or_leaves_at_one_replica_does_so_at_all(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    database, port = postgresql.create_database(), free_port()
    async with lobby(tmp_path / "one", tocsin_database_url=database) as running:
        secret = running.app.signing_secret
        given = environment(running, database, tmp_path, port)
        other = forked(["run"], cwd=tmp_path, env=given, out=tmp_path / "log")
        try:
            await until_it_says(NOT_SERVED, secret, port)
            assert heading(await running.install(HOME_ADMIN)) == "Tocsin is in Lumen Freight"
            await until_it_says("/incident help", secret, port)
            assert NOT_SERVED in await says(secret, port, AWAY)
            running.estate.uninstall(running.of(HOME).workspace, running.app.app_id)
            await until_it_says(NOT_SERVED, secret, port)
            await comes_back_elsewhere(running, port)
        finally:
            other.kill()
            await other.wait()
