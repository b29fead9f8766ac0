"""A message as the timeline keeps it: what it says, whose it is, and links to what was attached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin.incidents.requests import TEXT_LIMIT
from tocsin.incidents.rules import cleaned
from tocsin.slack.views.kit import shortened
from tocsin.slack.views.source import Names, author, message_text


def kept_text(message: Mapping[str, Any], permalink: str | None, names: Names) -> str:
    """The message in plain text, its author, and its address; a file by its own link, never made public.

    Slack, file object: `permalink` opens for those who may see the file, and for nobody else.
    """
    said = cleaned(message_text({**message, "files": None}, names), lines=True)
    files = "\n".join(_files(message))
    ending = " ".join(filter(None, ["—", author(message, names), permalink]))
    room = TEXT_LIMIT - len(files) - len(ending) - 2
    return "\n".join(filter(None, [shortened(said, max(room, 1)), files, ending]))


def _files(message: Mapping[str, Any]) -> Iterator[str]:
    files = message.get("files")
    for file in files[:5] if isinstance(files, list) else []:
        if isinstance(file, dict):
            name = cleaned(str(file.get("title") or file.get("name") or "File"))
            link = str(file.get("permalink") or "")
            yield f"{shortened(name, 100)} {link[:300]}".rstrip()
