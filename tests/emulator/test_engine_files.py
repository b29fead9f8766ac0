"""Files and canvases: uploaded in two calls, written as Markdown, seen by whoever sees the channel."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from support.clock import fitting_clock
from support.manifests import manifest
from support.refusals import error_of
from support.slack import browsing

from slack_emulator.testing import Slack, running_slack

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
TEXT = b"# INC-1\n\n- [x] \\<b\\> done\n"


async def upload(client: AsyncWebClient, content: bytes = TEXT, name: str = "inc-1.md") -> str:
    """A file that was announced and sent; its id."""
    told = await client.files_getUploadURLExternal(filename=name, length=len(content))
    async with aiohttp.ClientSession() as session, session.post(told["upload_url"], data=content) as answer:
        assert answer.status == 200
    return str(told["file_id"])


@pytest.fixture
async def room(client: AsyncWebClient) -> str:
    return str((await client.conversations_create(name="inc-1"))["channel"]["id"])


async def test_a_file_is_announced_sent_and_shared_in_a_message(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    file = await upload(client)
    done = await client.files_completeUploadExternal(
        files=[{"id": file, "title": "INC-1"}], channel_id=room, initial_comment="Here it is."
    )
    (shown,) = done["files"]
    assert (shown["id"], shown["title"], shown["mimetype"]) == (file, "INC-1", "text/markdown")
    page = await client.conversations_history(channel=room)
    assert page["messages"][0]["files"][0]["name"] == "inc-1.md"
    assert page["messages"][0]["text"] == "Here it is."
    async with browsing(slack.workspace) as browser:
        answer = await browser.get(f"{shown['permalink']}/download")
    assert answer.content == TEXT
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_an_upload_can_be_completed_once_and_only_after_all_of_it_came(
    client: AsyncWebClient, room: str
) -> None:
    told = await client.files_getUploadURLExternal(filename="inc-1.md", length=4)
    early = client.files_completeUploadExternal(files=[{"id": told["file_id"]}], channel_id=room)
    assert await error_of(early) == "file_not_found"
    async with aiohttp.ClientSession() as session:
        for content, status in ((b"abc", 400), (b"abcd", 200), (b"abcd", 400)):
            async with session.post(told["upload_url"], data=content) as answer:
                assert answer.status == status
    await client.files_completeUploadExternal(files=[{"id": told["file_id"]}], channel_id=room)
    twice = client.files_completeUploadExternal(files=[{"id": told["file_id"]}], channel_id=room)
    assert await error_of(twice) == "file_not_found"


async def test_a_file_goes_nowhere_that_the_app_is_not_in(slack: Slack, client: AsyncWebClient) -> None:
    file = await upload(client)
    for channel, error in (("leads", "channel_not_found"), ("general", "not_in_channel")):
        asked = client.files_completeUploadExternal(
            files=[{"id": file}], channel_id=slack.channel_id(channel)
        )
        assert await error_of(asked) == error
    assert await error_of(client.files_getUploadURLExternal(filename="", length=1)) == "missing_argument"
    assert await error_of(client.files_getUploadURLExternal(filename="a", length=0)) == "missing_argument"


async def test_a_deleted_file_takes_its_message_with_it(client: AsyncWebClient, room: str) -> None:
    file = await upload(client)
    await client.files_completeUploadExternal(files=[{"id": file}], channel_id=room)
    await client.files_delete(file=file)
    assert all("files" not in m for m in (await client.conversations_history(channel=room))["messages"])
    assert await error_of(client.files_delete(file=file)) == "file_not_found"


def content(markdown: str) -> dict[str, str]:
    return {"type": "markdown", "markdown": markdown}


async def test_a_channel_has_one_canvas_which_its_details_name(client: AsyncWebClient, room: str) -> None:
    assert "properties" not in (await client.conversations_info(channel=room))["channel"]
    made = await client.conversations_canvases_create(
        channel_id=room, document_content=content("# INC-1"), title="What happened"
    )
    told = (await client.conversations_info(channel=room))["channel"]["properties"]["canvas"]
    assert (told["file_id"], told["is_empty"]) == (made["canvas_id"], False)
    again = client.conversations_canvases_create(channel_id=room, document_content=content("# INC-1"))
    assert await error_of(again) == "channel_canvas_already_exists"
    await client.canvases_delete(canvas_id=made["canvas_id"])
    assert await error_of(client.canvases_delete(canvas_id=made["canvas_id"])) == "canvas_not_found"


async def test_a_canvas_is_markdown_of_a_mebibyte_at_most(client: AsyncWebClient, room: str) -> None:
    large = client.conversations_canvases_create(channel_id=room, document_content=content("x" * (2**20 + 1)))
    assert await error_of(large) == "canvas_too_large"
    blocks = client.conversations_canvases_create(channel_id=room, document_content={"type": "blocks"})
    assert await error_of(blocks) == "invalid_arguments"


async def test_a_free_workspace_and_an_app_without_the_scope_have_no_canvases(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    slack.workspace.state.save(replace(slack.workspace.state.team, plan="free"))
    asked = client.conversations_canvases_create(channel_id=room, document_content=content("x"))
    assert await error_of(asked) == "team_tier_cannot_create_channel_canvases"
    async with running_slack(
        manifest(without_scopes=("canvases:write", "files:write")), clock=fitting_clock()
    ) as other:
        client = AsyncWebClient(token=other.bot_token, base_url=other.api_url)
        made = (await client.conversations_create(name="inc-1"))["channel"]["id"]
        canvas = client.conversations_canvases_create(channel_id=made, document_content=content("x"))
        assert await error_of(canvas) == "missing_scope"
        assert await error_of(client.files_getUploadURLExternal(filename="a", length=1)) == "missing_scope"


async def test_a_canvas_page_draws_markdown_and_no_html_of_the_texts_own(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    text = "# INC-1\n\n- [x] mended\n- [ ] to do\n\n<script>alert(1)</script> [x](javascript:alert(1))"
    made = await client.conversations_canvases_create(channel_id=room, document_content=content(text))
    address = f"/docs/{slack.workspace.state.team.id}/{made['canvas_id']}"
    async with browsing(slack.workspace) as browser:
        page = (await browser.get(address)).text
    assert "<h1>INC-1</h1>" in page
    assert page.count('class="check"') == 2
    assert "<script>alert" not in page
    assert 'href="javascript' not in page


async def test_a_file_of_a_private_channel_is_not_there_for_outsiders(
    slack: Slack, client: AsyncWebClient
) -> None:
    room = (await client.conversations_create(name="inc-2", is_private=True))["channel"]["id"]
    await client.conversations_invite(channel=room, users=slack.user_id("ben"))
    file = await upload(client)
    await client.files_completeUploadExternal(files=[{"id": file}], channel_id=room)
    files = slack.workspace.files
    assert files.seen_by(slack.user_id("ben"), file) is not None
    assert files.seen_by(slack.user_id("chloe"), file) is None
    async with browsing(slack.workspace) as browser:
        assert (await browser.get(f"/files/{file}")).status_code == 404


async def test_a_picture_is_drawn_with_its_alternative_text(
    slack: Slack, client: AsyncWebClient, room: str
) -> None:
    told = await client.files_getUploadURLExternal(filename="a.png", length=len(PNG), alt_txt="A <red> dot")
    async with aiohttp.ClientSession() as session:
        await session.post(told["upload_url"], data=PNG)
    await client.files_completeUploadExternal(files=[{"id": told["file_id"]}], channel_id=room)
    (file,) = (await client.conversations_history(channel=room))["messages"][0]["files"]
    assert (file["mimetype"], file["alt_txt"]) == ("image/png", "A <red> dot")
    async with browsing(slack.workspace) as browser:
        page = await browser.get(f"/client/{room}")
        assert f'src="{file["url_private_download"]}" alt="A &lt;red&gt; dot"' in page.text
        drawn = await browser.get(f"/files/{file['id']}/download")
        assert (drawn.content, drawn.headers["content-type"]) == (PNG, "image/png")
