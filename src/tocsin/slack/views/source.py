"""The message an incident is declared from, or that its timeline keeps, in the words of those who read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT
from tocsin.incidents.validation import cleaned, is_visible
from tocsin.slack.views.message import author, file_lines, lines_of, name_of
from tocsin.slack.views.spans import Line, Names

GOES_ON = "… (the message goes on)"
_ENDING_LIMIT = 1000


def name_and_summary(message: Mapping[str, Any], permalink: str | None, names: Names) -> tuple[str, str]:
    """What the message would be called; and the whole of it as a quotation, with its author and its link.

    `names` are the people, user groups and channels that we know by id.
    """
    name = _cut(cleaned(name_of(message, names)), NAME_LIMIT)
    return name, _retold(message, permalink, names, SUMMARY_LIMIT, "> ")


def kept_text(
    message: Mapping[str, Any], permalink: str | None, names: Names, limit: int = TEXT_LIMIT
) -> str:
    """The message in plain text, its files by their own links, its author, and its address."""
    return _retold(message, permalink, names, limit, "")


def _retold(message: Mapping[str, Any], permalink: str | None, names: Names, limit: int, mark: str) -> str:
    """All lines, each behind `mark`; what does not fit is left out, and said to be."""
    whose = " ".join(filter(None, [cleaned(author(message, names))[:100], permalink]))
    ending = f"— {whose}" if whose else ""
    room = limit - len(ending) - 1
    files = _fitting(_read(file_lines(message, names), mark), min(room, _ENDING_LIMIT), mark)
    said = _fitting(_read(lines_of(message, names), mark), room - len(files) - 1, mark)
    return "\n".join(filter(None, [said, files, ending]))[:limit]


def _read(lines: list[Line], mark: str) -> list[str]:
    """Each line as it is read, its indentation kept."""
    read = [(line.read, cleaned(line.read, lines=True).replace("\n", " ")) for line in lines]
    return [
        f"{mark}{' ' * (len(said) - len(said.lstrip(' ')))}{clean}"
        for said, clean in read
        if is_visible(clean)
    ]


def _fitting(lines: list[str], room: int, mark: str) -> str:
    """As many of the lines as there is room for."""
    whole = "\n".join(lines)
    if len(whole) <= room:
        return whole
    sign = f"{mark}{GOES_ON}"
    return f"{_cut(whole, max(room - len(sign) - 1, 1)).rstrip('>')}\n{sign}"


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut between two words where there is a gap near the end."""
    if len(text) <= limit:
        return text
    short = text[: limit - 1]
    gap = max(short.rfind(" "), short.rfind("\n"))
    return (short[:gap] if gap > limit * 0.6 else short).rstrip() + "…"
