"""Search for mentions that notify users, so that tests can assert that an app's message has none."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

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
