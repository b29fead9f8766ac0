"""The message an incident is declared from, read into a name and a summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT
from tocsin.incidents.rules import cleaned, is_visible
from tocsin.slack.views.kit import shortened

Names = Mapping[str, str]
_TOKEN = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_STYLE = re.compile(r"(?<![\w*_~])([*_~])(?=\S)([^*_~\n]+)(?<=\S)\1(?![\w*_~])")


def name_and_summary(message: Mapping[str, Any], permalink: str | None, names: Names) -> tuple[str, str]:
    """The first line as a name; the whole message as a quote with its author and its link.

    Reads what people wrote (rich text), what alerts show (blocks, attachments, often with no text at all),
    and plain text, in that order. `names` are the people we know by id.
    """
    text = cleaned(message_text(message, names), lines=True)
    first = next((line for line in text.splitlines() if is_visible(line)), "")
    ending = " ".join(filter(None, ["—", author(message, names), permalink]))
    room = SUMMARY_LIMIT - len(ending) - 1
    quote = shortened("\n".join(f"> {line}" for line in text.splitlines()), room)
    return shortened(cleaned(first.lstrip("#*> ")), NAME_LIMIT), "\n".join(filter(None, [quote, ending]))


def author(message: Mapping[str, Any], names: Names) -> str:
    """Who wrote it: the name we know, the bot's own name, else Slack's id in its usual form."""
    profile = message.get("bot_profile")
    named = message.get("username") or (profile.get("name") if isinstance(profile, dict) else None)
    if named:
        return str(named)
    user = message.get("user")
    return _person(str(user), names) if user else ""


def message_text(message: Mapping[str, Any], names: Names) -> str:
    """All that a reader of the message sees, as plain text."""
    parts = list(_of_blocks(message.get("blocks"), names))
    if not parts and message.get("text"):
        parts = [_of_mrkdwn(str(message["text"]), names)]
    for attachment in _dicts(message.get("attachments")):
        parts += _of_attachment(attachment, names)
    parts += [f"File: {file.get('title') or file.get('name')}" for file in _dicts(message.get("files"))]
    return "\n".join(part for part in parts if part.strip())


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _of_attachment(attachment: Mapping[str, Any], names: Names) -> Iterator[str]:
    shown = [attachment.get(part) for part in ("pretext", "title", "text")]
    said = [_of_mrkdwn(str(part), names) for part in shown if part]
    said += [
        f"{field.get('title', '')}: {_of_mrkdwn(str(field.get('value', '')), names)}"
        for field in _dicts(attachment.get("fields"))
    ]
    said += _of_blocks(attachment.get("blocks"), names)
    if not said and attachment.get("fallback"):
        said = [_of_mrkdwn(str(attachment["fallback"]), names)]
    yield from said


def _of_blocks(blocks: object, names: Names) -> Iterator[str]:
    for block in _dicts(blocks):
        if block.get("type") == "rich_text":
            yield from (_of_rich_text(element, names) for element in _dicts(block.get("elements")))
        elif block.get("type") == "image":
            yield str(block.get("alt_text") or "")
        else:
            texts = [block.get("text"), *_dicts(block.get("fields"))]
            if block.get("type") == "context":
                texts += _dicts(block.get("elements"))
            yield from (_of_text(text, names) for text in texts)


def _of_text(text: object, names: Names) -> str:
    if isinstance(text, str):
        return _of_mrkdwn(text, names)
    if not isinstance(text, dict):
        return ""
    said = str(text.get("text") or text.get("alt_text") or "")
    return _of_mrkdwn(said, names) if text.get("type") == "mrkdwn" else said


def _of_rich_text(element: Mapping[str, Any], names: Names) -> str:
    kind = element.get("type")
    parts = _dicts(element.get("elements"))
    if kind == "rich_text_list":
        return "\n".join(f"• {_of_rich_text(item, names)}" for item in parts)
    return "".join(_of_piece(part, names) for part in parts).rstrip("\n")


def _of_piece(piece: Mapping[str, Any], names: Names) -> str:
    kind = str(piece.get("type"))
    if kind == "link":
        url, text = str(piece.get("url", "")), str(piece.get("text") or "")
        return f"{text} ({url})" if text and text != url else url
    if kind == "user":
        return _person(str(piece.get("user_id", "")), names)
    if kind in {"broadcast", "emoji"}:
        return {"broadcast": f"@{piece.get('range', '')}", "emoji": f":{piece.get('name', '')}:"}[kind]
    if kind == "channel":
        return f"#{names.get(str(piece.get('channel_id')), piece.get('channel_id', ''))}"
    if kind == "usergroup":
        return f"@{piece.get('usergroup_id', '')}"
    return str(piece.get("text") or piece.get("fallback") or piece.get("value") or "")


def _of_mrkdwn(text: str, names: Names) -> str:
    """mrkdwn as a reader sees it, its links spelt out and its entities undone (Slack, formatting text)."""

    def spelt(token: re.Match[str]) -> str:
        target, label = token[1], token[2] or ""
        if target[0] == "@":
            return f"@{label.lstrip('@')}" if label else _person(target[1:], names)
        if target[0] == "#":
            return f"#{label or names.get(target[1:], target[1:])}"
        if target[0] == "!":
            return label or "@" + target[1:].split("^")[0]
        return f"{label} ({target})" if label and label not in {target, target.split(":", 1)[-1]} else target

    spelled = _STYLE.sub(r"\2", _TOKEN.sub(spelt, text))
    return spelled.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _person(person_id: str, names: Names) -> str:
    return f"@{names[person_id]}" if person_id in names else f"<@{person_id}>"
