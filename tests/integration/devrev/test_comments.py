"""A comment below a link to an incident that DevRev keeps is a comment in DevRev."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.bot import chosen, running_bot
from support.devrev import running_org
from support.errands import until
from support.patience import LIMIT
from support.readings import said, settled
from support.slack import running_workspace

from slack_emulator.composer import rich_text_of
from slack_emulator.manifest import Manifest
from tocsin.slack import routes


async def test_a_comment_below_a_link_is_one_in_devrev_and_is_read_there_again(tmp_path: Path) -> None:
    installed = Manifest.from_dict(routes.manifest(pages="http://127.0.0.1"))
    async with (
        running_org() as (org, url),
        running_workspace(installed) as slack,
        running_bot(tmp_path, slack, tocsin_backend="devrev", devrev_url=url, devrev_token=org.token) as bot,
    ):
        view = await bot.type_command("ana", "general", "/incident checkout is slow")
        await bot.fill("ana", view, severity_id=chosen("18"))
        await bot.submit("ana", view)
        await settled(bot)
        (incident,) = await bot.backend.incidents()
        page = f"{bot.app.resources.settings.public_url}/incidents/{incident.reference}"
        link = await said(bot, "ben", "general", f"see {page}")
        await until(bot, lambda: link.attachments)
        look = bot.workspace.entity_comments.open(bot.slack.person("chloe"), link, page)
        async with asyncio.timeout(LIMIT):
            await look.answered.wait()
        assert (look.can_post, look.error) == (True, {})
        (blocks,) = rich_text_of("the pool is full", {})
        assert (await bot.workspace.entity_comments.post(look, blocks)).ok
        async with asyncio.timeout(LIMIT):
            await look.acted[-1].answered.wait()
        await settled(bot)
        assert sum("the pool is full" in entry["body"] for entry in org.entries) == 1
        again = bot.workspace.entity_comments.open(bot.slack.person("ana"), link, page)
        async with asyncio.timeout(LIMIT):
            await again.answered.wait()
        assert [one["comment"]["value"] for one in again.comments] == ["the pool is full"]
        assert [one["sender"] for one in again.comments] == [{"user_id": bot.slack.person("chloe")}]
