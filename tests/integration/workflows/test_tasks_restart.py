"""Tasks that were being added when the process ended are added by the next one, each once."""

from __future__ import annotations

from pathlib import Path

from support.bot import chosen, running_bot
from support.errands import declared, typed_verb
from support.readings import settled, words
from support.slack import running_workspace

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.slack import routes

RULES = """
severities = ["Minor", "Major"]

[[tasks]]
severities = ["Major"]
do = [{ title = "Open the bridge" }, { title = "Post on the status page" }]
"""


async def test_a_checklist_whose_answer_was_lost_before_a_stop_is_shown_once_with_every_task_once(
    tmp_path: Path,
) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
            incident = await declared(bot, "checkout is slow", severity_id=chosen("minor"))
            faults = slack.workspace.faults
            faults.plan("chat.postMessage", *(Fault(status=500, after_effect=True) for _ in range(9)))
            for method in ("conversations.replies", "conversations.history"):
                faults.plan(method, *(Fault(status=503) for _ in range(99)))
            await typed_verb(bot, "ana", incident.slack_channel_id, "/incident severity major")
            await slack.workspace.heard("conversations.replies")
        faults.clear()
        async with running_bot(tmp_path / "data", slack, tocsin_config=config) as bot:
            await settled(bot)
            posted = slack.workspace.state.lasting(incident.slack_channel_id)
            (checklist,) = [words(message) for message in posted if ":clipboard:" in words(message)]
            assert "0 of 2 done" in checklist
            titles = [item.text for item in await bot.backend.follow_ups(incident.id)]
            assert titles == ["Open the bridge", "Post on the status page"]
