"""Tasks that rules give to incidents at incident.io: they are its own actions."""

from __future__ import annotations

from pathlib import Path

from support.bot import RunningBot
from support.errands import press_card
from support.hosted import staged
from support.readings import settled, words

from slack_emulator.models import Message

RULES = """
[[tasks]]
severity_at_least = "Major"
do = [
  { title = "Open the bridge", runbook = "https://wiki.example.com/bridge" },
  { title = "Post on the status page" },
]
"""


def checklist(bot: RunningBot) -> Message:
    channels = bot.workspace.state.channels
    posted = [message for channel in channels for message in bot.workspace.state.lasting(channel)]
    (found,) = [message for message in posted if words(message).startswith(":clipboard:")]
    return found


async def test_over_incident_io_its_own_actions_are_the_tasks(tmp_path: Path) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(RULES)
    async with staged(tmp_path / "data", tocsin_config=config) as stage:
        bot = stage.bot
        assert (await bot.submit("ana", await stage.filled())).ok
        await stage.until(lambda: stage.io.account.incidents)
        stage.open_channel("inc-1-checkout-is-slow", "ana")
        await settled(bot)
        said = [action["description"] for action in stage.io.account.actions]
        assert said == [
            "Open the bridge\n\nRunbook: https://wiki.example.com/bridge",
            "Post on the status page",
        ]
        shown = checklist(bot)
        assert "☐ Open the bridge · <https://wiki.example.com/bridge|Runbook>" in words(shown)
        await press_card(bot, "ana", shown, "take_follow_up")
        await settled(bot)
        first = stage.io.account.actions[0]
        assert first["assignee"]["slack_user_id"] == bot.slack.person("ana")
        assert first["description"] == said[0]
        await press_card(bot, "ana", checklist(bot), "complete_follow_up")
        await settled(bot)
        assert (first["status"], first["description"]) == ("completed", said[0])
        assert "1 of 2 done" in words(checklist(bot))
