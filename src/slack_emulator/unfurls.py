"""Unfurls of links (chat.unfurl), Work Objects, and the rules that Slack has for them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from slack_emulator.block_kit import message_refusal
from slack_emulator.events import Events
from slack_emulator.manifest import ENTITIES
from slack_emulator.messages import Messages, with_block_ids
from slack_emulator.models import Change, Channel, InstalledApp, Json, Message, Refused
from slack_emulator.schema import Array, Boolean, Enum, Errors, Integer, Object, String, Url, error_line
from slack_emulator.state import State
from slack_emulator.views import Views

# Validation of link previews: the links of a message, the app's domains, unfurls and Work Objects.

_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>")

_USER = Object(optional={"user_id": String(), "text": String(), "url": Url(), "email": String()})
_TEXT = Object(
    {"value": String(3000)},
    {
        "label": String(255),
        "type": Enum("string", "slack#/types/link", "slack#/types/channel_id"),
        "format": Enum("markdown"),
        "link": Url(),
        "long": Boolean(),
        "tag_color": Enum("red", "yellow", "green", "gray", "blue"),
    },
)
_MOMENT = Object(
    {"value": Integer(0)}, {"label": String(255), "type": Enum("slack#/types/timestamp", "slack#/types/date")}
)
_SOMEBODY = Object(
    {"type": Enum("slack#/types/user", "string")}, {"user": _USER, "value": String(), "label": String(255)}
)
_FIELDS = Object(
    optional={
        "status": _TEXT,
        "priority": _TEXT,
        "urgency": _TEXT,
        "created_by": _SOMEBODY,
        "assigned_to": _SOMEBODY,
        "date_created": _MOMENT,
        "date_updated": _MOMENT,
        "description": _TEXT,
        "service": _TEXT,
    }
)
_CUSTOM = Object(
    {"key": String(255), "label": String(255), "type": String(), "value": String(3000)},
    {"link": Url(), "long": Boolean(), "format": Enum("markdown"), "tag_color": String()},
)
_ATTRIBUTES = Object(
    {"title": Object({"text": String(3000)})},
    {
        "display_type": String(255),
        "display_id": String(255),
        "product_name": String(255),
        "metadata_last_modified": Integer(0),
    },
)
_ACTION = Object(
    {"text": String(), "action_id": String(255)},
    {
        "value": String(2000),
        "style": Enum("primary", "danger"),
        "url": Url(),
        "accessibility_label": String(75),
    },
)
_ACTIONS = Object(
    optional={
        "primary_actions": Array(_ACTION, 2, min_items=0),
        "overflow_actions": Array(_ACTION, 5, min_items=0),
    }
)
_PAYLOAD = Object(
    {"attributes": _ATTRIBUTES, "fields": _FIELDS},
    {
        "custom_fields": Array(_CUSTOM, 100, min_items=0),
        "display_order": Array(String(), 100, min_items=0),
        "actions": _ACTIONS,
    },
)
_REF = Object({"id": String(255)}, {"type": String(255)})
_ENTITY: dict[str, Any] = {
    "entity_type": Enum(*ENTITIES),
    "url": Url(),
    "external_ref": _REF,
    "entity_payload": _PAYLOAD,
}
# Slack, Work Objects: comments. Without this field there is no comments tab.
_COMMENTS = {"entity_comments": Object({"count": Integer(0)}, {"latest_timestamp": Integer(0)})}
UNFURLED = Object({**_ENTITY, "app_unfurl_url": Url()}, _COMMENTS)
PRESENTED = Object(_ENTITY, {"app_unfurl_url": Url(), **_COMMENTS})


def links_in(text: str) -> list[str]:
    """Return the URLs in a message's text, each once, as they were posted."""
    found = [link.replace("&amp;", "&") for link in _LINK.findall(text)]
    return list(dict.fromkeys(found))


def domain_for(app: InstalledApp, url: str) -> str:
    """Return the app's registered domain that the URL belongs to, itself or as a subdomain; "" if none."""
    host = (urlsplit(url).hostname or "").lower()
    domains = app.manifest.unfurl_domains
    return next((one for one in domains if host == one or host.endswith(f".{one}")), "")


def require_unfurls(unfurls: Mapping[str, Any], links: list[str], app: InstalledApp) -> None:
    """Raise Refused for a preview (Slack, chat.unfurl) whose URL is not in the message or not of the app."""
    for url, shown in unfurls.items():
        if url not in links or not domain_for(app, url):
            raise Refused("cannot_unfurl_url", url)
        if not isinstance(shown, dict) or not shown:
            raise Refused("invalid_unfurls_format")
        content: Json = {"text": str(shown.get("text") or "x")}
        if "blocks" in shown:
            content["blocks"] = shown["blocks"]
        if (no := message_refusal(content)) is not None:
            raise Refused("invalid_unfurls_format", *no.messages)


def require_entities(metadata: Mapping[str, Any], links: list[str], app: InstalledApp) -> list[Json]:
    """Return the Work Objects of a chat.unfurl, each for a link of that message, of a type the app declares.

    Raises Refused with the errors, where Slack drops wrong ones silently (Slack, Work Objects).
    """
    entities = metadata.get("entities")
    if not isinstance(entities, list) or not entities:
        raise Refused("invalid_metadata", "[ERROR] must provide entities [json-pointer:/metadata]")
    for index, entity in enumerate(entities):
        require_entity(entity, app, UNFURLED, f"/metadata/entities/{index}")
        if entity["app_unfurl_url"] not in links or not domain_for(app, entity["app_unfurl_url"]):
            raise Refused("cannot_unfurl_url", entity["app_unfurl_url"])
    return entities


def require_entity(entity: Any, app: InstalledApp, shape: Object, at: str = "/metadata") -> None:
    if not app.manifest.rich_previews:
        raise Refused("feature_not_enabled")
    wrong = [*shape.errors(entity, at), *_unordered(entity, at)]
    if wrong:
        raise Refused("invalid_metadata", *wrong)
    if entity["entity_type"] not in app.manifest.rich_previews:
        raise Refused("invalid_metadata", f"[ERROR] {entity['entity_type']} is not enabled for the app")


def _unordered(entity: Any, at: str) -> Errors:
    payload = entity.get("entity_payload") if isinstance(entity, dict) else None
    if not isinstance(payload, dict):
        return
    known = {*_names(payload.get("fields")), *_keys(payload.get("custom_fields"))}
    for name in payload.get("display_order") or ():
        if name not in known:
            yield error_line(f"no such field: {name}", f"{at}/entity_payload/display_order")


def _names(fields: Any) -> Iterator[str]:
    yield from fields if isinstance(fields, dict) else ()


def _keys(fields: Any) -> Iterator[str]:
    for entry in fields if isinstance(fields, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("key"))


# Link previews: apps are told of links in their domains, and attach previews to the message.

Source = Literal["composer", "conversations_history"]


@dataclass
class EntityView:
    """A user's view of a Work Object's details (Slack, Work Objects: the flexpane)."""

    person: str
    app_id: str
    url: str
    external_ref: Json
    app_unfurl_url: str
    message: Message
    """Message with the link from which the details were opened."""
    shown: Json = field(default_factory=dict)
    error: Json = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def action(self, action_id: str) -> Json:
        """Return the button with this id. Raises Refused if the app shows none."""
        actions = self.shown.get("entity_payload", {}).get("actions", {})
        for button in (*actions.get("primary_actions", ()), *actions.get("overflow_actions", ())):
            if button["action_id"] == action_id:
                return dict(button)
        raise Refused("invalid_action")


class Unfurls:
    def __init__(self, state: State, events: Events, messages: Messages, views: Views) -> None:
        self._state = state
        self._events = events
        self._messages = messages
        self._views = views
        self._shared: dict[str, tuple[str, str, str]] = {}
        self._looks: dict[str, EntityView] = {}
        self.looks: list[EntityView] = []
        """Details that users have opened, the newest last."""

    def on_message(self, channel: Channel, message: Message) -> None:
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

    def open(self, person: str, message: Message, url: str) -> EntityView:
        """Open a Work Object's details and ask the app for them (Slack, entity_details_requested)."""
        found = next((a for a in message.attachments if a.get("app_unfurl_url") == url), None)
        if found is None or "entity" not in found:
            raise Refused("entity_not_found")
        app, entity = self._state.apps[found["app_id"]], found["entity"]
        look = EntityView(person, app.app_id, entity["url"], entity["external_ref"], url, message)
        trigger_id = self._views.trigger(app, person, channel=message.channel)
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
        elif error is None or error.get("status") not in TROUBLES:
            raise Refused("invalid_arguments")
        else:
            look.error = error
        look.answered.set()
        self._state.feed.announce(Change("message_changed", person=look.person))


TROUBLES = ("restricted", "internal_error", "not_found", "custom", "custom_partial_view", "timeout")
"""Statuses of the error that an app presents in place of details or comments."""


def _block_attachment(shown: Json) -> Json:
    return {**shown, "blocks": with_block_ids(shown["blocks"])} if "blocks" in shown else shown
