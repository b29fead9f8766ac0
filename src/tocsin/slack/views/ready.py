"""Views whose JSON is at hand: a form stays the same, and Slack's SDK takes milliseconds to make it.

The SDK looks at every name of every object to check it (slack_sdk, `JsonObject.validate_json`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tocsin.incidents.model import Form

Json = dict[str, Any]
KEPT = 8


class ReadyView(View):
    """A view that is its JSON."""

    def __init__(self, json: Json) -> None:
        super().__init__(type=json["type"], callback_id=json["callback_id"])
        self._json = json

    def to_dict(self, *_: Any) -> Json:
        return self._json


class Same:
    """A form as a key: the same object, whatever is in it."""

    def __init__(self, form: Form, draw: Callable[[Form, bool], View]) -> None:
        self.form, self.draw = form, draw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.form is self.form

    def __hash__(self) -> int:
        return id(self.form)


@lru_cache(maxsize=KEPT)
def blank(form: Same, expanded: bool) -> Json:
    """The JSON of a form with nothing in it; made once for each form that the backend gives out."""
    return form.draw(form.form, expanded).to_dict()


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
