"""Slack's mrkdwn, parsed into a tree, and its mentions."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

# Parser of mrkdwn as Slack's clients read it: escapes, mentions, links, dates, emphasis, code, quotes.

Kind = Literal[
    "text",
    "bold",
    "italic",
    "strike",
    "code",
    "pre",
    "quote",
    "link",
    "person",
    "channel",
    "group",
    "broadcast",
    "emoji",
    "date",
    "newline",
]


@dataclass(frozen=True)
class Span:
    """One piece of formatted text.

    `text` is the unescaped text that is shown: the words, a link's label, a mention's label if it has one, a
    date's fallback. `target` is a URL, an id, a broadcast's range or an emoji's name. `children` are the
    spans inside bold, italic, strike and quote. A date has `ts` (seconds), `form` (its token string) and, if
    it links, a URL as `target`.
    """

    kind: Kind
    text: str = ""
    target: str = ""
    children: tuple["Span", ...] = ()
    ts: int = 0
    form: str = ""


NEWLINE = Span("newline")
_EMPHASIS: dict[str, Kind] = {"*": "bold", "_": "italic", "~": "strike"}
_PRE = re.compile(r"```(.+?)```", re.DOTALL)
_QUOTE = re.compile(r"(?:&gt;|>)[ ]?")
_REST_QUOTE = re.compile(r"(?:&gt;){3}|>{3}")
_TOKEN = re.compile(r"<([^<>\n]+)>")
_CODE = re.compile(r"`([^`\n]+)`")
_EMOJI = re.compile(r":([a-z0-9_+'-]+)(?:::(skin-tone-[2-6]))?:")
_NAMED = re.compile(r"\+1|-1|100|1234|.*[a-z].*")
BARE_URL = re.compile(r"https?://[^\s<>|]*[^\s<>|.,;:!?'\"()\[\]{}*_~`]", re.IGNORECASE)
_LINK = re.compile(r"(?:https?://|mailto:|tel:|slack://)[^\s|]+", re.IGNORECASE)
_PERSON = re.compile(r"@([UW][A-Z0-9]+)")
_CHANNEL = re.compile(r"#([CGD][A-Z0-9]+)")
_GROUP = re.compile(r"!subteam\^(S[A-Z0-9]+)")
_DATE = re.compile(r"!date\^(\d{1,12})\^([^^]+)(?:\^(.+))?", re.DOTALL)
_SPECIAL = re.compile(r"[<`\n:h*_~]", re.IGNORECASE)


def escape(text: str) -> str:
    """Escape the three characters that Slack has escapes for (Slack, formatting text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """Undo `escape`, once."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def parse_mrkdwn(text: str) -> list[Span]:
    """Return the spans of a mrkdwn text. Any text is valid: what is no markup is shown as it is."""
    spans: list[Span] = []
    last = 0
    for fence in _PRE.finditer(text):
        spans += _lines(text[last : fence.start()])
        spans.append(Span("pre", unescape(_shown(fence[1].strip("\n")))))
        last = fence.end()
        if text[last : last + 1] == "\n":
            last += 1
    return spans + _lines(text[last:])


def plain_of(spans: list[Span] | tuple[Span, ...]) -> str:
    """Return the text that a user reads, without markup; a mention without a label as `@U…`."""
    shown = {"newline": "\n", "person": "@", "channel": "#", "group": "@", "broadcast": "@"}
    parts = []
    for span in spans:
        if span.children:
            parts.append(plain_of(span.children))
        elif span.kind == "emoji":
            parts.append(f":{span.target}:")
        else:
            parts.append(span.text or shown.get(span.kind, "") + span.target)
    return "".join(parts)


def _shown(text: str) -> str:
    """Replace each angle-bracket token by the text it is shown as, as Slack does inside preformatted text."""
    return _TOKEN.sub(
        lambda token: escape(plain_of([read])) if (read := _angled(token[1])) else token[0], text
    )


def _lines(text: str) -> list[Span]:
    if not text:
        return []
    spans: list[Span] = []
    quoted: list[str] | None = None
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if match := _REST_QUOTE.match(line):
            rest = "\n".join([line[match.end() :].lstrip(), *lines[number + 1 :]])
            spans += _quote(quoted)
            return [*spans, Span("quote", children=tuple(_inline(rest)))]
        if match := _QUOTE.match(line):
            quoted = [*(quoted or []), line[match.end() :]]
            continue
        spans += _quote(quoted)
        quoted = None
        spans += _inline(line)
        if number < len(lines) - 1:
            spans.append(NEWLINE)
    return spans + _quote(quoted)


def _quote(lines: list[str] | None) -> list[Span]:
    return [] if lines is None else [Span("quote", children=tuple(_inline("\n".join(lines))))]


class _Scanner:
    """Parser state for one pass over a text."""

    def __init__(self, text: str, closed: str) -> None:
        self.text = text
        self.closed = closed
        self.spans: list[Span] = []
        self.words: list[str] = []
        # By marker, the end of a line that has no closing marker: the rest of that line has none either.
        self.unclosed: dict[str, int] = {}

    def read(self) -> list[Span]:
        at = 0
        while at < len(self.text):
            match = _SPECIAL.search(self.text, at)
            if match is None:
                break
            self.words.append(self.text[at : match.start()])
            at = self._special(match.start())
        else:
            at = len(self.text)
        self.words.append(self.text[at:])
        self._flush()
        return self.spans

    def _special(self, at: int) -> int:
        sign = self.text[at].lower()
        if sign == "\n":
            return self._push(NEWLINE, at + 1)
        if sign in _EMPHASIS:
            return self._emphasis(at)
        return _READERS[sign](self, at)

    def _push(self, span: Span, end: int) -> int:
        self._flush()
        self.spans.append(span)
        return end

    def _literal(self, at: int, end: int | None = None) -> int:
        end = end or at + 1
        self.words.append(self.text[at:end])
        return end

    def _flush(self) -> None:
        words = unescape("".join(self.words))
        self.words = []
        if words:
            self.spans.append(Span("text", words))

    def token(self, at: int) -> int:
        match = _TOKEN.match(self.text, at)
        span = _angled(match[1]) if match else None
        return self._push(span, match.end()) if match and span else self._literal(at)

    def code(self, at: int) -> int:
        match = _CODE.match(self.text, at)
        return (
            self._push(Span("code", unescape(_shown(match[1]))), match.end()) if match else self._literal(at)
        )

    def emoji(self, at: int) -> int:
        match = _EMOJI.match(self.text, at)
        if not match or not _NAMED.fullmatch(match[1]):
            return self._literal(at)
        tone = f"::{match[2]}" if match[2] else ""
        return self._push(Span("emoji", target=match[1] + tone), match.end())

    def bare_url(self, at: int) -> int:
        match = BARE_URL.match(self.text, at)
        if not match or (at and self.text[at - 1].isalnum()):
            return self._literal(at)
        url = unescape(match[0])
        return self._push(Span("link", url, url), match.end())

    def _emphasis(self, at: int) -> int:
        sign = self.text[at]
        end = None if sign in self.closed else self._closing(at)
        if end is None:
            return self._literal(at)
        inside = _inline(self.text[at + 1 : end], self.closed + sign)
        return self._push(Span(_EMPHASIS[sign], children=tuple(inside)), end + 1)

    def _closing(self, at: int) -> int | None:
        text, sign = self.text, self.text[at]
        before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
        if (
            before.isalnum()
            or not after
            or after.isspace()
            or after == sign
            or at < self.unclosed.get(sign, 0)
        ):
            return None
        line_end = text.find("\n", at)
        line_end = len(text) if line_end < 0 else line_end
        place = at + 1
        while place < line_end:
            skipped = _TOKEN.match(text, place) or _CODE.match(text, place)
            if skipped:
                place = skipped.end()
            elif text[place] == sign and self._closes(place):
                return place
            else:
                place += 1
        self.unclosed[sign] = line_end
        return None

    def _closes(self, place: int) -> bool:
        before, after = self.text[place - 1], self.text[place + 1 : place + 2]
        return not before.isspace() and before != self.text[place] and not after.isalnum()


_READERS: dict[str, Callable[[_Scanner, int], int]] = {
    "<": _Scanner.token,
    "`": _Scanner.code,
    ":": _Scanner.emoji,
    "h": _Scanner.bare_url,
}


def _inline(text: str, closed: str = "") -> list[Span]:
    return _Scanner(text, closed).read()


def _angled(inside: str) -> Span | None:
    """Return the span of the token `<…>`. Returns None if it is no token and is shown as typed."""
    target, _, label = inside.partition("|")
    label = unescape(label)
    if match := _PERSON.fullmatch(target):
        return Span("person", label, match[1])
    if match := _CHANNEL.fullmatch(target):
        return Span("channel", label, match[1])
    if match := _GROUP.fullmatch(target):
        return Span("group", label, match[1])
    if target in ("!here", "!channel", "!everyone"):
        return Span("broadcast", label, target[1:])
    if match := _DATE.fullmatch(target):
        url = unescape(match[3] or "")
        url = url if _LINK.fullmatch(url) else ""
        return Span("date", label, url, ts=int(match[1]), form=unescape(match[2]))
    if _LINK.fullmatch(target):
        url = unescape(target)
        return Span("link", label or url.removeprefix("mailto:"), url)
    return None


# Search for mentions that notify users, so that tests can assert that an app's message has none.

_LIVE = re.compile(
    r"<(?:!(?P<range>here|channel|everyone)|!subteam\^(?P<group>S[A-Z0-9]+)|@(?P<person>[UW][A-Z0-9]+))"
    r"(?:\|[^<>\n]*)?>"
)
# Fields that Slack reads as mrkdwn even outside text objects (Slack, attachments and messages).
_MRKDWN_FIELDS = ("text", "markdown_text", "pretext", "value", "fallback")
_RICH = {"broadcast": "range", "usergroup": "usergroup_id", "user": "user_id"}


@dataclass(frozen=True)
class Mention:
    """A mention that notifies users, in a payload.

    `target` is `here`, `channel`, `everyone` or an id; `at` is the mention's JSON pointer.
    """

    kind: Literal["broadcast", "group", "person"]
    target: str
    at: str = ""


def broadcasts(payload: object, at: str = "") -> list[Mention]:
    """Return all mentions that notify users in a mrkdwn text, in blocks or in a whole message.

    Includes mentions inside code, because Slack notifies for some of them. Excludes plain_text objects: Slack
    never reads a mention in them.
    """
    if isinstance(payload, str):
        return list(_in_text(payload, at))
    if isinstance(payload, list):
        return [mention for index, item in enumerate(payload) for mention in _inside(item, f"{at}/{index}")]
    return _inside(payload, at)


def _in_text(text: str, at: str) -> Iterator[Mention]:
    for match in _LIVE.finditer(text):
        if match["range"]:
            yield Mention("broadcast", match["range"], at)
        elif match["group"]:
            yield Mention("group", match["group"], at)
        else:
            yield Mention("person", match["person"], at)


def _inside(item: object, at: str) -> list[Mention]:
    if isinstance(item, list):
        return broadcasts(item, at)
    if not isinstance(item, dict):
        return []
    rich = _rich(item, at)
    if rich or item.get("type") in ("plain_text", "raw_text") or _is_rich_words(item):
        return rich
    found = [mention for name in _MRKDWN_FIELDS for mention in _of_field(item, name, at)]
    for name, inner in item.items():
        if not isinstance(inner, str):
            found += _inside(inner, f"{at}/{name}")
    return found


def _is_rich_words(item: Mapping[str, object]) -> bool:
    return item.get("type") in ("text", "link", "emoji")


def _of_field(item: Mapping[str, object], name: str, at: str) -> list[Mention]:
    text = item.get(name)
    # A button's or an option's `value` is for the app alone: Slack never shows it.
    if not isinstance(text, str) or (name == "value" and "title" not in item):
        return []
    return list(_in_text(text, f"{at}/{name}"))


def _rich(item: Mapping[str, object], at: str) -> list[Mention]:
    kind = str(item.get("type"))
    target = item.get(_RICH.get(kind, ""))
    if not isinstance(target, str):
        return []
    kinds: dict[str, Literal["broadcast", "group", "person"]] = {
        "broadcast": "broadcast",
        "usergroup": "group",
        "user": "person",
    }
    return [Mention(kinds[kind], target, at)]
