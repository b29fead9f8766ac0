"""The bot in Slack with its incidents in DevRev: where a refusal is read, and what is kept where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.bot import RunningBot, chosen, running_bot
from support.devrev import FakeOrg, running_org
from support.errands import typed_verb
from support.readings import block_ids, pressed, value, words

from tocsin.backends.devrev.mapping import FIELD


@asynccontextmanager
async def beside_devrev(
    folder: Path, org: FakeOrg | None = None
) -> AsyncIterator[tuple[RunningBot, FakeOrg]]:
    async with (
        running_org(org) as (org, url),
        running_bot(folder, tocsin_backend="devrev", devrev_url=url, devrev_token=org.token) as bot,
    ):
        yield bot, org


async def test_a_choice_that_devrev_dropped_meanwhile_is_marked_in_the_open_form(tmp_path: Path) -> None:
    async with beside_devrev(tmp_path) as (bot, org):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("18"))
        org.severities = [value for value in org.severities if value["id"] != 18]
        outcome = await bot.submit("ana", view)
        assert list(outcome.errors) == ["severity_id"]
        assert "18 is not an allowed value of severity" in outcome.errors["severity_id"]
        await bot.fill("ana", view, severity_id=chosen("11"))
        await bot.submit("ana", view)
        await bot.app.settled()
        assert [incident["severity"]["id"] for incident in org.incidents.values()] == [11]


async def test_who_asks_for_triage_reads_that_devrev_has_none_before_they_type_more(tmp_path: Path) -> None:
    async with beside_devrev(tmp_path) as (bot, _):
        view = await bot.type_command("ana", "general", "/incident triage search may be slow")
        assert "DevRev has no triage of incidents." in words(view)
        assert "status" not in block_ids(view)
        assert value(view, "name") == "search may be slow"


async def test_the_channel_carries_devrevs_reference_and_the_source_is_noted_there(tmp_path: Path) -> None:
    async with beside_devrev(tmp_path) as (bot, org):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("18"))
        await bot.submit("ana", view)
        await bot.app.settled()
        assert bot.workspace.channel_by_name("inc-1-checkout-is-slow")
        (kept,) = org.incidents.values()
        assert kept["body"].startswith("---\nDeclared in Slack by Ana Ferreira.")
        found = await bot.backend.find("INC-1")
        assert found is not None
        assert found.slack_channel_name == "inc-1-checkout-is-slow"
        assert any("inc-1-checkout-is-slow" in entry["body"] for entry in org.entries)


async def test_a_token_that_devrev_refuses_is_told_the_operator_and_the_declaration_is_kept(
    tmp_path: Path,
) -> None:
    async with beside_devrev(tmp_path) as (bot, org):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("18"))
        org.token = "another"
        await bot.submit("ana", view)
        await bot.workspace.heard("chat.postMessage")
        said = [str(request.args.get("text")) for request in bot.calls("chat.postMessage")]
        assert any("Make a new personal access token there, set DEVREV_TOKEN" in text for text in said)
        assert len(await bot.engine.unfinished()) == 1
        assert not org.incidents


async def test_what_devrev_has_no_times_for_is_said_before_anything_is_typed(tmp_path: Path) -> None:
    async with beside_devrev(tmp_path) as (bot, _):
        view = await bot.type_command("ana", "general", "/incident retro login was down")
        assert "DevRev has no retrospective incidents" in words(view)
        assert value(view, "name") == "login was down"
        assert "mode" not in view.values
        await bot.fill("ana", view, severity_id=chosen("18"))
        await bot.submit("ana", view)
        await bot.app.settled()
        channel = bot.slack.channel("inc-1-login-was-down")
        for text in ("times", "time fixed 14:05"):
            said = await typed_verb(bot, "ana", channel, f"/incident {text}")
            assert "DevRev keeps dates of its own" in said


@pytest.mark.parametrize(
    "long", ["Somebody whom it concerned told somebody else about it, " * 5, " Somebody\ttold us "]
)
async def test_a_choice_that_slack_has_no_room_for_is_offered_and_chosen_all_the_same(
    tmp_path: Path, long: str
) -> None:
    """Slack, option object: an option's value has 1 to 150 characters, and each is there once."""
    org = FakeOrg()
    org.fields[1].allowed_values = ["", "Monitoring", long, "Monitoring", f"{long}!"]
    async with beside_devrev(tmp_path, org) as (bot, _):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await pressed(bot, view, "more_fields", "more_fields")
        block = f"{FIELD}tnt__detected_by"
        shown = next(shown for shown in view.payload["blocks"] if shown["block_id"] == block)
        offered = [option["value"] for option in shown["element"]["options"]]
        assert len(offered) == len(set(offered)) == 3
        assert offered[0] == "Monitoring"
        await bot.fill("ana", view, severity_id=chosen("18"))
        bot.workspace.type_into(bot.slack.person("ana"), view.id, block, block, chosen(offered[1]))
        await bot.submit("ana", view)
        await bot.app.settled()
        (kept,) = org.incidents.values()
        assert kept["custom_fields"] == {"tnt__detected_by": long}
        found = await bot.backend.find("INC-1")
        assert found is not None
        assert [answer.entered for answer in found.answers("tnt__detected_by")] == [offered[1]]


async def test_a_choice_that_begins_or_ends_with_white_space_can_be_chosen(tmp_path: Path) -> None:
    org, odd = FakeOrg(), " Monitoring\u200e\t"
    org.fields[1].allowed_values = ["Customer", odd]
    async with beside_devrev(tmp_path, org) as (bot, _):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await pressed(bot, view, "more_fields", "more_fields")
        block = f"{FIELD}tnt__detected_by"
        shown = next(shown for shown in view.payload["blocks"] if shown["block_id"] == block)
        last = shown["element"]["options"][-1]["value"]
        await bot.fill("ana", view, severity_id=chosen("18"))
        bot.workspace.type_into(bot.slack.person("ana"), view.id, block, block, chosen(last))
        assert not (await bot.submit("ana", view)).errors
        await bot.app.settled()
        (kept,) = org.incidents.values()
        assert kept["custom_fields"] == {"tnt__detected_by": odd}
