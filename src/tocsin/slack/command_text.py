"""The text typed after the command: the verb, the incident that is meant, the rest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from tocsin.incidents.parsing import NOTHING, after, folded, spans, these, trimmed
from tocsin.slack.views.mrkdwn import unescaped

# Addresses of incidents, as people copy them: with a slash, a question or a fragment after them.

_NAMES_ONE = re.compile(r"(?:[a-z][a-z0-9]{0,19}-)?[0-9]{1,15}|[0-9a-z]{26}", re.IGNORECASE)


def plain_address(address: str | None) -> str:
    """The host and the path in small letters: what is the same however it was copied; empty for none."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return ""
    return f"{parts.netloc}{unquote(parts.path)}".rstrip("/").casefold()


def pages_above(address: str) -> Iterator[tuple[str, str]]:
    """The address and those of the pages above it, each as where it is, and its last part."""
    plain = plain_address(address)
    while "/" in plain:
        above, _, last = plain.rpartition("/")
        yield above, last
        plain = above


def names_one(part: str) -> bool:
    """Whether the last part of an address may be an incident's reference, number or id."""
    return _NAMES_ONE.fullmatch(part) is not None


# What somebody typed after the command, read in one place: the verb, the incident that is meant, the text.
#
# Slack sends the text with `&`, `<` and `>` escaped, and people, channels and links in angle brackets
# (Slack, slash commands: `should_escape`).

USUAL_PREFIX = "inc"
_HYPHENS = "-\u2010\u2011"
"""Dashes that stand within a word."""

_ENTITY = r"&(?:amp|lt|gt);"
_EMOJI = r":(?=[_+-]*[a-z0-9])[a-z0-9_+-]{1,60}:"
_MARKS = rf"(?:{_ENTITY}|{_EMOJI}|[^\w<]|_)*?"
_SMALL_WORDS = these(
    "a about and all also at both channel for in incident issue my of on our re ref regarding that the this"
    " to with"
)
MOST_SMALL_WORDS = 4
MOST_WORDS_OF_A_CHOICE = 3
"""Words of a role and of who takes it; severities and statuses have fewer."""
MOST_WORDS_BEFORE = 8
"""Words before an incident that is still looked for."""

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
"""Marks after a verb that nobody writes between the first words of a sentence."""


@dataclass(frozen=True)
class Reference:
    """An incident that is named: by its reference, by its channel, or by its address."""

    by: Literal["reference", "channel", "name", "address", "unclear"]
    said: str
    """The reference, the channel's id, the channel's name, or the address; as it stands where unclear."""
    name: str = ""
    """What the channel with that id is called, where Slack says so."""
    is_usual: bool = True
    """The reference begins as references do here: it can hardly be anything else."""


@dataclass(frozen=True)
class First:
    """The first word after the command, when it may be a verb, and what follows it."""

    word: str
    """As it is spelt in the table of verbs."""
    written: str
    rest: str
    set_off: bool = False
    """A colon, a dash or a line break stands after it, which nobody writes within a sentence's beginning."""
    quoted: bool = False
    """It stands in quotes, or in bold: a word that is spoken of."""


def first_word(text: str, verbs: Mapping[str, str]) -> First | None:
    """The verb that the text begins with; None where it begins with another word.

    `verbs` are those there are, by each way to spell them.

    After a verb comes white space of any kind, or a mark that ends a word: `help-desk`, `close/open` and
    `status.example` are no verbs.
    """
    plain = folded(text)
    found = _VERB.match(plain)
    if found is None:
        return None
    start, end = found.span("word")
    word = found["word"]
    if word not in verbs:
        # A dash that is no hyphen may also stand between two words.
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
    """The first word, to see whether it may be a verb that was mistyped."""
    words = spans(text)
    return folded(text[words[0][0] : words[0][1]]) if words else ""


def reference_in(
    text: str, prefixes: Collection[str] = (), *, bare_number: bool = True
) -> tuple[Reference, str] | None:
    """The incident that the text begins with, and what follows it; None where it begins with none.

    `prefixes` are what references begin with here, besides `INC`. With `bare_number`, `12` is one, too.
    """
    plain = folded(text)
    for read in (_of_channel, _of_link, _of_name, _of_prefix, _of_any):
        if (found := read(text, plain, _known(prefixes))) is not None:
            reference, start, end = found
            return reference, _rest(text, plain, start, end)
    number = (_NUMBER.match(plain) if bare_number else None) or _HASHED.match(plain)
    if number is None or _GOES_ON.match(plain, number.end()):
        return None
    return Reference("reference", number["number"]), _rest(text, plain, number.start("number"), number.end())


Found = tuple[Reference, int, int]


def _of_channel(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    found = _CHANNEL.match(plain)
    if found is None:
        return None
    name = text[slice(*found.span("name"))] if found["name"] else ""
    start = found.start("id") - 1
    return Reference("channel", found["id"].upper(), trimmed(name).lower()), start, found.end()


def _of_link(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    if (found := _LINK.match(plain)) is not None:
        address, end = text[slice(*found.span("at"))], found.end()
    elif (found := _ADDRESS.match(plain)) is not None:
        address = text[slice(*found.span("at"))].rstrip(_NO_ADDRESS_END)
        end = found.start("at") + len(address)
    else:
        return None
    return Reference("address", unescaped(address)), found.start("at"), end


def _of_name(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """`#inc-2-payments-down`, or the same without `#` where it begins as references do here."""
    found = _NAMED.match(plain)
    if found is None or found["name"].isdecimal():
        return None
    if (as_reference := _of_prefix(text, plain, prefixes)) and as_reference[0].by == "reference":
        return as_reference
    return Reference("name", found["name"]), found.start("name"), found.end()


def _of_prefix(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """`INC-2` with the prefix that is usual here, which may also be written `inc 2`, `INC2` or `INC – 2`."""
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
            return Reference("name", whole[0]), start, whole.end()
        return Reference("unclear", said), start, end
    if _GOES_ON.match(plain, end) or _OPEN_TO_DOUBT.match(plain, end):
        return Reference("unclear", said), start, end
    return Reference("reference", said), start, end


def _of_any(text: str, plain: str, prefixes: frozenset[str]) -> Found | None:
    """`PROD-2`: what is shaped as a reference, and may be something else."""
    found = _ANY.match(plain)
    if found is None or _GOES_ON.match(plain, found.end()) or plain[found.end() : found.end() + 1] == "-":
        return None
    said = f"{found['prefix']}-{found['number']}".upper()
    return Reference("reference", said, is_usual=False), found.start("prefix"), found.end()


def _rest(text: str, plain: str, start: int, end: int) -> str:
    """What follows a reference: the marks that close what was opened before it are no part of the text."""
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
    """Whether a mark at the end closes nothing in the text itself."""
    opener = next(opener for opener, shut in _CLOSERS.items() if shut == closer)
    return rest.count(closer) % 2 == 1 if opener == closer else rest.count(closer) > rest.count(opener)


def references_in(text: str, prefixes: Collection[str] = ()) -> Iterator[tuple[str, Reference, str]]:
    """Each incident that is named not far into the text, with the words before it and what follows it."""
    before: list[str] = []
    while text and len(before) <= MOST_WORDS_BEFORE:
        found = reference_in(text, prefixes, bare_number=True)
        if found is not None:
            reference, text = found
            yield " ".join(before), reference, text
            before = []
            continue
        (start, end), *_ = spans(text) or [(0, len(text))]
        before.append(folded(text[start:end]))
        text = trimmed(text[end:])


def named_in_passing(text: str, prefixes: Collection[str] = ()) -> Reference | None:
    """An incident that is named after a few small words, as in `update on INC-2: …`.

    Of channels only those that are called as an incident's are, or whose name Slack does not tell.
    """
    for before, reference, _ in references_in(text, prefixes):
        words = before.split()
        is_small = len(words) <= MOST_SMALL_WORDS and _SMALL_WORDS.issuperset(words)
        return reference if is_small and _is_surely_one(reference, prefixes) else None
    return None


def named_after_choice(text: str, prefixes: Collection[str] = ()) -> Reference | None:
    """An incident that is named right behind a choice: `severity critical INC-2`, `lead @dan INC-2`."""
    for before, reference, _ in references_in(text, prefixes):
        is_near = len(before.split()) <= MOST_WORDS_OF_A_CHOICE
        return reference if is_near and _is_surely_one(reference, prefixes) else None
    return None


def _is_surely_one(reference: Reference, prefixes: Collection[str]) -> bool:
    match reference.by:
        case "reference":
            return reference.is_usual and not reference.said.isdecimal()
        case "address":
            return False
        case "channel" | "name":
            name = reference.name if reference.by == "channel" else reference.said
            return not name or _of_prefix(name, folded(name), _known(prefixes)) is not None
    return True


def _known(prefixes: Collection[str]) -> frozenset[str]:
    return frozenset({USUAL_PREFIX, *map(folded, prefixes)})


def as_read(text: str, names: Mapping[str, str], *, addresses: bool = True) -> str:
    """The text as people read it (Slack, formatting text): `@Ana`, `#general`, a link's words, no entities.

    `names` are those of people, user groups and channels, by id. What has none is called by the label that it
    came with, else in words. With `addresses`, an address stays behind the words of its link.
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
    """The ids of the people, user groups and channels that a text mentions, each once."""
    found = (token[1] for token in _TOKEN.finditer(text))
    return list(dict.fromkeys(_id(one) for one in found if one[0] in "@#" or one.startswith(_SUBTEAM)))
