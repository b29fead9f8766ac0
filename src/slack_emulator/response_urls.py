"""Response URLs: an app responds to an interaction up to five times within thirty minutes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from slack_emulator.messages import Messages, app_message, require_message
from slack_emulator.models import InstalledApp, Json, Refused
from slack_emulator.state import State

USES = 5
SECONDS = 30 * 60
"""Seconds that a response_url is good for (Slack, Handling user interaction: up to five uses)."""


@dataclass
class ResponseUrl:
    app: InstalledApp
    person: str
    channel: str
    born: float
    message_ts: str | None = None
    thread_ts: str | None = None
    left: int = field(default=USES)


class ResponseUrls:
    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages
        self._urls: dict[str, ResponseUrl] = {}
        self.base_url = ""

    def mint(
        self,
        app: InstalledApp,
        person: str,
        channel: str,
        *,
        message_ts: str | None = None,
        thread_ts: str | None = None,
    ) -> str:
        key = secrets.token_urlsafe(24)
        self._urls[key] = ResponseUrl(app, person, channel, self._state.now(), message_ts, thread_ts)
        return f"{self.base_url}/response/{key}"

    def find(self, key: str) -> ResponseUrl | None:
        return self._urls.get(key)

    def answer(self, key: str, body: Json) -> None:
        """Post, replace or delete a message, as `body` asks.

        Raises Refused if the URL is unknown, used up or expired, or the message is invalid.
        """
        url = self._urls.get(key)
        if url is None:
            raise Refused("invalid_url")
        if self._state.now() - url.born > SECONDS:
            raise Refused("expired_url")
        if url.left <= 0:
            raise Refused("used_url")
        self.say(url, body)
        url.left -= 1

    def say(self, url: ResponseUrl, body: Json) -> None:
        original = self._state.messages[url.channel].get(url.message_ts or "")
        if body.get("delete_original"):
            if original is None:
                raise Refused("message_not_found")
            self._messages.delete(original)
            return
        content = response_content(body)
        if body.get("replace_original"):
            if original is None:
                raise Refused("message_not_found")
            self._messages.update(original, url.app.bot_user_id, content)
            return
        in_channel = body.get("response_type") == "in_channel"
        draft = app_message(url.app, **content)
        draft.ephemeral_to = None if in_channel else url.person
        draft.thread_ts = body.get("thread_ts") or url.thread_ts
        self._messages.post(self._state.channel(url.channel), draft)


def response_content(body: Json) -> Json:
    """Return the message of a response. Raises Refused as chat.postMessage would."""
    content: Json = {
        "text": str(body.get("text") or ""),
        "blocks": body.get("blocks") or [],
        "attachments": body.get("attachments") or [],
    }
    require_message({key: value for key, value in content.items() if value})
    return content


def is_message(body: Json | None) -> bool:
    """True if an acknowledgement contains a message to show."""
    return bool(body) and any((body or {}).get(key) for key in ("text", "blocks", "attachments"))
