"""incident.io's own SDK for Python declares and changes at `tocsin run`, also over a kill."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from incident_io import models
from support.api_sdk import Sdk, said
from support.operated import Operated, free_port, operated
from support.readings import words
from support.slack import RunningWorkspace, running_workspace
from support.terminal import Terminal

from slack_emulator.manifest import Manifest
from slack_emulator.models import Message
from tocsin.slack import routes

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Stage:
    """A workspace, the folder of the bot, and the port that it always has."""

    slack: RunningWorkspace
    folder: Path
    port: int
    key: str = ""

    @property
    def sdk(self) -> Sdk:
        return Sdk(f"http://127.0.0.1:{self.port}", self.key)

    async def declare(self, key: str, **more: Any) -> Any:
        given = {"visibility": "public", "name": "checkout is slow", "severity_id": "major"}
        body = models.IncidentsCreatePayloadV2.from_dict({"idempotency_key": key, **given, **more})
        return (await self.sdk.call("POST", "/v2/incidents", body=body)).incident

    def posts(self, channel: str) -> list[Message]:
        there = self.slack.workspace.state.lasting(channel)
        return [post for post in there if post.app_id == self.slack.app.app_id]

    async def make_key(self) -> None:
        data = str(self.folder / "data")
        made = await Terminal(self.folder).run(
            *("keys", "create", "sdk", "--may", "view,create,edit"), TOCSIN_DATA_DIR=data
        )
        assert made.code == 0, made
        self.key = made.out.strip()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    manifest = Manifest.from_dict(routes.manifest(None, pages="http://127.0.0.1"))
    async with running_workspace(manifest) as slack:
        begun = Stage(slack, tmp_path_factory.mktemp("tocsin"), free_port())
        await begun.make_key()
        yield begun


async def test_the_official_sdk_declares_and_changes_and_slack_follows(stage: Stage) -> None:
    async with operated(stage.slack, stage.folder, stage.port) as bot:
        incident = await stage.declare("sdk-1")
        await _changed(stage, incident.id)
        await _beside(stage, incident.id)
        wrong = models.IncidentsCreatePayloadV2.from_dict(
            {"idempotency_key": "w", "visibility": "public", "name": "x", "severity_id": "none"}
        )
        refused = await stage.sdk.call("POST", "/v2/incidents", body=wrong)
        assert (said(refused) != "", refused.errors[0].source.pointer) == (True, "/severity_id")
        assert await bot.quiet() == 0
        shown = (await stage.sdk.call("GET", "/v2/incidents/{id}", incident.id)).incident
        posts = " ".join(words(post) for post in stage.posts(shown.slack_channel_id))
        assert all(
            text in posts for text in ("the API key “sdk”", "we rolled back", "ask the DBA", "Critical")
        )
        assert await bot.stopped() == 0
        assert "Traceback" not in bot.log
        assert stage.key not in bot.log


async def _changed(stage: Stage, incident_id: str) -> None:
    """Edited, and given an update."""
    edit = models.IncidentsEditPayloadV2(
        notify_incident_channel=True, incident=models.IncidentEditPayloadV2(severity_id="critical")
    )
    edited = await stage.sdk.call("POST", "/v2/incidents/{id}/actions/edit", incident_id, body=edit)
    assert edited.incident.severity.id == "critical"
    update = models.IncidentUpdatesCreatePayloadV2(
        idempotency_key="u", incident_id=incident_id, message="we rolled back"
    )
    made = [(await stage.sdk.call("POST", "/v2/incident_updates", body=update)) for _ in range(2)]
    assert made[0].incident_update.id == made[1].incident_update.id
    assert made[0].incident_update.updater.api_key.name == "sdk"


async def _beside(stage: Stage, incident_id: str) -> None:
    """An action, a follow-up, an item of the timeline, an attachment."""
    sdk = stage.sdk
    action = models.ActionsCreatePayloadV3(incident_id=incident_id, description="ask the DBA")
    added = (await sdk.call("POST", "/v3/actions", body=action)).action
    done = models.ActionsUpdatePayloadV3.from_dict({"description": "ask the DBA", "status": "completed"})
    changed = (await sdk.call("PUT", "/v3/actions/{id}", added.id, body=done)).action
    assert (changed.status.value, changed.creator.api_key.name) == ("completed", "sdk")
    follow_up = models.FollowUpsCreatePayloadV3(incident_id=incident_id, title="write an alert")
    assert (await sdk.call("POST", "/v3/follow_ups", body=follow_up)).follow_up.title == "write an alert"
    item = models.IncidentTimelineItemsCreatePayloadV2(
        idempotency_key="n",
        incident_id=incident_id,
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        title="the deploy began",
    )
    noted = await sdk.call("POST", "/v2/incident_timeline_items", body=item)
    assert noted.incident_timeline_item.title == "the deploy began"
    resource = {"resource_type": "arbitrary_url", "url": "https://example.com/graph"}
    attachment = models.IncidentAttachmentsCreatePayloadV1.from_dict(
        {"incident_id": incident_id, "resource": resource}
    )
    attached = await sdk.call("POST", "/v1/incident_attachments", body=attachment)
    assert attached.incident_attachment.resource.permalink == "https://example.com/graph"


async def test_a_declaration_whose_answer_a_kill_took_away_is_the_same_one_when_it_is_sent_again(
    stage: Stage,
) -> None:
    async with operated(stage.slack, stage.folder, stage.port) as bot:
        await bot.quiet()
        with _held(bot):
            asking = asyncio.create_task(stage.declare("killed"))
            await bot.busy()
            bot.process.kill()
            await bot.process.wait()
        with pytest.raises(httpx.TransportError):
            await asking
    async with operated(stage.slack, stage.folder, stage.port) as bot:
        told = [(await stage.declare("killed", name=name)) for name in ("checkout is slow", "another")]
        assert await bot.quiet() == 0
        shown = (await stage.sdk.call("GET", "/v2/incidents/{id}", told[0].id)).incident
        assert await bot.stopped() == 0
    once = (told[0].reference, "checkout is slow")
    assert [(one.reference, one.name) for one in told] == [once, once]
    known = stage.slack.workspace.state.channels.values()
    rooms = [c for c in known if c.name.startswith(f"{told[0].reference.lower()}-")]
    assert [room.id for room in rooms] == [shown.slack_channel_id]
    assert len(rooms[0].pins) == 1


def _held(bot: Operated) -> closing[sqlite3.Connection]:
    """Hold the incident file, so that what is saved is not created."""
    held = sqlite3.connect(bot.folder / "data" / "incidents.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    return closing(held)
