"""Validation of a message: text, blocks, attachments and metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from slack_emulator.blocks.whole import errors_in
from slack_emulator.grammar import (
    Address,
    Amount,
    Complaints,
    Flag,
    Many,
    OneOf,
    Shape,
    Spec,
    Whole,
    Words,
    complaint,
)
from slack_emulator.limits import MARKDOWN_TEXT, MESSAGE_CUT, METADATA_BYTES, MOST


@dataclass(frozen=True)
class Refusal:
    """Slack's error code for a payload, and the lines of its `response_metadata.messages`."""

    error: str
    messages: list[str] = field(default_factory=list)


class _Number:
    """Schema of an attachment's `ts`, which Slack documents loosely: a number, or a string with one."""

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, str):
            yield from Amount().errors(value, at)


class _Blocks:
    """Schema of the blocks inside an attachment."""

    def errors(self, value: object, at: str) -> Complaints:
        yield from errors_in(value, "message", at)


_WORDS = Words(least=0)
_LINKS: dict[str, Spec] = dict.fromkeys(
    ("author_link", "author_icon", "title_link", "image_url", "thumb_url", "footer_icon", "from_url"),
    Address(),
)
_TEXTS: dict[str, Spec] = dict.fromkeys(
    ("fallback", "color", "pretext", "author_name", "title", "text", "footer", "callback_id", "service_name"),
    _WORDS,
)
# Slack, legacy attachments reference. Legacy buttons (`actions`) are not modelled: apps use `blocks`.
_ATTACHMENT = Shape(
    {},
    {
        **_LINKS,
        **_TEXTS,
        "id": Whole(),
        "ts": _Number(),
        "blocks": _Blocks(),
        "mrkdwn_in": Many(Words(), least=0),
        "fields": Many(Shape({}, {"title": _WORDS, "value": _WORDS, "short": Flag()}), least=0),
    },
)


def message_refusal(payload: Mapping[str, object]) -> Refusal | None:
    """Return the first error for which Slack would refuse a message. Returns None if Slack would accept it.

    Checks text, markdown_text, blocks, attachments and metadata (Slack, chat.postMessage reference).
    """
    for judge in (_text_refusal, _blocks_refusal, _attachments_refusal, _metadata_refusal):
        refusal = judge(payload)
        if refusal is not None:
            return refusal
    return None


def message_errors(payload: dict[str, object]) -> list[str]:
    """Return the errors of a message, each with a JSON pointer; [] if it is valid."""
    judges = (_text_refusal, _blocks_refusal, _attachments_refusal, _metadata_refusal)
    refusals = [refusal for judge in judges if (refusal := judge(payload)) is not None]
    return [line for refusal in refusals for line in refusal.messages or [f"[ERROR] {refusal.error}"]]


def _text_refusal(payload: Mapping[str, object]) -> Refusal | None:
    text, markdown = payload.get("text"), payload.get("markdown_text")
    if markdown is not None and (text or payload.get("blocks")):
        return Refusal("markdown_text_conflict")
    if not (text or markdown or payload.get("blocks") or payload.get("attachments")):
        return Refusal("no_text")
    for name, value, most in (("text", text, MESSAGE_CUT), ("markdown_text", markdown, MARKDOWN_TEXT)):
        if value is not None and not isinstance(value, str):
            return Refusal("invalid_arguments", [complaint("must provide a string", f"/{name}")])
        if isinstance(value, str) and len(value) > most:
            return Refusal(
                "msg_too_long", [complaint(f"must be less than {most + 1} characters", f"/{name}")]
            )
    return None


def _blocks_refusal(payload: Mapping[str, object]) -> Refusal | None:
    found = errors_in(payload["blocks"], "message", "/blocks") if payload.get("blocks") is not None else []
    return Refusal("invalid_blocks", found) if found else None


def _attachments_refusal(payload: Mapping[str, object]) -> Refusal | None:
    attachments = payload.get("attachments")
    if attachments is None:
        return None
    if isinstance(attachments, list) and len(attachments) > MOST["message.attachments"]:
        return Refusal("too_many_attachments")
    found = list(Many(_ATTACHMENT, least=0).errors(attachments, "/attachments"))
    return Refusal("invalid_attachments", found) if found else None


def _metadata_refusal(payload: Mapping[str, object]) -> Refusal | None:
    metadata = payload.get("metadata")
    if metadata is None:
        return None
    found = list(_METADATA.errors(metadata, "/metadata"))
    if found:
        return Refusal("invalid_metadata_format", found)
    if len(json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass")) > METADATA_BYTES:
        return Refusal("metadata_too_large")
    return None


class _Payload:
    """Schema of `event_payload`: strings, numbers, booleans, flat objects of these, lists of any of them."""

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, dict):
            yield complaint("must provide an object", at)
            return
        for name, item in value.items():
            inner = item if isinstance(item, list) else [item]
            if not all(_flat(part) for part in inner):
                yield complaint(
                    "must be a string, number, boolean, flat object or list of these", f"{at}/{name}"
                )


def _flat(value: object) -> bool:
    plain = (str, int, float, bool)
    return isinstance(value, plain) or (
        isinstance(value, dict) and all(isinstance(item, plain) for item in value.values())
    )


class _Object:
    """Schema of any JSON object: the app chooses its fields."""

    def errors(self, value: object, at: str) -> Complaints:
        if not isinstance(value, dict):
            yield complaint("must provide an object", at)


# Slack, Work Objects: the entities that an app may attach to a message as metadata.
_ENTITY = Shape(
    {
        "entity_type": OneOf(
            *(f"slack#/entities/{kind}" for kind in ("task", "file", "item", "incident", "content_item"))
        ),
        "entity_payload": _Object(),
        "external_ref": Shape({"id": Words()}, {"type": Words()}),
        "url": Address(),
    },
    {"app_unfurl_url": Address()},
)


def _event_whole(metadata: Mapping[str, object], at: str) -> Complaints:
    missing = [name for name in ("event_type", "event_payload") if name not in metadata]
    if len(missing) == 1 or (missing and "entities" not in metadata):
        yield complaint(f"missing required field: {missing[0]}", at)


# Slack, message metadata: event_type is alphanumeric with `_`, `-`, `.` and `:`.
_METADATA = Shape(
    {},
    {
        "event_type": Words(255, form=r"[A-Za-z0-9_.:-]+", wanted="invalid event_type"),
        "event_payload": _Payload(),
        "entities": Many(_ENTITY),
    },
    (_event_whole,),
)
