"""Jinja environment, with filters that turn Slack's text objects into HTML."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from slack_emulator.page.emoji import glyph
from slack_emulator.page.mrkdwn import Names, mrkdwn_html, rich_html, safe_link, with_emoji
from slack_emulator.text import flatten

HERE = Path(__file__).parent
HUES = 8
_COLOURS = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#d72b3f"}


def _names(context: Context) -> Names:
    return cast(Names, context["directory"])


def _plain(text: object) -> Markup:
    """Return a plain_text object or a string with its emoji (Slack: unless `emoji` is false)."""
    if isinstance(text, Mapping):
        shown = str(text.get("text", ""))
        return Markup.escape(shown) if text.get("emoji") is False else with_emoji(shown)
    return with_emoji(str(text or ""))


@pass_context
def _text(context: Context, text: Mapping[str, Any]) -> Markup:
    """Return a text object, plain_text or mrkdwn, as HTML."""
    if text.get("type") == "mrkdwn":
        return mrkdwn_html(str(text.get("text", "")), _names(context))
    return _plain(text)


@pass_context
def _mrkdwn(context: Context, text: object) -> Markup:
    return mrkdwn_html(str(text), _names(context))


@pass_context
def _rich_part(context: Context, part: Mapping[str, Any]) -> Markup:
    return rich_html(part, _names(context))


def _initials(name: str) -> str:
    words = re.findall(r"\w+", name)
    return "".join(word[0] for word in words[:2]).upper() or "?"


def _hue(key: str) -> int:
    """Return the colour number of a user, an app or a name, always the same for the same key."""
    return hashlib.sha256(key.encode()).digest()[0] % HUES


def _colour(value: object) -> str:
    """Return an attachment's colour as CSS: good, warning, danger, or hexadecimal with or without #."""
    text = str(value or "")
    if text in _COLOURS:
        return _COLOURS[text]
    digits = text.removeprefix("#")
    return f"#{digits}" if re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits) else "#9aa5b1"


def _confirm_sentence(confirm: Mapping[str, Any]) -> str:
    return f"{confirm['title']['text']}\n\n{confirm['text']['text']}"


def _flattened(blocks: list[Mapping[str, Any]]) -> str:
    return flatten(blocks)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {**first, **second}


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(
        plain=_plain,
        emojis=with_emoji,
        text=_text,
        mrkdwn=_mrkdwn,
        rich_part=_rich_part,
        emoji=glyph,
        safe_link=safe_link,
        initials=_initials,
        hue=_hue,
        colour=_colour,
        confirm_sentence=_confirm_sentence,
        flattened=_flattened,
        merged=_merged,
    )
    return env


def digest(html: str) -> str:
    """Return a short hash that identifies the content of a region."""
    return hashlib.sha256(html.encode()).hexdigest()[:16]
