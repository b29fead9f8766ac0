"""Names of incidents' channels, by the operator's template. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter

from tocsin.incidents.model import Incident

TEMPLATE = "{reference}-{name}"
PLACEHOLDERS = ("number", "reference", "name", "date", "severity", "type")

SLACK_LENGTH = 80
CHANNEL_NAME_LENGTH = 60
VALUE_LENGTH = 20
"""Most characters of each value other than the name."""

_LONGEST = {"number": "9" * 7, "reference": "inc-" + "9" * 7, "date": "2026-11-29"}


@dataclass(frozen=True)
class ChannelNames:
    """Names of channels by one template; the default is the reference and the name."""

    template: str = TEMPLATE

    def of(self, incident: Incident) -> str:
        """Return the name of this incident's channel."""
        return channel_name(
            incident.reference,
            incident.name,
            template=self.template,
            date=f"{incident.created_at:%Y-%m-%d}",
            severity=incident.severity.name if incident.severity else "",
            type=incident.incident_type.name if incident.incident_type else "",
        )

    def with_endings(self, incident: Incident, endings: Iterable[int | str]) -> list[str]:
        """Return the name with each of these endings, for one attempt after the other; 1 adds nothing."""
        name = self.of(incident)
        return [_with_ending(name, ending) for ending in endings]


def channel_name(
    reference: str, name: str, ending: int | str = 1, template: str = TEMPLATE, **values: str
) -> str:
    """Fill the template: `inc-12-checkout-is-slow`.

    By default the number comes first, so that a sorted sidebar is in order of time. Slack takes 80 lower-case
    letters, digits, hyphens and underscores (conversations.create); ours are up to 60, so that they can be
    read in a sidebar, and the incident's name is cut to whole words that fit. Latin letters lose their
    accents, and words in other scripts are dropped. Later attempts end in `-2`, `-3`.
    """
    number = re.search(r"[0-9]*$", reference)
    values = {**dict.fromkeys(PLACEHOLDERS, ""), **values, "number": number[0] if number else ""}
    filled = {key: _slug(value)[:VALUE_LENGTH].strip("-_") for key, value in values.items()}
    filled |= {"reference": _slug(reference), "name": ""}
    room = max(0, CHANNEL_NAME_LENGTH - len(template.format_map(filled)))
    filled["name"] = _whole_words(_slug(name), room)
    made = re.sub(r"-{2,}", "-", template.format_map(filled)).strip("-_") or _slug(reference)
    return _with_ending(made, ending)


def _with_ending(name: str, ending: int | str) -> str:
    tail = "" if ending == 1 else f"-{ending}"
    return name[: SLACK_LENGTH - len(tail)].rstrip("-_") + tail


def template_error(template: str) -> str:
    """Return the error of a template as words for the operator; empty if it is valid."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return "a brace has no partner; write placeholders as in inc-{number}-{name}"
    asked = [field for _, field, _, _ in parts if field is not None]
    listed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for field, form, conversion in ((f, s, c) for _, f, s, c in parts if f is not None):
        if field not in PLACEHOLDERS or form or conversion:
            return f"{{{field}}} is no placeholder; there are {listed}"
    if not {"number", "reference", "name"} & set(asked):
        return "give {number}, {reference} or {name}, by which channels can be told apart"
    if any(re.search(r"[^a-z0-9_-]", text) for text, *_ in parts):
        return "beside placeholders Slack takes lower-case letters, digits, hyphens and underscores only"
    longest = {name: _LONGEST.get(name, "x" * VALUE_LENGTH) for name in PLACEHOLDERS}
    if len(template.format_map(longest)) > CHANNEL_NAME_LENGTH:
        return f"shorten it; filled in, it may have {CHANNEL_NAME_LENGTH} characters"
    return ""


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", _in_latin(text)).strip("-")


def _whole_words(slug: str, room: int) -> str:
    """Return the first words that have room; if not even one has, as much of it as fits."""
    if len(slug) <= room:
        return slug
    return slug[: room + 1].rpartition("-")[0] or slug[:room]


def _in_latin(text: str) -> str:
    """Lower-case the text and reduce Latin letters to ASCII: `Łódź` to `lodz`, `straße` to `strasse`."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(map(_unadorned, folded.replace("'", "").replace("\u2019", "")))


def _unadorned(character: str) -> str:
    """Return the base letters of a Latin letter, nothing for a combining accent, else the character itself.

    Letters that Unicode does not decompose are recognised by name: ł is LATIN SMALL LETTER L WITH STROKE.
    """
    if character.isascii():
        return character
    if unicodedata.combining(character):
        return ""
    if character in _LATIN:
        return _LATIN[character]
    found = _WITH_MARK.match(unicodedata.name(character, ""))
    return found[1].lower() if found else character


_LATIN = {
    "æ": "ae",
    "œ": "oe",
    "ð": "d",
    "þ": "th",
    "ŋ": "ng",
    "ı": "i",
    "ȷ": "j",
    "ĸ": "k",
    "ə": "e",
    "ɛ": "e",
    "ɔ": "o",
}
_WITH_MARK = re.compile(r"LATIN SMALL LETTER (?:DOTLESS )?([A-Z]) WITH ")
