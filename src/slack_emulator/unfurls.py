"""Link previews: apps are told of links in their domains, and attach previews to the message."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from slack_emulator.events import Events
from slack_emulator.link_rules import (
    PRESENTED,
    domain_for,
    links_in,
    require_entities,
    require_entity,
    require_unfurls,
)
from slack_emulator.messages import Messages, with_block_ids
from slack_emulator.modals import Modals
from slack_emulator.model import Change, Channel, InstalledApp, Json, Message, Refused
from slack_emulator.state import State

Source = Literal["composer", "conversations_history"]


@dataclass
class Look:
    """A user's view of a Work Object's details (Slack, Work Objects: the flexpane)."""

    person: str
    app_id: str
    url: str
    external_ref: Json
    shown: Json = field(default_factory=dict)
    error: Json = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Unfurls:
    def __init__(self, state: State, events: Events, messages: Messages, modals: Modals) -> None:
        self._state = state
        self._events = events
        self._messages = messages
        self._modals = modals
        self._shared: dict[str, tuple[str, str, str]] = {}
        self._looks: dict[str, Look] = {}
        self.looks: list[Look] = []
        """Details that users have opened, the newest last."""

    def heed(self, channel: Channel, message: Message) -> None:
        """Tell apps of links in their domains (Slack, link_shared: also in channels they are not in)."""
        links = links_in(message.text)
        for app in self._state.apps.values() if links else ():
            mine = [url for url in links if domain_for(app, url)]
            if mine and message.app_id != app.app_id:
                self._tell(app, channel, message, mine)

    def _tell(self, app: InstalledApp, channel: Channel, message: Message, links: list[str]) -> None:
        unfurl_id = f"{channel.id}.{message.ts}.{secrets.token_hex(16)}"
        self._shared[unfurl_id] = (app.app_id, channel.id, message.ts)
        event: Json = {
            "type": "link_shared",
            "channel": channel.id,
            "is_bot_user_member": app.bot_user_id in channel.members,
            "user": message.user,
            "message_ts": message.ts,
            "unfurl_id": unfurl_id,
            "source": "conversations_history",
            "links": [{"domain": urlsplit(url).hostname, "url": url} for url in links],
        }
        if message.thread_ts:
            event["thread_ts"] = message.thread_ts
        self._events.emit(event, channel=channel, only=app, joined=False)

    def compose(self, person: str, app: InstalledApp, url: str) -> str:
        """Tell the app of a link that a user has typed and not sent yet; return the unfurl_id."""
        unfurl_id = f"U{secrets.token_hex(16)}"
        self._shared[unfurl_id] = (app.app_id, "COMPOSER", unfurl_id)
        event: Json = {
            "type": "link_shared",
            "channel": "COMPOSER",
            "is_bot_user_member": True,
            "user": person,
            "message_ts": unfurl_id,
            "unfurl_id": unfurl_id,
            "source": "composer",
            "links": [{"domain": urlsplit(url).hostname, "url": url}],
        }
        self._events.emit(event, only=app)
        return unfurl_id

    def find(self, app: InstalledApp, unfurl_id: str, source: str) -> Message:
        """Return the message of this unfurl_id. Raises Refused as chat.unfurl does."""
        if source not in ("composer", "conversations_history"):
            raise Refused("invalid_source")
        app_id, channel, ts = self._shared.get(unfurl_id, ("", "", ""))
        if app_id != app.app_id or (channel == "COMPOSER") != (source == "composer"):
            raise Refused("invalid_unfurl_id")
        if channel == "COMPOSER":
            raise Refused("cannot_unfurl_message")
        return self.message(channel, ts)

    def message(self, channel: str, ts: str) -> Message:
        try:
            return self._state.message(channel, ts)
        except Refused:
            raise Refused("cannot_find_message") from None

    def show(
        self,
        app: InstalledApp,
        message: Message,
        *,
        unfurls: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        """Attach the app's previews to the message, in place of its earlier ones for the same links."""
        links = links_in(message.text)
        if unfurls is not None:
            require_unfurls(unfurls, links, app)
            shown = {url: _block_attachment(dict(one)) for url, one in unfurls.items()}
        else:
            entities = require_entities(metadata or {}, links, app)
            shown = {entity["app_unfurl_url"]: {"entity": entity} for entity in entities}
        kept = [one for one in message.attachments if one.get("app_unfurl_url") not in shown]
        added = [
            {**one, "from_url": url, "app_unfurl_url": url, "is_app_unfurl": True, "app_id": app.app_id}
            for url, one in shown.items()
        ]
        self._messages.attach(message, [*kept, *added])

    def open(self, person: str, message: Message, url: str) -> Look:
        """Open a Work Object's details and ask the app for them (Slack, entity_details_requested)."""
        found = next((a for a in message.attachments if a.get("app_unfurl_url") == url), None)
        if found is None or "entity" not in found:
            raise Refused("entity_not_found")
        app, entity = self._state.apps[found["app_id"]], found["entity"]
        look = Look(person, app.app_id, entity["url"], entity["external_ref"])
        trigger_id = self._modals.trigger(app, person, channel=message.channel)
        self._looks[trigger_id] = look
        self.looks.append(look)
        event: Json = {
            "type": "entity_details_requested",
            "user": person,
            "external_ref": entity["external_ref"],
            "entity_url": entity["url"],
            "link": {"url": url, "domain": urlsplit(url).hostname},
            "app_unfurl_url": url,
            "trigger_id": trigger_id,
            "user_locale": "en-US",
            "channel": message.channel,
            "message_ts": message.ts,
        }
        self._events.emit(event, only=app)
        return look

    def present(self, app: InstalledApp, trigger_id: str, metadata: Json | None, error: Json | None) -> None:
        """Store the details or the error that the app presents (Slack, entity.presentDetails)."""
        look = self._looks.get(trigger_id)
        if look is None or look.app_id != app.app_id:
            raise Refused("invalid_trigger_id")
        if metadata is not None:
            require_entity(metadata, app, PRESENTED)
            if metadata["external_ref"]["id"] != look.external_ref["id"]:
                raise Refused("entity_metadata_does_not_match_trigger")
            look.shown = metadata
        elif error is None or error.get("status") not in _TROUBLES:
            raise Refused("invalid_arguments")
        else:
            look.error = error
        look.answered.set()
        self._state.feed.announce(Change("message_changed", person=look.person))


_TROUBLES = ("restricted", "internal_error", "not_found", "custom", "custom_partial_view", "timeout")


def _block_attachment(shown: Json) -> Json:
    return {**shown, "blocks": with_block_ids(shown["blocks"])} if "blocks" in shown else shown
