"""The plain text of a Slack message of any kind, for a name, a summary or the timeline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from tocsin.incidents.requests import NAME_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT
from tocsin.incidents.validation import clean_text, is_visible
from tocsin.slack.views.block_text import ASIDE, BODY, DETAIL, dicts, of_blocks, of_text, pair
from tocsin.slack.views.message_name import SAID_BY, as_name, choose
from tocsin.slack.views.mrkdwn_text import (
    Line,
    Names,
    Span,
    linked,
    of_code,
    of_mrkdwn,
    of_plain,
    unescaped,
)

# A message to lines: its text, blocks, attachments and files.

Json = Mapping[str, Any]

BEFORE = 1
"""Rank of lines that introduce the text, such as the sentence above an attachment."""

NO_PREVIEW = "[no preview available]"
_DELETED = frozenset({"tombstone", "message_deleted"})
_UNTITLED = frozenset({"", "untitled", "untitled.txt"})
_LOOKED_AT = 100
"""Lines of a message that are searched for what an announcement is about."""

_PROFILE = re.compile(r"https://[a-z0-9.-]+\.slack(?:-gov)?\.com/team/")
_APP = re.compile(r"/(?:services|apps|bots?)/")

_FILES = 5
"""Files that are listed; more are only counted, and can be seen in the message."""


def lines_of(message: Json, names: Names) -> list[Line]:
    """Return all lines that a reader of the message sees, each once, without its files."""
    return [line for part in _parts(message, names) for line in part]


def name_of(message: Json, names: Names) -> str:
    """Return a name for the message: the line of the lowest rank in the first part that has words.

    Details and small print are used only if nothing else in the message has words. A person's line is the
    name as it stands; what an app announces is not if it says more. Returns an empty string if no line has
    words.
    """
    attachments = dicts(message.get("attachments"))
    parts = [*_parts(message, names), _file_lines(message, names)]
    said = _called(parts)
    at, first = next(said, (0, Line()))
    if not first.spans:
        return ""
    is_of_person = not message.get("bot_id") and message.get("subtype") != "bot_message"
    by_people = [is_of_person, *map(_is_of_person, attachments), is_of_person]
    if by_people[at]:
        return first.called
    is_attached = 0 < at <= len(attachments)
    related = {0, at} if is_attached else {0, _first_with_words(parts), len(parts) - 1}
    below = (line.announced for part, line in islice(said, _LOOKED_AT) if part in related)
    return choose(first.announced, below, _thing(attachments[at - 1]) if is_attached else "")


def _called(parts: list[list[Line]]) -> Iterator[tuple[int, Line]]:
    """Yield the lines that can be a name, each after the place of its part.

    In each part they go by rank, and details and small print come last.
    """
    ranked = [
        (at, line) for at, part in enumerate(parts) for line in sorted(part, key=lambda line: line.rank)
    ]
    return ((at, line) for at, line in sorted(ranked, key=lambda one: one[1].rank > BEFORE) if line.called)


def _first_with_words(parts: list[list[Line]]) -> int:
    """Return the place of the first part below the message's own text that says something."""
    return next((at for at, part in enumerate(parts) if at and any(line.called for line in part)), 0)


def _is_of_person(attachment: Json) -> bool:
    """True for the forwarded message of a person: Slack has their id, or links to their profile.

    An app that posts has an id too, but its link leads to the app.
    """
    link = str(attachment.get("author_link") or "")
    has_id = re.fullmatch("[UW][A-Z0-9]+", str(attachment.get("author_id") or ""))
    return bool(_PROFILE.match(link) or (has_id and not _APP.search(link)))


def _thing(attachment: Json) -> str:
    """Return what an attachment is about, if its author is a thing: `deployment/checkout`.

    The name of a person has a link or a picture, or spaces.
    """
    by = str(attachment.get("author_name") or "")
    is_thing = re.fullmatch(r"[^\s/.]+(?:[/.][^\s/.]+)+", by)
    linked_as = ("author_id", "author_link", "author_icon")
    return by if is_thing and not any(map(attachment.get, linked_as)) else ""


def unnamed(message: Json, names: Names) -> frozenset[str]:
    """Return the ids of the mentioned people, user groups and channels whose names are not known."""
    lines = [*lines_of(message, names), *_file_lines(message, names)]
    spans = [span for line in lines for span in line.spans]
    return frozenset(span.target for span in spans if span.kind == "mention" and span.target)


def unnamed_author(message: Json, names: Names) -> frozenset[str]:
    """Return the id of the author if no name of theirs is known; else an empty set."""
    by = message.get("user")
    return frozenset({by}) if isinstance(by, str) and by and not author(message, names) else frozenset()


def author(message: Json, names: Names) -> str:
    """Return the author: the bot's own name, or a person's known name; empty if neither is known."""
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
    """Return the lines of blocks, preceded by those of `text` if none of the former could be a name."""
    if any(line.rank == BODY and line.called for line in lines) or not isinstance(text, str):
        return lines
    said = of_mrkdwn(text, names)
    return [*said, *_new(lines, said)]


def _new(lines: Iterable[Line], said: Iterable[Line]) -> Iterator[Line]:
    """Return the lines that do not repeat an earlier one, compared by letters and digits."""
    before = {_letters(line) for line in said} - {""}
    return (line for line in lines if _letters(line) not in before)


def _letters(line: Line) -> str:
    return "".join(filter(str.isalnum, "".join(span.text or span.target for span in line.spans))).casefold()


def _of_attachment(attachment: Json, names: Names) -> list[Line]:
    """Return an attachment's lines in the order in which Slack shows them (Slack, secondary attachments)."""
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
    """Return the lines of the attachment's fallback, without a leading *[date] author:*.

    Slack gives an attachment that has only blocks a fallback of its own, which says nothing.
    """
    fallback = str(attachment.get("fallback") or "")
    return [] if fallback == NO_PREVIEW else of_mrkdwn(SAID_BY.sub("", fallback, count=1), names)


def _title(attachment: Json, names: Names) -> list[Line]:
    title, address = attachment.get("title"), attachment.get("title_link")
    lines = of_text(title, names)
    if lines and isinstance(address, str) and address:
        spoken = [span for span in lines[0].spans if span.kind != "emoji"] or lines[0].spans
        lines[0] = Line((linked(address, "".join(span.text for span in spoken)),))
    return lines


def _body(attachment: Json, names: Names) -> list[Line]:
    """Return the lines of an attachment's blocks and messages, or of its text if those have no words."""
    forwarded = [
        line
        for shared in dicts(attachment.get("message_blocks"))
        if isinstance(shared.get("message"), dict)
        for line in of_blocks(shared["message"].get("blocks"), names)
    ]
    return _instead([*of_blocks(attachment.get("blocks"), names), *forwarded], attachment.get("text"), names)


def _is_headed(attachment: Json, body: list[Line], above: list[Line], names: Names) -> bool:
    """True if the attachment's text, and not the sentence above it, should give the name.

    The fallback stands for the whole attachment: if it contains only one of the two, that one does. Else
    the text does if it begins with bold words, or if the sentence above ends with a colon.
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
    """Return each file's title and link, with the text of an e-mail or a snippet."""
    files = dicts(message.get("files"))
    lines = [line for file in files[:_FILES] for line in _of_file(file, names)]
    more = len(files) - _FILES
    return [*lines, Line((Span("words", f"and {more} more files"),))] if more > 0 else lines


def _of_file(file: Json, names: Names) -> list[Line]:
    """Return a file's lines (Slack, file object: `permalink` opens only for people who may see the file)."""
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
    """Return the text of a snippet, a post or a transcription, as far as Slack sends it."""
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
    """Return subject, sender and text of an e-mail that was sent into a channel (Slack, file object)."""
    subject = as_name(
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


# A message as the name and summary of an incident, or as an entry of a timeline.

GOES_ON = "… (the message goes on)"
_ENDING_LIMIT = 1000


def name_and_summary(message: Mapping[str, Any], permalink: str | None, names: Names) -> tuple[str, str]:
    """Return a name for the message, and all of it as a quotation with its author and its link.

    `names` are the known names of people, user groups and channels, by Slack id.
    """
    name = _cut(clean_text(name_of(message, names)), NAME_LIMIT)
    return name, _retold(message, permalink, names, SUMMARY_LIMIT, "> ")


def kept_text(
    message: Mapping[str, Any], permalink: str | None, names: Names, limit: int = TEXT_LIMIT
) -> str:
    """Return the message as plain text, with its files' links, its author and its permalink."""
    return _retold(message, permalink, names, limit, "")


def _retold(message: Mapping[str, Any], permalink: str | None, names: Names, limit: int, mark: str) -> str:
    """Return all lines, each after `mark`, then files, author and permalink; notes if some did not fit."""
    whose = " ".join(filter(None, [clean_text(author(message, names))[:100], permalink]))
    ending = f"— {whose}" if whose else ""
    room = limit - len(ending) - 1
    files = _fitting(_read(file_lines(message, names), mark), min(room, _ENDING_LIMIT), mark)
    said = _fitting(_read(lines_of(message, names), mark), room - len(files) - 1, mark)
    return "\n".join(filter(None, [said, files, ending]))[:limit]


def _read(lines: list[Line], mark: str) -> list[str]:
    """Return each line as plain text after `mark`, with its indentation."""
    read = [(line.read, clean_text(line.read, lines=True).replace("\n", " ")) for line in lines]
    return [
        f"{mark}{' ' * (len(said) - len(said.lstrip(' ')))}{clean}"
        for said, clean in read
        if is_visible(clean)
    ]


def _fitting(lines: list[str], room: int, mark: str) -> str:
    """Return as many lines as fit into `room` characters, with a note if some were cut."""
    whole = "\n".join(lines)
    if len(whole) <= room:
        return whole
    sign = f"{mark}{GOES_ON}"
    return f"{_cut(whole, max(room - len(sign) - 1, 1)).rstrip('>')}\n{sign}"


def _cut(text: str, limit: int) -> str:
    """Return at most `limit` characters, cut between two words if there is a gap near the end."""
    if len(text) <= limit:
        return text
    short = text[: limit - 1]
    gap = max(short.rfind(" "), short.rfind("\n"))
    return (short[:gap] if gap > limit * 0.6 else short).rstrip() + "…"
