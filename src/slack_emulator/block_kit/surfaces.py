"""Validation of views, messages and their attachments as a whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from slack_emulator.block_kit.blocks import KINDS_ON
from slack_emulator.block_kit.objects import plain
from slack_emulator.limits import MARKDOWN_TEXT, MESSAGE_CUT, METADATA_BYTES, MOST, VIEW_BYTES
from slack_emulator.schema import (
    Array,
    Boolean,
    Enum,
    Errors,
    Integer,
    Number,
    Object,
    Schema,
    String,
    Union,
    Url,
    error_line,
)

# Validation across all blocks of a payload: unique ids, one focus, total sizes, elements per surface.

# Slack, workflow button: messages only. File and rich text inputs: modals only.
_ELEMENT_SURFACES = {
    "workflow_button": ("message",),
    "file_input": ("modal",),
    "rich_text_input": ("modal",),
}


def errors_in(blocks: object, surface: str, at: str) -> list[str]:
    """Return the errors that Slack would report for a list of blocks, each with a JSON pointer."""
    most = MOST["message.blocks" if surface == "message" else "view.blocks"]
    least = 0 if surface == "message" else 1
    found = list(Array(KINDS_ON[surface], most, least).errors(blocks, at))
    if isinstance(blocks, list):
        found += _identities(blocks, at)
        found += _elements(blocks, surface, at)
        found += _totals(blocks, at)
    return found


def _identities(blocks: list[object], at: str) -> Errors:
    seen: set[str] = set()
    for block, place in _blocks(blocks, at):
        block_id = block.get("block_id")
        if not isinstance(block_id, str):
            continue
        if block_id in seen:
            yield error_line(f"`block_id` {block_id} already exists for another block", f"{place}/block_id")
        seen.add(block_id)


def _elements(blocks: list[object], surface: str, at: str) -> Errors:
    focused: list[str] = []
    for block, place in _blocks(blocks, at):
        acting: set[object] = set()
        for element, spot in elements_of(block, place):
            kind, action_id = element.get("type"), element.get("action_id")
            if isinstance(action_id, str) and action_id in acting:
                yield error_line(
                    f"`action_id` {action_id} already exists for another element", f"{spot}/action_id"
                )
            acting.add(action_id if isinstance(action_id, str) else None)
            if surface not in _ELEMENT_SURFACES.get(str(kind), (surface,)):
                yield error_line(f"unsupported type: {kind}", f"{spot}/type")
            if element.get("response_url_enabled") and (surface, block.get("type")) != ("modal", "input"):
                yield error_line("response_url_enabled works in input blocks of modals only", spot)
            if element.get("focus_on_load") is True:
                focused.append(spot)
    for spot in focused[1:]:
        yield error_line("only one element may set focus_on_load", f"{spot}/focus_on_load")


def _totals(blocks: list[object], at: str) -> Errors:
    texts = [block.get("text") for block, _ in _blocks(blocks, at) if block.get("type") == "markdown"]
    if (
        len(texts) > 1
        and sum(len(text) for text in texts if isinstance(text, str)) > MOST["markdown.total_text"]
    ):
        yield error_line(
            f"markdown text must be less than {MOST['markdown.total_text'] + 1} characters in all", at
        )
    kinds = [block.get("type") for block, _ in _blocks(blocks, at)]
    if kinds.count("data_visualization") > MOST["message.data_visualizations"]:
        yield error_line(
            f"no more than {MOST['message.data_visualizations']} data_visualization blocks allowed", at
        )


def _blocks(blocks: object, at: str) -> Iterator[tuple[Mapping[str, object], str]]:
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        if isinstance(block, dict):
            yield block, f"{at}/{index}"
            yield from _blocks(block.get("child_blocks"), f"{at}/{index}/child_blocks")


def elements_of(block: Mapping[str, object], at: str = "") -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield each interactive element of a block with its JSON pointer."""
    for name in ("element", "accessory"):
        element = block.get(name)
        if isinstance(element, dict):
            yield element, f"{at}/{name}"
    for name in ("elements", "actions"):
        elements = block.get(name)
        for index, element in enumerate(elements if isinstance(elements, list) else []):
            if isinstance(element, dict):
                yield element, f"{at}/{name}/{index}"
                if element.get("type") == "card":
                    yield from elements_of(element, f"{at}/{name}/{index}")


# Validation of modals and Home tabs.


class _Anything:
    """Schema that accepts any value: `errors_in` validates the blocks."""

    def errors(self, value: object, at: str) -> Errors:
        return iter(())


_EITHER: dict[str, Schema] = {
    "private_metadata": String(MOST["view.private_metadata"], min_length=0),
    "callback_id": String(MOST["view.callback_id"], min_length=0),
    "external_id": String(MOST["view.external_id"], min_length=0),
}
# Slack, views reference. Home tabs have neither title nor buttons.
_VIEW = Union(
    {
        "modal": Object(
            {"title": plain(MOST["view.title"]), "blocks": _Anything()},
            {
                **_EITHER,
                "submit": plain(MOST["view.submit"]),
                "close": plain(MOST["view.close"]),
                "clear_on_close": Boolean(),
                "notify_on_close": Boolean(),
            },
        ),
        "home": Object({"blocks": _Anything()}, _EITHER),
    }
)


def view_errors(view: object) -> list[str]:
    """Return the errors for which views.open, push, update and publish refuse a view; [] if it is valid.

    Includes the size, for which Slack's own error code is `view_too_large`.
    """
    found = list(_VIEW.errors(view, "/view"))
    if not isinstance(view, dict) or str(view.get("type")) not in _VIEW.variants:
        return found
    if "blocks" in view:
        found += errors_in(view["blocks"], view["type"], "/view/blocks")
    found += _submit(view)
    if view_too_large(view):
        found.append(error_line(f"view must be at most {VIEW_BYTES} bytes", "/view"))
    return found


def view_too_large(view: object) -> bool:
    """True if the view is over 250 KB of JSON (Slack, views.open: `view_too_large`)."""
    return len(json.dumps(view, ensure_ascii=False).encode("utf-8", "surrogatepass")) > VIEW_BYTES


def _submit(view: Mapping[str, object]) -> Errors:
    blocks = view.get("blocks")
    kinds = (
        [block.get("type") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    )
    if view["type"] == "modal" and "input" in kinds and "submit" not in view:
        yield error_line("must define `submit` to use an `input` block in modals", "/view")


# Validation of a message: text, blocks, attachments and metadata.


@dataclass(frozen=True)
class MessageError:
    """Slack's error code for a payload, and the lines of its `response_metadata.messages`."""

    error: str
    messages: list[str] = field(default_factory=list)


class _NumberAnywhere:
    """Schema of an attachment's `ts`, which Slack documents loosely: a number, or a string with one."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, str):
            yield from Number().errors(value, at)


class _Blocks:
    """Schema of the blocks inside an attachment."""

    def errors(self, value: object, at: str) -> Errors:
        yield from errors_in(value, "message", at)


_WORDS = String(min_length=0)
_LINKS: dict[str, Schema] = dict.fromkeys(
    ("author_link", "author_icon", "title_link", "image_url", "thumb_url", "footer_icon", "from_url"),
    Url(),
)
_TEXTS: dict[str, Schema] = dict.fromkeys(
    ("fallback", "color", "pretext", "author_name", "title", "text", "footer", "callback_id", "service_name"),
    _WORDS,
)
# Slack, legacy attachments reference. Legacy buttons (`actions`) are not modelled: apps use `blocks`.
_ATTACHMENT = Object(
    {},
    {
        **_LINKS,
        **_TEXTS,
        "id": Integer(),
        "ts": _NumberAnywhere(),
        "blocks": _Blocks(),
        "mrkdwn_in": Array(String(), min_items=0),
        "fields": Array(Object({}, {"title": _WORDS, "value": _WORDS, "short": Boolean()}), min_items=0),
    },
)


def message_refusal(payload: Mapping[str, object]) -> MessageError | None:
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


def _text_refusal(payload: Mapping[str, object]) -> MessageError | None:
    text, markdown = payload.get("text"), payload.get("markdown_text")
    if markdown is not None and (text or payload.get("blocks")):
        return MessageError("markdown_text_conflict")
    if not (text or markdown or payload.get("blocks") or payload.get("attachments")):
        return MessageError("no_text")
    for name, value, most in (("text", text, MESSAGE_CUT), ("markdown_text", markdown, MARKDOWN_TEXT)):
        if value is not None and not isinstance(value, str):
            return MessageError("invalid_arguments", [error_line("must provide a string", f"/{name}")])
        if isinstance(value, str) and len(value) > most:
            return MessageError(
                "msg_too_long", [error_line(f"must be less than {most + 1} characters", f"/{name}")]
            )
    return None


def _blocks_refusal(payload: Mapping[str, object]) -> MessageError | None:
    found = errors_in(payload["blocks"], "message", "/blocks") if payload.get("blocks") is not None else []
    return MessageError("invalid_blocks", found) if found else None


def _attachments_refusal(payload: Mapping[str, object]) -> MessageError | None:
    attachments = payload.get("attachments")
    if attachments is None:
        return None
    if isinstance(attachments, list) and len(attachments) > MOST["message.attachments"]:
        return MessageError("too_many_attachments")
    found = list(Array(_ATTACHMENT, min_items=0).errors(attachments, "/attachments"))
    return MessageError("invalid_attachments", found) if found else None


def _metadata_refusal(payload: Mapping[str, object]) -> MessageError | None:
    metadata = payload.get("metadata")
    if metadata is None:
        return None
    found = list(_METADATA.errors(metadata, "/metadata"))
    if found:
        return MessageError("invalid_metadata_format", found)
    if len(json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass")) > METADATA_BYTES:
        return MessageError("metadata_too_large")
    return None


class _Payload:
    """Schema of `event_payload`: strings, numbers, booleans, flat objects of these, lists of any of them."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, dict):
            yield error_line("must provide an object", at)
            return
        for name, item in value.items():
            inner = item if isinstance(item, list) else [item]
            if not all(_flat(part) for part in inner):
                yield error_line(
                    "must be a string, number, boolean, flat object or list of these", f"{at}/{name}"
                )


def _flat(value: object) -> bool:
    plain = (str, int, float, bool)
    return isinstance(value, plain) or (
        isinstance(value, dict) and all(isinstance(item, plain) for item in value.values())
    )


class _EventPayload:
    """Schema of any JSON object: the app chooses its fields."""

    def errors(self, value: object, at: str) -> Errors:
        if not isinstance(value, dict):
            yield error_line("must provide an object", at)


# Slack, Work Objects: the entities that an app may attach to a message as metadata.
_ENTITY = Object(
    {
        "entity_type": Enum(
            *(f"slack#/entities/{kind}" for kind in ("task", "file", "item", "incident", "content_item"))
        ),
        "entity_payload": _EventPayload(),
        "external_ref": Object({"id": String()}, {"type": String()}),
        "url": Url(),
    },
    {"app_unfurl_url": Url()},
)


def _event_whole(metadata: Mapping[str, object], at: str) -> Errors:
    missing = [name for name in ("event_type", "event_payload") if name not in metadata]
    if len(missing) == 1 or (missing and "entities" not in metadata):
        yield error_line(f"missing required field: {missing[0]}", at)


# Slack, message metadata: event_type is alphanumeric with `_`, `-`, `.` and `:`.
_METADATA = Object(
    {},
    {
        "event_type": String(255, pattern=r"[A-Za-z0-9_.:-]+", message="invalid event_type"),
        "event_payload": _Payload(),
        "entities": Array(_ENTITY),
    },
    (_event_whole,),
)
