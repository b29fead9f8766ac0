"""Parser of the text after the command: the verb, the incident that is meant, the rest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from tocsin.incidents.parsing import NOTHING, WORD, after, fold, spans, these, trimmed
from tocsin.slack.views.mrkdwn_text import unescaped

# URLs of incidents, as people copy them: with a trailing slash, a query or a fragment.

_NAMES_ONE = re.compile(r"(?:[a-z][a-z0-9]{0,19}-)?[0-9]{1,15}|[0-9a-z]{26}", re.IGNORECASE)


def plain_address(address: str | None) -> str:
    """Return host and path in lower case, the same for every copy of a URL; empty if there is none."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return ""
    return f"{parts.netloc}{unquote(parts.path)}".rstrip("/").casefold()


def pages_above(address: str) -> Iterator[tuple[str, str]]:
    """Yield the URL and the pages above it, each as the address of its parent and its last part."""
    plain = plain_address(address)
    while "/" in plain:
        above, _, last = plain.rpartition("/")
        yield above, last
        plain = above


def names_one(part: str) -> bool:
    """True if the last part of a URL may be an incident's reference, number or id."""
    return _NAMES_ONE.fullmatch(part) is not None


# The text after the command: the verb, the incident that is meant, the rest.
#
# Slack sends it with `&`, `<` and `>` escaped, and people, channels and links in angle brackets (Slack, slash
# commands: `should_escape`).

USUAL_PREFIX = "inc"
_HYPHENS = "-\u2010\u2011"
"""Dashes that may be part of a word."""

_ENTITY = r"&(?:amp|lt|gt);"
_EMOJI = r":(?=[_+-]*[a-z0-9])[a-z0-9_+-]{1,60}:"
_MARKS = rf"(?:{_ENTITY}|{_EMOJI}|[^\w<]|_)*?"
_SMALL_WORDS = these(
    "a about and all also at both channel for in incident issue my of on our re ref regarding that the this"
    " to with"
)
MOST_SMALL_WORDS = 4
MOST_WORDS_OF_A_CHOICE = 3
"""Words of a role and of the person who takes it; severities and statuses have fewer."""
MOST_WORDS_BEFORE = 8
"""Words before an incident's reference; further into the text, none is looked for."""

_OPEN, _SHUT = r"(?:<|&lt;)", r"(?:>|&gt;)"

_CHANNEL = re.compile(rf"{_MARKS}{_OPEN}#(?P<id>[cgd][a-z0-9]+)(?:\|(?P<name>[^<>&\n]*))?{_SHUT}")
_LINK = re.compile(rf"{_MARKS}{_OPEN}(?P<at>(?:https?://)[^\s<>|]+?)(?:\|[^<>\n]*?)?{_SHUT}")
_ADDRESS = re.compile(rf"{_MARKS}(?P<at>(?:https?://)[^\s<>|]+)")
_NAMED = re.compile(rf"{_MARKS}#(?P<name>[^\W_](?:[\w-]*[^\W_])?)")
_ANY = re.compile(rf"{_MARKS}#?(?P<prefix>[^\W\d_]{{2,10}})\0*-{{1,3}}\0*(?P<number>\d{{1,15}})")
_NUMBER = re.compile(
    r"[\s\0*_`\"'“”‘’«»„(\[{#]*(?P<number>\d{1,15})(?=[\0*_`\"'“”‘’«»)\]}:;,!?-]*(?:\s|$)|[\0.…]*$)"
)
_HASHED = re.compile(rf"{_MARKS}#\0*(?P<number>\d{{1,15}})")
_WHOLE_NAME = re.compile(r"[\w-]*[^\W_]")
_GOES_ON = re.compile(r"\0*_*[^\W_]")
_OPEN_TO_DOUBT = re.compile(rf"[.,]\d|[/+][^\W_]|&amp;[^\W_]|(?!{_ENTITY})&[^\W_]|['’][^\W_]")

_GLUED = re.compile(rf"(?:{_ENTITY}|[^\w\s<#@&(\[{{]|_)*(?=\s|$)")
_SEPARATORS = frozenset(":;,.!?…|-")
_CLOSERS = dict(zip("*_`~\"'“‘«„(‹[{「『⟨", "*_`~\"'”’»“)›]}」』⟩", strict=True))
_NO_ADDRESS_END = "*_`~\"'”’»)]}:;,.!?…|-"

_TOKEN = re.compile(
    r"<(@[UW][A-Z0-9]+|#[CDG][A-Z0-9]+|!subteam\^S[A-Z0-9]+|!(?:here|channel|everyone|date\^[^<>|]+)"
    r"|(?:https?://|mailto:|tel:)[^<>|\s]+)(?:\|([^<>]*))?>"
)
_SUBTEAM = "!subteam^"
_VERB = re.compile(rf"(?P<marks>{_MARKS})(?P<word>[^\W\d_]+(?:-[^\W\d_]+)*)")
_AFTER_A_VERB = re.compile(r"$|(?=[\s<])|[.!?…]+(?=\s|$)|(?:&gt;|[^\w\s/('’&+@#.<])+|_+(?=\s|$)")
_SET_OFF = frozenset(":;,=|-….")
"""Marks that set a verb off from the text; a sentence has none of them after its first word."""


@dataclass(frozen=True)
class FoundReference:
    """Reference to an incident: by its reference, its channel or its URL."""

    by: Literal["reference", "channel", "name", "address", "unclear"]
    said: str
    """The reference, the channel's id or name, or the URL; if unclear, what may be a reference."""
    name: str = ""
    """Name of the channel with that id, if Slack sent it."""
    is_usual: bool = True
    """True if the prefix is one of those in use here, so that it can hardly mean anything else."""


@dataclass(frozen=True)
class First:
    """First word after the command, if it may be a verb, and the text after it."""

    word: str
    """The verb, as the table of verbs spells it."""
    written: str
    rest: str
    set_off: bool = False
    """True if a colon, a dash or a line break follows; a sentence has none after its first word."""
    quoted: bool = False
    """True if the word is in quotes or in bold, as a word that is spoken about."""


def first_word(text: str, verbs: Mapping[str, str]) -> First | None:
    """Return the verb that the text begins with; None if it begins with another word.

    `verbs` has the verb for each of its spellings.

    After a verb comes white space of any kind, or a mark that ends a word: `help-desk`, `close/open` and
    `status.example` are not verbs.
    """
    plain = fold(text)
    found = _VERB.match(plain)
    if found is None:
        return None
    start, end = found.span("word")
    word = found["word"]
    if word not in verbs:
        # A dash that is not a hyphen may also separate two words.
        hyphen = next((at for at in range(start, end) if plain[at] == "-" and text[at] not in _HYPHENS), end)
        word, end = plain[start:hyphen], hyphen
    ends = _AFTER_A_VERB.match(plain, end)
    if word not in verbs or ends is None:
        return None
    rest = after(text, ends.end())
    between = plain[end : len(plain) - len(plain[ends.end() :].lstrip())]
    set_off = "\n" in between or bool(_SET_OFF & set(ends[0])) or trimmed(text[ends.end() :]) != rest
    quoted = bool(plain[:start].strip(f" \n/{NOTHING}"))
    return First(verbs[word], text[start:end], rest, set_off=set_off, quoted=quoted)


def typed_word(text: str) -> str:
    """Return the first word, which may be a mistyped verb."""
    found = WORD.search(fold(text))
    return found[0] if found else ""


def reference_in(
    text: str, prefixes: Collection[str] = (), *, bare_number: bool = True
) -> tuple[FoundReference, str] | None:
    """Return the incident that the text begins with, and the text after it; None if there is none.

    `prefixes` are the prefixes of references here, besides `INC`. With `bare_number`, `12` is a reference,
    too.
    """
    plain = fold(text)
    for read in (_of_channel, _of_link, _of_name, _of_prefix, _of_any):
        if (found := read(text, plain, _known(prefixes))) is not None:
            reference, start, end = found
            return reference, _rest(text, plain, start, end)
    number = (_NUMBER.match(plain) if bare_number else None) or _HASHED.match(plain)
    if number is None or _GOES_ON.match(plain, number.end()):
        return None
    return FoundReference("reference", number["number"]), _rest(
        text, plain, number.start("number"), number.end()
    )


Found = tuple[FoundReference, int, int]


def _of_channel(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    found = _CHANNEL.match(plain)
    if found is None:
        return None
    name = text[slice(*found.span("name"))] if found["name"] else ""
    start = found.start("id") - 1
    return FoundReference("channel", found["id"].upper(), trimmed(name).lower()), start, found.end()


def _of_link(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    if (found := _LINK.match(plain)) is not None:
        address, end = text[slice(*found.span("at"))], found.end()
    elif (found := _ADDRESS.match(plain)) is not None:
        address = text[slice(*found.span("at"))].rstrip(_NO_ADDRESS_END)
        end = found.start("at") + len(address)
    else:
        return None
    return FoundReference("address", unescaped(address)), found.start("at"), end


def _of_name(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """Read a channel's name such as `#inc-2-payments-down`, or a reference after `#`."""
    found = _NAMED.match(plain)
    if found is None or found["name"].isdecimal():
        return None
    if (as_reference := _of_prefix(text, plain, prefixes)) and as_reference[0].by == "reference":
        return as_reference
    return FoundReference("name", found["name"]), found.start("name"), found.end()


def _of_prefix(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """Read a reference with a prefix in use here: `INC-2`, also written `inc 2`, `INC2` or `INC – 2`.

    `inc-2-payments-down` is read as a channel's name. A reference that goes on in another way is unclear.
    """
    known = "|".join(map(re.escape, sorted(prefixes, key=len, reverse=True)))
    asked = rf"{_MARKS}#?(?P<prefix>{known})[ \0]*(?:-{{1,3}}|[#_])?[ \0]*(?P<number>\d{{1,15}})"
    found = re.compile(asked).match(plain)
    if found is None:
        return None
    start, end = found.start("prefix"), found.end()
    said = f"{found['prefix']}-{found['number']}".upper()
    if plain[end : end + 1] == "-" and plain[end + 1 : end + 2].isalnum() and text[end] in _HYPHENS:
        whole = _WHOLE_NAME.match(plain, start)
        if whole is not None and not plain[end : whole.end()].replace("-", "").isdecimal():
            return FoundReference("name", whole[0]), start, whole.end()
        return FoundReference("unclear", said), start, end
    if _GOES_ON.match(plain, end) or _OPEN_TO_DOUBT.match(plain, end):
        return FoundReference("unclear", said), start, end
    return FoundReference("reference", said), start, end


def _of_any(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """Read a reference with any other prefix, such as `PROD-2`, which may also be something else."""
    found = _ANY.match(plain)
    if found is None or _GOES_ON.match(plain, found.end()) or plain[found.end() : found.end() + 1] == "-":
        return None
    said = f"{found['prefix']}-{found['number']}".upper()
    return FoundReference("reference", said, is_usual=False), found.start("prefix"), found.end()


def _rest(text: str, plain: str, start: int, end: int) -> str:
    """Return the text after a reference, without the marks that close what was opened before it."""
    opened = [mark for mark in text[:start] if mark in _CLOSERS]
    closers = [_CLOSERS[mark] for mark in opened]
    glued = _GLUED.match(plain, end)
    stop = glued.end() if glued else end
    while glued is None and stop < len(text) and (plain[stop] in _SEPARATORS or text[stop] in closers):
        stop += 1
    rest, closed = after(text, stop), text[end:stop]
    for closer in reversed(closers):
        if closer in closed:
            closed = closed.replace(closer, "", 1)
        elif rest.endswith(closer) and _is_left_over(rest, closer):
            rest = trimmed(rest.removesuffix(closer))
    return rest


def _is_left_over(rest: str, closer: str) -> bool:
    """True if a mark at the end closes nothing in the text itself."""
    opener = next(opener for opener, shut in _CLOSERS.items() if shut == closer)
    return rest.count(closer) % 2 == 1 if opener == closer else rest.count(closer) > rest.count(opener)


def references_in(text: str, prefixes: Collection[str] = ()) -> Iterator[tuple[str, FoundReference, str]]:
    """Yield each incident named near the beginning, with the words before it and the text after it."""
    before: list[str] = []
    while text and len(before) <= MOST_WORDS_BEFORE:
        found = reference_in(text, prefixes, bare_number=True)
        if found is not None:
            reference, text = found
            yield " ".join(before), reference, text
            before = []
            continue
        (start, end), *_ = spans(text) or [(0, len(text))]
        before.append(fold(text[start:end]))
        text = trimmed(text[end:])


def named_in_passing(text: str, prefixes: Collection[str] = ()) -> FoundReference | None:
    """Return an incident that is named after a few small words, as in `update on INC-2: …`.

    Of channels, only one with the name of an incident's channel counts, or one whose name Slack did not send.
    """
    for before, reference, _ in references_in(text, prefixes):
        words = before.split()
        is_small = len(words) <= MOST_SMALL_WORDS and _SMALL_WORDS.issuperset(words)
        return reference if is_small and _is_surely_one(reference, prefixes) else None
    return None


def named_after_choice(text: str, prefixes: Collection[str] = ()) -> FoundReference | None:
    """Return an incident that is named right after a choice: `severity critical INC-2`, `lead @dan INC-2`."""
    for before, reference, _ in references_in(text, prefixes):
        is_near = len(before.split()) <= MOST_WORDS_OF_A_CHOICE
        return reference if is_near and _is_surely_one(reference, prefixes) else None
    return None


def _is_surely_one(reference: FoundReference, prefixes: Collection[str]) -> bool:
    match reference.by:
        case "reference":
            return reference.is_usual and not reference.said.isdecimal()
        case "address":
            return False
        case "channel" | "name":
            name = reference.name if reference.by == "channel" else reference.said
            return not name or _of_prefix(name, fold(name), _known(prefixes)) is not None
    return True


def _known(prefixes: Collection[str]) -> frozenset[str]:
    return frozenset({USUAL_PREFIX, *map(fold, prefixes)})


def as_read(text: str, names: Mapping[str, str], *, addresses: bool = True) -> str:
    """Return the text as people read it (Slack, formatting text): `@Ana`, `#general`, links by their words.

    `names` are names of people, user groups and channels, by id. Without a name, the label in Slack's token
    is used, else a general word. With `addresses`, a link's URL follows its words. Entities are unescaped.
    """

    def spelt(token: re.Match[str]) -> str:
        target, label = token[1], token[2] or ""
        name = names.get(_id(target), label)
        if target[0] == "@":
            return _called("@", name, "somebody")
        if target[0] == "#":
            return _called("#", name, "a channel")
        if target.startswith(_SUBTEAM):
            return _called("@", name, "a user group")
        if target[0] == "!":
            return label if target.startswith("!date^") else _called("@", label or target[1:], "")
        shown = target.removeprefix("mailto:").removeprefix("tel:")
        if not label or not addresses or label in {shown, shown.partition("://")[2].rstrip("/")}:
            return label or shown
        return f"{label} ({shown})"

    return unescaped(_TOKEN.sub(spelt, text))


def _called(sign: str, name: str, otherwise: str) -> str:
    return f"{sign}{name.lstrip(sign)}" if name else otherwise


def _id(target: str) -> str:
    return target.removeprefix(_SUBTEAM).lstrip("@#")


def mentioned(text: str) -> list[str]:
    """Return the ids of the people, user groups and channels that a text mentions, each once."""
    found = (token[1] for token in _TOKEN.finditer(text))
    return list(dict.fromkeys(_id(one) for one in found if one[0] in "@#" or one.startswith(_SUBTEAM)))
