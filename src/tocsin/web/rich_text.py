"""Text that people write, as safe HTML: Slack's mrkdwn and Markdown's lists, quotes, links and code.

markdown-it parses it, without HTML, headings, tables and images. Slack's own marks are rules of its parser.
Sources: Slack, formatting message text; CommonMark 0.31.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token
from markupsafe import Markup, escape

MOST_RENDERED: Final = 20_000
"""Characters of a text that are rendered; a longer one, as only a hosted backend has, is shown as it is."""

_FENCE = "```"
_BULLET = re.compile(r"^((?:> ?)*\s*)[•◦▪‣] +")
_RUN = re.compile(r"^((?:> ?)*\s*)(?:(?:[-*+•]|\d{1,9}[.)]) +){4,}(?=[^\s*+•-])")
"""Marks of many lists in one line, which are a person's ruler rather than lists within lists."""
_ITEM = re.compile(r"^\s*(?:[-*+•◦▪‣]|\d{1,9}[.)])(?:\s|$)")
_QUOTED = re.compile(r"^(?:> ?)*")
_DEEPEST = 6
"""Most quotations within quotations; deeper ones are shown at this depth."""
_NESTED = 40
_ADDRESS = re.compile(r"://[^\s<>\"'|`]{1,2048}")
_SCHEME = re.compile(r"https?$", re.IGNORECASE)
_ANGLED = re.compile(r"<([^<>|\n]{1,2048})(?:\|([^<>\n]{0,300}))?>")
_STRUCK = re.compile(r"~(?=\S)([^~\n]{1,300})(?<=\S)~(?!\w)")
_PERSON = re.compile(r"@([UW][A-Z0-9]+)")
_CHANNEL = re.compile(r"#([CG][A-Z0-9]+)")
_BROADCASTS = frozenset({"!here", "!channel", "!everyone"})

Names = Mapping[str, str]
"""Names of people and channels by Slack id."""


def safe_link(url: str | None) -> str | None:
    """Return the address if it is an http or https one with a host, else None."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return url if parts.scheme.lower() in {"http", "https"} and parts.hostname else None


def rich_text(text: str, names: Names | None = None) -> Markup:
    """Render a text; a mention becomes the name that `names` has for it, and never an id.

    A single line is never a list or a quotation: `> 5 s` is a figure. Takes time in proportion to the length.
    """
    text = text.replace("\r\n", "\n").replace("\r", " ")
    if len(text) > MOST_RENDERED:
        return Markup("<p>%s</p>") % Markup("<br>\n").join(escape(line) for line in text.split("\n"))
    env = {"names": names or {}}
    if "\n" not in text:
        return Markup(_PARSER.renderInline(text, env))
    return Markup(_PARSER.render("\n".join(_as_markdown(text.split("\n"))), env))


def _as_markdown(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines in which a list and a quotation end with their last line, as they do in Slack.

    Markdown goes on with the next line unless an empty one is between them, knows no `•`, and takes the words
    behind an opening fence for the name of a language.
    """
    depth, in_list, number = 0, False, 0
    while number < len(lines):
        line = _shallow(lines[number])
        if line.strip("> ").startswith(_FENCE):
            number, fenced = _fenced(lines, number)
            yield from fenced
            depth, in_list = _depth(line), False
            continue
        now, is_item = _depth(line), bool(_ITEM.match(_QUOTED.sub("", line, count=1)))
        goes_on = is_item or line.startswith(("  ", "\t")) or not line.strip()
        if now < depth or (in_list and not goes_on):
            yield ">" * now
        yield _BULLET.sub(r"\1- ", _RUN.sub(r"\1- ", line))
        depth, in_list, number = now, is_item or (in_list and goes_on), number + 1


def _shallow(line: str) -> str:
    depth = _depth(line)
    return f"{'> ' * _DEEPEST}{_QUOTED.sub('', line, count=1)}" if depth > _DEEPEST else line


def _depth(line: str) -> int:
    found = _QUOTED.match(line)
    return found[0].count(">") if found else 0


def _fenced(lines: Sequence[str], number: int) -> tuple[int, Iterator[str]]:
    """Return the number of the line behind a block of code, and the lines of the block."""
    first = _shallow(lines[number])
    quoted = _QUOTED.match(first)
    mark = quoted[0] if quoted else ""
    behind = first.removeprefix(mark).strip().removeprefix(_FENCE)
    if _FENCE in behind:
        return number + 1, iter([first])
    ends = (n for n in range(number + 1, len(lines)) if lines[n].rstrip().endswith(_FENCE))
    last = next(ends, len(lines))
    inside = [_shallow(line) if mark else line for line in lines[number + 1 : last]]
    end = lines[last].rstrip().removesuffix(_FENCE) if last < len(lines) else ""
    if end.strip("> "):
        inside.append(end)
    if behind and not (re.fullmatch(r"[\w+.#-]{1,20}", behind) and not end.strip("> ") and last < len(lines)):
        inside.insert(0, mark + behind)
    return last + 1, iter([f"{mark}{_FENCE}", *inside, f"{mark}{_FENCE}"])


# Rules of the parser for Slack's own marks (markdown-it, development: inline rules).


def _address(state: StateInline, silent: bool) -> bool:
    """Parse a bare address, from the colon behind its scheme on."""
    if state.src[state.pos] != ":" or state.linkLevel > 0:
        return False
    found, scheme = _ADDRESS.match(state.src, state.pos), _SCHEME.search(state.pending[-5:])
    if found is None or scheme is None:
        return False
    rest = found[0].rstrip(".,;:!?)]}*_~")
    url = scheme[0] + rest
    if safe_link(url) is None:
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        _push_link(state, url, url)
    state.pos += len(rest)
    return True


def _angled(state: StateInline, silent: bool) -> bool:
    """Parse what Slack writes in angle brackets: links, people, channels, groups, dates (Slack, mrkdwn)."""
    found = _ANGLED.match(state.src, state.pos) if state.src[state.pos] == "<" else None
    if found is None:
        return False
    target, words = found[1], found[2] or ""
    url = safe_link(target)
    said = None if url else _said(target, words, state.env["names"])
    if (url is None and said is None) or (url is not None and (re.search(r"\s", url) or state.linkLevel > 0)):
        return False
    if not silent:
        if url is not None:
            _push_link(state, url, words or url)
        else:
            state.pending += said or ""
    state.pos = found.end()
    return True


def _said(target: str, words: str, names: Names) -> str | None:
    """Return a mention in words; None if it is none."""
    if person := _PERSON.fullmatch(target):
        return f"@{names.get(person[1]) or words or 'somebody'}"
    if channel := _CHANNEL.fullmatch(target):
        return f"#{names.get(channel[1]) or words or 'a channel'}"
    if target in _BROADCASTS:
        return f"@{target[1:]}"
    if target.startswith(("!subteam^", "!date^", "mailto:", "tel:")) and words:
        return words
    return None


def _push_link(state: StateInline, url: str, words: str) -> None:
    state.push("link_open", "a", 1).attrs = {"href": url}
    state.push("text", "", 0).content = words
    state.push("link_close", "a", -1)


def _struck(state: StateInline, silent: bool) -> bool:
    """Parse `~struck out~`; a tilde within a word is a tilde."""
    found = _STRUCK.match(state.src, state.pos) if state.src[state.pos] == "~" else None
    if found is None or (state.pos and state.src[state.pos - 1].isalnum()):
        return False
    if not silent:
        state.push("s_open", "s", 1)
        state.push("text", "", 0).content = found[1]
        state.push("s_close", "s", -1)
    state.pos = found.end()
    return True


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Collect stars and underscores; neither is a mark within a word, so that `2*3*4` is a figure."""
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    scanned = state.scanDelims(state.pos, False)
    for _ in range(scanned.length):
        state.push("text", "", 0).content = marker
        at = len(state.tokens) - 1
        one = Delimiter(ord(marker), scanned.length, at, -1, scanned.can_open, scanned.can_close)
        state.delimiters.append(one)
    state.pos += scanned.length
    return True


def _is_safe(url: str) -> bool:
    return safe_link(url) is not None


def _as_it_is(url: str) -> str:
    return url


class _Renderer(RendererHTML):
    """Writes HTML: one star is bold as in Slack, links give nothing away, and code has no language."""

    def em_open(self, tokens: Sequence[Token], idx: int, *rest: Any) -> str:
        return "<strong>" if tokens[idx].markup == "*" else "<em>"

    def em_close(self, tokens: Sequence[Token], idx: int, *rest: Any) -> str:
        return "</strong>" if tokens[idx].markup == "*" else "</em>"

    def fence(self, tokens: Sequence[Token], idx: int, *rest: Any) -> str:
        return f"<pre>{escape(tokens[idx].content.removesuffix(chr(10)))}</pre>\n"

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]
    ) -> str:
        address, words = str(tokens[idx].attrs.get("href", "")), tokens[idx + 1]
        if words.type == "text" and safe_link(words.content.strip()):
            # An address that leads to another one would deceive.
            words.content = address
        return f'<a href="{escape(address)}" rel="noopener noreferrer">'


def _parser() -> MarkdownIt:
    parser = MarkdownIt(
        "zero",
        {"html": False, "breaks": True, "xhtmlOut": False, "maxNesting": _NESTED},
        renderer_cls=_Renderer,
    )
    parser.enable(["list", "blockquote", "fence", "hr", "newline", "backticks", "emphasis", "link"])
    parser.inline.ruler.before("backticks", "address", _address)
    parser.inline.ruler.before("backticks", "angled", _angled)
    parser.inline.ruler.before("backticks", "struck", _struck)
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.normalizeLink = _as_it_is  # type: ignore[method-assign]
    parser.validateLink = _is_safe  # type: ignore[method-assign]
    return parser


_PARSER = _parser()
