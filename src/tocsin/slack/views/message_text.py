"""The plain text of a Slack message of any kind, for a name, a summary or the timeline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT
from tocsin.incidents.validation import cleaned, is_visible
from tocsin.slack.views.block_text import ASIDE, BODY, DETAIL, dicts, of_blocks, of_text, pair
from tocsin.slack.views.mrkdwn import (
    SAID_BY,
    Line,
    Names,
    Span,
    called,
    linked,
    of_code,
    of_mrkdwn,
    of_plain,
    unescaped,
)

# A message of any kind, read into lines: its text, blocks, attachments and files.

Json = Mapping[str, Any]

BEFORE = 1
"""Rank of what leads up to the matter, such as the sentence above an attachment."""

_DELETED = frozenset({"tombstone", "message_deleted"})
_UNTITLED = frozenset({"", "untitled", "untitled.txt"})
_FILES = 5
"""Files that are named; who wants more of them opens the message."""


def lines_of(message: Json, names: Names) -> list[Line]:
    """All that a reader sees of it, each line once; its files are not among it."""
    return [line for part in _parts(message, names) for line in part]


def name_of(message: Json, names: Names) -> str:
    """What it would be called: of its parts the first that has words, of these what matters most."""
    parts = [*_parts(message, names), _file_lines(message, names)]
    for most in (BEFORE, ASIDE):
        for part in parts:
            for line in sorted(part, key=lambda line: line.rank):
                if line.rank <= most and (said := line.called):
                    return said
    return ""


def unnamed(message: Json, names: Names) -> frozenset[str]:
    """Ids of the people, user groups and channels that it mentions and whose names are not known."""
    lines = [*lines_of(message, names), *_file_lines(message, names)]
    spans = [span for line in lines for span in line.spans]
    return frozenset(span.target for span in spans if span.kind == "mention" and span.target)


def unnamed_author(message: Json, names: Names) -> frozenset[str]:
    """The id of who wrote it, where nothing else is known of them."""
    by = message.get("user")
    return frozenset({by}) if isinstance(by, str) and by and not author(message, names) else frozenset()


def author(message: Json, names: Names) -> str:
    """Who wrote it: the bot's own name, or the name we know; empty where neither is there."""
    profile = message.get("bot_profile")
    named = message.get("username") or (profile.get("name") if isinstance(profile, dict) else None)
    known = names.get(str(message.get("user") or ""))
    return str(named) if named else f"@{known}" if known else ""


def _parts(message: Json, names: Names) -> list[list[Line]]:
    if str(message.get("subtype")) in _DELETED:
        return []
    room = message.get("room")
    call = of_plain(str(room.get("name") or ""), names) if isinstance(room, dict) else []
    said = [*call, *_instead(list(of_blocks(message.get("blocks"), names)), message.get("text"), names)]
    parts = [said]
    for attachment in dicts(message.get("attachments")):
        lines = _of_attachment(attachment, names)
        if not lines or not any(line.called for line in [*said, *_matter(lines)]):
            lines = [*_new(_fallback(attachment, names), lines), *lines]
        parts.append(list(_new(lines, said)))
    return parts


def _instead(lines: list[Line], text: object, names: Names) -> list[Line]:
    """Lines of blocks; of the text that stands for them, where nothing in them could be a name."""
    if any(line.rank == BODY and line.called for line in lines) or not isinstance(text, str):
        return lines
    said = of_mrkdwn(text, names)
    return [*said, *_new(lines, said)]


def _new(lines: Iterable[Line], said: Iterable[Line]) -> Iterator[Line]:
    """The lines that have not been said before, by their letters and digits."""
    before = {_letters(line) for line in said} - {""}
    return (line for line in lines if _letters(line) not in before)


def _letters(line: Line) -> str:
    return "".join(filter(str.isalnum, "".join(span.text or span.target for span in line.spans))).casefold()


def _of_attachment(attachment: Json, names: Names) -> list[Line]:
    """Lines in the order in which Slack shows them (Slack, secondary attachments)."""
    above = [line._replace(rank=BEFORE) for line in of_text(attachment.get("pretext"), names)]
    title = _title(attachment, names)
    body = _body(attachment, names)
    if above and not title and not _is_headed(attachment, body, above, names):
        above = [line._replace(rank=BODY) for line in above]
    lines: list[Line] = []
    by = of_plain(str(attachment.get("author_name") or ""), names)
    for part in (above, [line._replace(rank=ASIDE) for line in by], title, body, _fields(attachment, names)):
        lines += list(_new(part, lines))
    for file in dicts(attachment.get("files")):
        lines += _new(_of_file(file, names), lines)
    footer = [line._replace(rank=ASIDE) for line in of_text(attachment.get("footer"), names)]
    return [*lines, *_new(footer, lines)]


def _matter(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.rank <= BEFORE]


def _fallback(attachment: Json, names: Names) -> list[Line]:
    """What stands for the attachment where it cannot be shown, without *[date] somebody:* before it."""
    return of_mrkdwn(SAID_BY.sub("", str(attachment.get("fallback") or ""), count=1), names)


def _title(attachment: Json, names: Names) -> list[Line]:
    title, address = attachment.get("title"), attachment.get("title_link")
    lines = of_text(title, names)
    if lines and isinstance(address, str) and address:
        first = "".join(span.text for span in lines[0].spans)
        lines[0] = Line((linked(address, first),))
    return lines


def _body(attachment: Json, names: Names) -> list[Line]:
    """Blocks, what was forwarded, or the text, whichever has words."""
    forwarded = [
        line
        for shared in dicts(attachment.get("message_blocks"))
        if isinstance(shared.get("message"), dict)
        for line in of_blocks(shared["message"].get("blocks"), names)
    ]
    return _instead([*of_blocks(attachment.get("blocks"), names), *forwarded], attachment.get("text"), names)


def _is_headed(attachment: Json, body: list[Line], above: list[Line], names: Names) -> bool:
    """Whether the text says what the matter is, rather than the sentence above it.

    The fallback, which stands for the whole attachment, tells; else a text that begins with bold words.
    """
    first = next((line.called for line in body if line.called), "")
    lead = next((line.called for line in above if line.called), "")
    leads_up = above[-1].read.rstrip().endswith(":") if above else False
    if not first or not lead:
        return bool(first)
    fallback = " ".join(line.read for line in _fallback(attachment, names))
    in_fallback = [said.casefold() in fallback.casefold() for said in (first, lead)]
    if in_fallback[0] != in_fallback[1]:
        return in_fallback[0]
    return str(attachment.get("text") or "").lstrip().startswith("*") or leads_up


def _fields(attachment: Json, names: Names) -> list[Line]:
    return [
        line
        for field in dicts(attachment.get("fields"))
        for line in pair(
            str(field.get("title") or ""), of_text(str(field.get("value") or "").strip(), names), names
        )
    ]


def _file_lines(message: Json, names: Names) -> list[Line]:
    return [line for file in dicts(message.get("files")) for line in _of_file(file, names)]


def file_lines(message: Json, names: Names) -> list[Line]:
    """Each file by its title and its own link, with what an e-mail or a snippet says."""
    files = dicts(message.get("files"))
    lines = [line for file in files[:_FILES] for line in _of_file(file, names)]
    more = len(files) - _FILES
    return [*lines, Line((Span("words", f"and {more} more files"),))] if more > 0 else lines


def _of_file(file: Json, names: Names) -> list[Line]:
    """Slack, file object: `permalink` opens for those who may see the file, and for nobody else."""
    if file.get("mode") == "email":
        return _of_email(file, names)
    said = of_plain(_first(file, "title", "name"), names)
    title = "" if not said or said[0].read.casefold() in _UNTITLED else said[0].read
    lines = _preview(file, names)
    address = file.get("permalink") or file.get("external_url") or ""
    if title or (lines and address):
        link = (Span("words", " "), Span("link", "", str(address)[:300])) if address else ()
        rank = BODY if title and not file.get("transcription") else ASIDE
        lines = [Line((Span("words", f"File: {title or 'untitled'}"), *link), rank=rank), *lines]
    return lines


def _preview(file: Json, names: Names) -> list[Line]:
    """What a snippet, a post or a spoken message says, as far as Slack tells."""
    spoken = file.get("transcription")
    spoken = spoken.get("preview") if isinstance(spoken, dict) else None
    if isinstance(spoken, dict) and spoken.get("content"):
        return [*of_plain(str(spoken["content"]), names)]
    preview = file.get("preview")
    if str(file.get("mode")) not in {"snippet", "post", "space"} or not isinstance(preview, str):
        return []
    if file.get("mode") == "snippet":
        return of_code(preview, names)
    return [line._replace(rank=DETAIL) for line in of_plain(re.sub(r"<[^<>]{0,200}>", "", preview), names)]


def _of_email(file: Json, names: Names) -> list[Line]:
    """Slack, file object: an e-mail that was sent into a channel has its subject, sender and text."""
    subject = called(
        re.sub(r"^(?:(?:re|fwd?|aw|wg)\s*:\s*)+", "", _first(file, "subject", "title"), flags=re.I)
    )
    senders = [
        _first(sender, "original")
        or " ".join(filter(None, [_first(sender, "name"), _first(sender, "address")]))
        for sender in dicts(file.get("from"))
    ]
    text = _first(file, "plain_text", "preview_plain_text")
    address = _first(file, "permalink")[:300]
    lines = [Line((Span("words", unescaped(subject)),))] if subject else []
    if senders:
        lines.append(Line((Span("words", f"From: {unescaped(', '.join(senders))}"),), rank=ASIDE))
    lines += [line._replace(rank=DETAIL) for line in of_plain(text, names)]
    return [*lines, Line((Span("words", "E-mail: "), linked(address, "")), rank=ASIDE)] if address else lines


def _first(of: Json, *keys: str) -> str:
    return next((str(of[key]) for key in keys if of.get(key)), "")


# The message an incident is declared from, or that its timeline keeps, in the words of those who read it.

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
