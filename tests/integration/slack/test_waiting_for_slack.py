"""A start while Slack cannot be reached: it goes on, and says what it waits for."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.typing import EventDict
from support.bot import running_bot
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_start_says_why_it_waits_for_slack_and_goes_on_once_slack_is_there(
    tmp_path: Path, troubles: list[EventDict]
) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        slack.workspace.faults.plan("auth.test", Fault(error="internal_error"), Fault(error="ratelimited"))
        async with running_bot(tmp_path, slack) as bot:
            view = await bot.type_command("ana", "general", "/incident it is slow")
            assert view.payload["callback_id"] == "declare"
    waited = [line for line in troubles if line["event"] == "Slack has not been reached yet."]
    assert [line["why"] for line in waited] == ["Slack is having trouble.", "Slack asks us to slow down."]
    assert {line["address"] for line in waited} == {slack.api_url}
