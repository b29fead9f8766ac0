"""mrkdwn rendered to HTML, and the page's Jinja environment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from slack_emulator.composer import Span, flatten, parse_mrkdwn
from slack_emulator.ui.format import date_words, glyph

# HTML of mrkdwn and rich text, as Slack's client shows them to one viewer.

Json = Mapping[str, Any]
_EMOJI = re.compile(r":([a-z0-9_+'-]+(?:::skin-tone-[2-6])?):")
_LINKABLE = frozenset({"http", "https", "mailto", "tel"})


class Names(Protocol):
    """Labels of ids, for one viewer."""

    viewer: str
    tz: ZoneInfo

    def person_label(self, person_id: str) -> str: ...

    def find_channel_label(self, channel_id: str) -> str | None:
        """Return the label. Returns None if the viewer may not see that channel."""

    def group_handle(self, group_id: str) -> str: ...


def safe_link(url: object) -> str:
    """Return the URL if its scheme is safe to follow (http, https, mailto, tel), else "#"."""
    text = str(url or "")
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        return "#"
    return text if scheme in _LINKABLE else "#"


def with_emoji(text: str) -> Markup:
    """Return plain text escaped, with the `:names:` of known emoji replaced by the emoji."""
    return escape(_EMOJI.sub(lambda m: glyph(m[1]), text))


def mrkdwn_html(text: str, names: Names) -> Markup:
    return spans_html(parse_mrkdwn(text), names)


def spans_html(spans: Iterable[Span], names: Names) -> Markup:
    return Markup("").join(_SPANS[span.kind](span, names) for span in spans)


def _wrapped(tag: str) -> Callable[[Span, Names], Markup]:
    def draw(span: Span, names: Names) -> Markup:
        inside = spans_html(span.children, names) if span.children else escape(span.text)
        return Markup("<{0}>{1}</{0}>").format(Markup(tag), inside)

    return draw


def _link(span: Span, _names: Names) -> Markup:
    return link_html(span.target, span.text)


def link_html(url: str, label: str) -> Markup:
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
        safe_link(url), with_emoji(label or url)
    )


def person_html(person_id: str, names: Names, label: str = "") -> Markup:
    mine = " me" if person_id == names.viewer else ""
    return Markup('<span class="mention{}" data-person="{}">@{}</span>').format(
        mine, person_id, names.person_label(person_id) or label
    )


def channel_html(channel_id: str, names: Names) -> Markup:
    label = names.find_channel_label(channel_id)
    if label is None:
        return Markup('<span class="mention">🔒 private channel</span>')
    return Markup('<a class="mention" href="/client/{}">#{}</a>').format(channel_id, label)


def _group_html(group_id: str, names: Names) -> Markup:
    return Markup('<span class="mention">@{}</span>').format(names.group_handle(group_id))


def _broadcast_html(target: str) -> Markup:
    return Markup('<span class="mention me">@{}</span>').format(target)


def date_html(ts: int, form: str, fallback: str, url: str, names: Names) -> Markup:
    """Return a date in the viewer's time zone, with the fallback as its tooltip (Slack, date formatting)."""
    try:
        moment = datetime.fromtimestamp(ts, names.tz)
    except (OverflowError, ValueError, OSError):
        return escape(fallback)
    when = Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.astimezone(UTC).isoformat(), fallback, date_words(moment, form)
    )
    if not url:
        return when
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
        safe_link(url), when
    )


_SPANS: Mapping[str, Callable[[Span, Names], Markup]] = {
    "text": lambda span, _names: escape(span.text),
    "bold": _wrapped("b"),
    "italic": _wrapped("i"),
    "strike": _wrapped("s"),
    "code": _wrapped("code"),
    "pre": _wrapped("pre"),
    "quote": _wrapped("blockquote"),
    "link": _link,
    "person": lambda span, names: person_html(span.target, names, span.text),
    "channel": lambda span, names: channel_html(span.target, names),
    "group": lambda span, names: _group_html(span.target, names),
    "broadcast": lambda span, _names: _broadcast_html(span.target),
    "emoji": lambda span, _names: Markup('<span class="emoji">{}</span>').format(glyph(span.target)),
    "date": lambda span, names: date_html(span.ts, span.form, span.text, span.target, names),
    "newline": lambda _span, _names: Markup("<br>"),
}


def rich_html(part: Json, names: Names) -> Markup:
    """Return the HTML of one inline element of rich text, with its styles."""
    draw = _RICH.get(str(part.get("type")))
    drawn = draw(part, names) if draw is not None else Markup("")
    style = part.get("style")
    for name, tag in (("code", "code"), ("strike", "s"), ("italic", "i"), ("bold", "b")):
        if isinstance(style, Mapping) and style.get(name):
            drawn = Markup("<{0}>{1}</{0}>").format(Markup(tag), drawn)
    return drawn


def _rich_emoji(part: Json, _names: Names) -> Markup:
    tone = f"::skin-tone-{part['skin_tone']}" if part.get("skin_tone") else ""
    return Markup('<span class="emoji">{}</span>').format(glyph(str(part.get("name", "")) + tone))


_RICH: Mapping[str, Callable[[Json, Names], Markup]] = {
    "text": lambda part, _names: escape(str(part.get("text", ""))),
    "link": lambda part, _names: link_html(str(part.get("url", "")), str(part.get("text") or "")),
    "emoji": _rich_emoji,
    "user": lambda part, names: person_html(str(part.get("user_id")), names),
    "usergroup": lambda part, names: _group_html(str(part.get("usergroup_id")), names),
    "channel": lambda part, names: channel_html(str(part.get("channel_id")), names),
    "broadcast": lambda part, _names: _broadcast_html(str(part.get("range"))),
    "color": lambda part, _names: Markup("<code>{}</code>").format(part.get("value", "")),
    "date": lambda part, names: date_html(
        int(part.get("timestamp", 0)),
        str(part.get("format", "")),
        str(part.get("fallback", "")),
        str(part.get("url") or ""),
        names,
    ),
}


# Jinja environment, with filters that turn Slack's text objects into HTML.

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
