"""What has its JSON at hand: a form stays the same, a card is shown in many places, and the SDK is slow.

It looks at every name of every object to check it (slack_sdk, `JsonObject.validate_json`), for milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form, Incident

T = TypeVar("T", Form, Incident)
Json = dict[str, Any]
KEPT = 8
CARDS_KEPT = 64
"""More than are declared or changed at one time."""


class ReadyView(View):
    """A view that is its JSON."""

    def __init__(self, json: Json) -> None:
        # Its parts are in the JSON alone; the SDK would look at each of them.
        self._json = json

    def to_dict(self, *_: Any) -> Json:
        return self._json


class ReadyBlock(Block):
    """A block that is its JSON."""

    def __init__(self, json: Json) -> None:
        super().__init__(type=json["type"], block_id=json.get("block_id"))
        self._json = json

    def to_dict(self, *_: Any) -> Json:
        return self._json


class Same(Generic[T]):
    """A form or an incident as a key: the same object, whatever is in it. Nobody changes either."""

    def __init__(self, thing: T, draw: Callable[..., Any]) -> None:
        self.thing: T = thing
        self.draw = draw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


@lru_cache(maxsize=KEPT)
def blank(form: Same[Form], expanded: bool) -> Json:
    """The JSON of a form with nothing in it; made once for each form that the backend gives out."""
    json: Json = form.draw(form.thing, expanded).to_dict()
    return json


@lru_cache(maxsize=CARDS_KEPT)
def drawn(incident: Same[Incident]) -> tuple[Block, ...]:
    """The blocks of a card; made once, however many places the incident is shown in."""
    return tuple(ReadyBlock(block.to_dict()) for block in incident.draw(incident.thing))


def filled_in(
    form: Json,
    texts: Mapping[str, str],
    metadata: str,
    *,
    above: Sequence[Block],
    below_name: Sequence[Block],
) -> View:
    """A blank form with texts in its inputs, and blocks above it all and below the name."""
    blocks: list[Json] = [block.to_dict() for block in above]
    for block in form["blocks"]:
        text = texts.get(block.get("block_id", ""))
        blocks.append({**block, "element": {**block["element"], "initial_value": text}} if text else block)
        if block.get("block_id") == "name":
            blocks += [block.to_dict() for block in below_name]
    return ReadyView({**form, "blocks": blocks, "private_metadata": metadata})
