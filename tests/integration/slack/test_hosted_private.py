"""The channel of a private incident that incident.io opened is named to who is in it, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bot import chosen, ticked
from support.hosted import Stage, staged
from support.incident_io.server import Fault
from support.readings import told, words

from tocsin.incidents.model import Incident

pytestmark = pytest.mark.asyncio


async def private(stage: Stage) -> Incident:
    """INC-1, declared by Ana; its channel is not there yet."""
    view = await stage.filled(visibility=ticked("private"))
    assert (await stage.bot.submit("ana", view)).ok
    await stage.until(lambda: told(stage.bot, "ana"))
    return (await stage.bot.backend.incidents(limit=1))[0]


async def sent(stage: Stage, form: str, **fields: dict[str, object]) -> str:
    """What Ana reads in the form after she sent it."""
    view = await stage.bot.type_command("ana", "general", f"/incident {form}")
    await stage.bot.fill("ana", view, **fields)
    assert (await stage.bot.submit("ana", view)).ok
    return words(stage.bot.workspace.stack(view.user)[-1])


async def asked(stage: Stage, text: str) -> str:
    """What Ana is told, seen by nobody else."""
    ana, general = stage.bot.slack.person("ana"), stage.bot.slack.channel("general")
    stage.bot.workspace.clear()
    assert (await stage.bot.workspace.command(ana, general, text)).ok
    await stage.bot.workspace.heard("response_url")
    return words([m for m in stage.bot.workspace.history(general, ana) if m.ephemeral_to == ana][-1].blocks)


@pytest.mark.parametrize("is_in_it", [True, False], ids=["who is in it", "who is not"])
async def test_a_private_channel_is_named_wherever_its_incident_is_shown_to_who_is_in_it_alone(
    tmp_path: Path, is_in_it: bool
) -> None:
    async with staged(tmp_path) as stage:
        incident = await private(stage)
        channel = stage.open_channel("inc-1-secret", *(["ana"] if is_in_it else []), private=True)
        stage.bot.workspace.channel(channel).members.append(stage.bot.slack.app.bot_user_id)
        await stage.until(lambda: stage.bot.calls("conversations.members"))
        edits = len(stage.bot.calls("chat.update"))
        said = await sent(stage, f"status {incident.reference}", incident_status_id=chosen("fixing"))
        assert "Fixing" in said
        await stage.until(lambda: "Fixing" in words(told(stage.bot, "ana")[0]))
        assert len(stage.bot.calls("chat.update")) > edits
        shown = [
            said,
            words(told(stage.bot, "ana")[0]),
            await asked(stage, "/incident list"),
            await asked(stage, f"/incident show {incident.reference}"),
        ]
        assert [channel in one for one in shown] == [is_in_it] * len(shown)
        assert all(incident.reference in one for one in shown)


async def test_where_the_bot_cannot_see_who_is_in_it_the_channel_is_named_to_nobody(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        incident = await private(stage)
        channel = stage.open_channel("inc-1-secret", "ana", private=True)
        await stage.until(lambda: stage.bot.calls("conversations.members"))
        said = await sent(stage, f"status {incident.reference}", incident_status_id=chosen("fixing"))
        await stage.until(lambda: "Fixing" in words(told(stage.bot, "ana")[0]))
        card = words(told(stage.bot, "ana")[0])
        assert "https://app.incident.io/incidents/1" in card
        listed = await asked(stage, "/incident list")
        assert not any(channel in shown for shown in (said, card, listed))


async def test_a_create_whose_answer_comes_with_the_channel_names_it_to_nobody_who_is_not_in_it(
    tmp_path: Path,
) -> None:
    """Its first answer was lost, and the channel was there when the same key was sent again."""
    async with staged(tmp_path) as stage:
        opened: list[str] = []

        async def open_it() -> None:
            opened.append(stage.open_channel("inc-1-secret", private=True))
            stage.bot.workspace.channel(opened[0]).members.append(stage.bot.slack.app.bot_user_id)

        stage.io.fail("POST", "/v2/incidents", Fault(does=True, waits=open_it))
        view = await stage.filled(visibility=ticked("private"))
        await stage.bot.submit("ana", view)
        await stage.until(lambda: told(stage.bot, "ana") and stage.bot.calls("conversations.members"))
        assert opened
        assert len(stage.io.account.incidents) == 1
        shown = [words(message) for message in told(stage.bot, "ana")]
        assert not any(opened[0] in one for one in shown)
        assert opened[0] not in words(stage.bot.workspace.stack(view.user)[-1])
