"""Bookmarks: the links at the top of a channel."""

from __future__ import annotations

from urllib.parse import urlsplit

from slack_emulator.model import Change, Channel, Json, Refused
from slack_emulator.state import State, new_id

TITLE_LIMIT = 256
LINK_LIMIT = 2048
BOOKMARK_LIMIT = 100


class Bookmarks:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, channel: Channel, title: str, link: str, emoji: str | None) -> Json:
        self._require(title, link)
        if len(channel.bookmarks) >= BOOKMARK_LIMIT:
            raise Refused("too_many_bookmarks")
        now = int(self._state.now())
        bookmark: Json = {
            "id": new_id("Bk"),
            "channel_id": channel.id,
            "title": title,
            "link": link,
            "emoji": emoji or "",
            "icon_url": None,
            "type": "link",
            "entity_id": None,
            "date_created": now,
            "date_updated": 0,
            "rank": "U",
            "app_id": None,
        }
        channel.bookmarks.append(bookmark)
        self._keep(channel)
        return bookmark

    def edit(
        self, channel: Channel, bookmark_id: str, title: str | None, link: str | None, emoji: str | None
    ) -> Json:
        bookmark = self._found(channel, bookmark_id)
        self._require(title or bookmark["title"], link or bookmark["link"])
        changed = {"title": title, "link": link, "emoji": emoji}
        bookmark |= {k: v for k, v in changed.items() if v is not None}
        bookmark["date_updated"] = int(self._state.now())
        self._keep(channel)
        return bookmark

    def remove(self, channel: Channel, bookmark_id: str) -> None:
        channel.bookmarks.remove(self._found(channel, bookmark_id))
        self._keep(channel)

    def _found(self, channel: Channel, bookmark_id: str) -> Json:
        for bookmark in channel.bookmarks:
            if bookmark["id"] == bookmark_id:
                return bookmark
        raise Refused("not_found")

    def _require(self, title: str, link: str) -> None:
        """Raise Refused for a bad title or link.

        Slack, bookmarks.add: a title of at most 256 characters, an http or https link of at most 2048.
        """
        if not title or len(title) > TITLE_LIMIT:
            raise Refused("invalid_bookmark_title" if not title else "title_too_long")
        address = urlsplit(link)
        if address.scheme not in ("http", "https") or not address.netloc or len(link) > LINK_LIMIT:
            raise Refused("invalid_link")

    def _keep(self, channel: Channel) -> None:
        self._state.keep(channel)
        self._state.feed.announce(Change("channel", channel=channel.id))
