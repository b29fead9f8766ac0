"""Files and canvases of the bot, each created once, even if an answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from tocsin.incidents.errors import OutcomeUnknown, SlackRefused
from tocsin.incidents.model import ChannelId, Incident, TeamId
from tocsin.incidents.phases import Phase
from tocsin.slack.disclosure import posted_to
from tocsin.slack.messages import MessagePoster
from tocsin.slack.phase_picture import alt_text, draw_phases, phase_words
from tocsin.slack.rate_limiter import Priority
from tocsin.slack.views.blocks import escape
from tocsin.slack.web_api import WebApi, require

GONE = frozenset({"canvas_not_found", "file_not_found", "file_deleted"})


class Files:
    """SlackFiles of one workspace (Slack, files.*, canvases.*)."""

    def __init__(self, client: AsyncWebClient, api: WebApi, posts: MessagePoster, team_id: TeamId) -> None:
        self._client = client
        self._api = api
        self._posts = posts
        self._team_id = team_id
        self.home_url = ""

    async def send(
        self,
        to: str,
        name: str,
        text: str,
        comment: str,
        *,
        about: Incident,
        again: bool = False,
    ) -> str:
        """Share a text file with two calls and an upload between them (Slack, files.getUploadURLExternal).

        With `again`, it is searched for by its name in the latest messages.
        """
        channel = await self._posts.open_dm(to)
        if again and (there := await self._posts.find_file(channel, name)) is not None:
            return there
        return await self._share(to, channel, name, text.encode(), comment, about)

    async def send_phases(
        self, channel: ChannelId, name: str, phases: Sequence[Phase], *, about: Incident, again: bool = False
    ) -> str:
        if again and (there := await self._posts.find_file(channel, name)) is not None:
            return there
        picture = await asyncio.to_thread(draw_phases, phases)
        words = f"Phases: {phase_words(phases)}"
        title, alt = f"Phases of {about.reference}", alt_text(about, phases)
        return await self._share(channel, channel, name, picture, words, about, alt, title)

    async def _share(
        self,
        to: str,
        channel: ChannelId,
        name: str,
        content: bytes,
        comment: str,
        about: Incident,
        alt: str | None = None,
        title: str = "",
    ) -> str:
        """Upload a file and share it in the channel, which is `to` or the direct messages with it."""
        carried = posted_to(to, about)
        answer = await self._api.call(
            self._client.files_getUploadURLExternal,
            Priority.CARD,
            about=carried,
            filename=name,
            length=len(content),
            alt_txt=alt,
        )
        file = require(answer, "file_id")
        await self._api.check_disclosure(carried, "upload_url")
        await self._upload(require(answer, "upload_url"), content)
        await self._api.call(
            self._client.files_completeUploadExternal,
            Priority.CARD,
            about=carried,
            files=[{"id": file, "title": title or name}],
            channel_id=channel,
            initial_comment=escape(comment),
        )
        return file

    async def _upload(self, address: str, content: bytes) -> None:
        """Upload to a URL that needs no token; it must be on Slack's own host or that of our Slack API."""
        try:
            parts, ours = urlsplit(address), urlsplit(self._client.base_url)
        except ValueError:
            raise SlackRefused("upload_url", "invalid_url") from None
        is_slacks = parts.scheme == "https" and (parts.hostname or "").endswith(
            (".slack.com", ".slack-gov.com")
        )
        if not is_slacks and parts.netloc != ours.netloc:
            raise SlackRefused("upload_url", "invalid_url")
        assert self._client.session is not None
        try:
            async with self._client.session.post(address, data=content) as answered:
                if answered.status != 200:
                    raise OutcomeUnknown(f"Slack did not take the file (HTTP {answered.status}).")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise OutcomeUnknown("Slack did not take the file.") from error

    async def find_canvas(self, channel: ChannelId) -> str:
        """Return the id in `properties.canvas` (Slack, conversations.info); empty if there is none."""
        answer = await self._api.call(self._client.conversations_info, Priority.CARD, channel=channel)
        properties = (answer.get("channel") or {}).get("properties") or {}
        canvas = properties.get("canvas") if isinstance(properties, dict) else None
        return str(canvas.get("file_id") or "") if isinstance(canvas, dict) else ""

    async def write_canvas(self, channel: ChannelId, title: str, markdown: str, *, about: Incident) -> str:
        """Create the channel's only canvas; refused in a free workspace (conversations.canvases.create)."""
        answer = await self._api.call(
            self._client.conversations_canvases_create,
            Priority.CARD,
            about=posted_to(channel, about),
            channel_id=channel,
            title=title,
            document_content={"type": "markdown", "markdown": markdown},
        )
        return require(answer, "canvas_id")

    def canvas_link(self, canvas: str) -> str:
        return f"{self.home_url}docs/{self._team_id}/{canvas}"

    async def find_document(self, channel: ChannelId, kind: str, name: str) -> str:
        try:
            if kind == "canvas":
                return await self.find_canvas(channel)
            return await self._posts.find_file(channel, name) or ""
        except SlackRefused:
            return ""

    async def delete_document(self, kind: str, document: str) -> None:
        try:
            if kind == "canvas":
                await self._api.call(self._client.canvases_delete, Priority.CARD, canvas_id=document)
            else:
                await self._api.call(self._client.files_delete, Priority.CARD, file=document)
        except SlackRefused as refusal:
            if refusal.code not in GONE:
                raise
