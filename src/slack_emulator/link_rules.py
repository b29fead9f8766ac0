"""Validation of link previews: the links of a message, the app's domains, unfurls and Work Objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from slack_emulator.blocks import message_refusal
from slack_emulator.grammar import Address, Complaints, Flag, Many, OneOf, Shape, Whole, Words, complaint
from slack_emulator.manifest_rules import ENTITIES
from slack_emulator.model import InstalledApp, Json, Refused

_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>")

_USER = Shape(optional={"user_id": Words(), "text": Words(), "url": Address(), "email": Words()})
_TEXT = Shape(
    {"value": Words(3000)},
    {
        "label": Words(255),
        "type": OneOf("string", "slack#/types/link", "slack#/types/channel_id"),
        "format": OneOf("markdown"),
        "link": Address(),
        "long": Flag(),
        "tag_color": OneOf("red", "yellow", "green", "gray", "blue"),
    },
)
_MOMENT = Shape(
    {"value": Whole(0)}, {"label": Words(255), "type": OneOf("slack#/types/timestamp", "slack#/types/date")}
)
_SOMEBODY = Shape(
    {"type": OneOf("slack#/types/user", "string")}, {"user": _USER, "value": Words(), "label": Words(255)}
)
_FIELDS = Shape(
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
_CUSTOM = Shape(
    {"key": Words(255), "label": Words(255), "type": Words(), "value": Words(3000)},
    {"link": Address(), "long": Flag(), "format": OneOf("markdown"), "tag_color": Words()},
)
_ATTRIBUTES = Shape(
    {"title": Shape({"text": Words(3000)})},
    {
        "display_type": Words(255),
        "display_id": Words(255),
        "product_name": Words(255),
        "metadata_last_modified": Whole(0),
    },
)
_PAYLOAD = Shape(
    {"attributes": _ATTRIBUTES, "fields": _FIELDS},
    {"custom_fields": Many(_CUSTOM, 100, least=0), "display_order": Many(Words(), 100, least=0)},
)
_REF = Shape({"id": Words(255)}, {"type": Words(255)})
_ENTITY: dict[str, Any] = {
    "entity_type": OneOf(*ENTITIES),
    "url": Address(),
    "external_ref": _REF,
    "entity_payload": _PAYLOAD,
}
UNFURLED = Shape({**_ENTITY, "app_unfurl_url": Address()})
PRESENTED = Shape(_ENTITY, {"app_unfurl_url": Address()})


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


def require_entity(entity: Any, app: InstalledApp, shape: Shape, at: str = "/metadata") -> None:
    if not app.manifest.rich_previews:
        raise Refused("feature_not_enabled")
    wrong = [*shape.errors(entity, at), *_unordered(entity, at)]
    if wrong:
        raise Refused("invalid_metadata", *wrong)
    if entity["entity_type"] not in app.manifest.rich_previews:
        raise Refused("invalid_metadata", f"[ERROR] {entity['entity_type']} is not enabled for the app")


def _unordered(entity: Any, at: str) -> Complaints:
    payload = entity.get("entity_payload") if isinstance(entity, dict) else None
    if not isinstance(payload, dict):
        return
    known = {*_names(payload.get("fields")), *_keys(payload.get("custom_fields"))}
    for name in payload.get("display_order") or ():
        if name not in known:
            yield complaint(f"no such field: {name}", f"{at}/entity_payload/display_order")


def _names(fields: Any) -> Iterator[str]:
    yield from fields if isinstance(fields, dict) else ()


def _keys(fields: Any) -> Iterator[str]:
    for field in fields if isinstance(fields, list) else ():
        if isinstance(field, dict):
            yield str(field.get("key"))
