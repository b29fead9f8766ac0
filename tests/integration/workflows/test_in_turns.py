"""When Slack lets us make so many channels a minute, people take turns."""

from __future__ import annotations

from pathlib import Path

from support.bot import RunningBot, running_bot
from support.declarations import declaration

from tocsin.incidents.model import Person, PersonId, TeamId
from tocsin.workflows.declaration import DeclareCommand


async def declares(bot: RunningBot, who: str, number: int) -> None:
    """So many declarations by one person, begun in one moment."""
    reporter = Person(slack_user_id=PersonId(bot.slack.person(who)), name=who)
    desk = bot.app.contexts.open[0]
    assert desk is not None
    for one in range(number):
        declared = declaration(f"{who} {one}", name=f"{who} {one}").model_copy(
            update={
                "reporter": reporter,
                "slack_team_id": TeamId(bot.slack.workspace.state.team.id),
                "at": bot.app.resources.clock(),
            }
        )
        await desk.declare.begin(DeclareCommand(declaration=declared))


async def test_one_persons_channel_does_not_wait_behind_another_persons_thirty(tmp_path: Path) -> None:
    async with running_bot(tmp_path / "data") as bot:
        bot.workspace.rates.on = True
        await declares(bot, "ben", 30)
        await bot.workspace.heard("conversations.create", 20)
        await declares(bot, "ana", 1)
        await bot.app.settled()
        asked = bot.calls("conversations.create")
        made = [str(call.args["name"]) for call in asked if (call.response or {}).get("ok")]
        assert len(made) == 31
        # Twenty were made before she came, and four were under way; without turns hers were the last.
        (hers,) = (place for place, name in enumerate(made) if name.endswith("ana-0"))
        assert hers <= 20 + 4 + 1
