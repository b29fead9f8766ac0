"""*Declare an incident* in a workflow, with a backend, rules or a restart of the test's own."""

from __future__ import annotations

from pathlib import Path

from support.asking_backend import AskingBackend
from support.bot import running_bot
from support.errands import declared
from support.readings import how_many, newest
from support.slack import running_workspace
from support.workflow_step import begun, direct, ended, posts_in

from slack_emulator.faults import Fault
from slack_emulator.manifest import Manifest
from tocsin.incidents.errors import Refused
from tocsin.slack import routes
from tocsin.workflows.ports import IncidentBackend


async def test_what_the_backend_refuses_is_said_to_the_workflow_and_to_nobody_else(tmp_path: Path) -> None:
    made: list[AskingBackend] = []

    def asking(behind: IncidentBackend) -> AskingBackend:
        made.append(AskingBackend(behind))
        return made[0]

    async with running_bot(tmp_path, behind=asking) as bot:
        made[0].refusal = Refused("Keeper is closed on Sundays.")
        run = await ended(begun(bot, fields="Parts: part-1"))
        assert (run.state, run.error) == ("failed", "Keeper is closed on Sundays.")
        await bot.app.settled()
        assert bot.calls("chat.postMessage") == []


async def test_what_was_begun_is_answered_by_the_next_process(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        slack.workspace.faults.plan("functions.completeSuccess", *[Fault(status=500)] * 8)
        async with running_bot(tmp_path, slack) as bot:
            run = begun(bot)
            await bot.workspace.heard("functions.completeSuccess")
        assert run.state == "running"
        slack.workspace.faults.clear()
        async with running_bot(tmp_path, slack) as bot:
            await ended(run)
            assert run.outputs["reference"] == (await newest(bot)).reference
            assert await how_many(bot) == 1


async def test_a_guest_who_may_declare_gets_the_card_of_a_channel_they_are_not_in(tmp_path: Path) -> None:
    rules = tmp_path / "tocsin.toml"
    rules.write_text("[permissions]\nguests_may_declare = true\n")
    async with running_bot(tmp_path / "kept", tocsin_config=rules) as bot:
        gus = bot.slack.person("gus")
        for channel, posted in (("alerts", 0), ("haulpartner", 1)):
            await ended(begun(bot, reporter=gus, channel=bot.slack.channel(channel)))
            await bot.app.settled()
            assert len(posts_in(bot, channel)) == posted
        assert "you and Tocsin do not both see that channel" in await direct(bot, "gus")


async def test_a_change_that_was_begun_is_answered_by_the_next_process(tmp_path: Path) -> None:
    async with running_workspace(Manifest.from_dict(routes.manifest())) as slack:
        slack.workspace.faults.plan("functions.completeSuccess", *[Fault(status=500)] * 8)
        async with running_bot(tmp_path, slack) as bot:
            await declared(bot, "checkout is slow")
            given = {"incident": "INC-1", "person": slack.person("ana"), "message": "a query"}
            run = slack.workspace.steps.begin(slack.app, "close_incident", given)
            await slack.workspace.heard("functions.completeSuccess")
        assert run.state == "running"
        slack.workspace.faults.clear()
        async with running_bot(tmp_path, slack) as bot:
            await ended(run)
            assert run.outputs["reference"] == "INC-1"
            assert not (await newest(bot)).incident_status.is_open
