"""Validation of modals and Home tabs."""

import json
from collections.abc import Mapping

from slack_emulator.blocks.objects import plain
from slack_emulator.blocks.whole import errors_in
from slack_emulator.grammar import Complaints, Flag, Kinds, Shape, Spec, Words, complaint
from slack_emulator.limits import MOST, VIEW_BYTES


class _Anything:
    """Schema that accepts any value: `errors_in` validates the blocks."""

    def errors(self, value: object, at: str) -> Complaints:
        return iter(())


_EITHER: dict[str, Spec] = {
    "private_metadata": Words(MOST["view.private_metadata"], least=0),
    "callback_id": Words(MOST["view.callback_id"], least=0),
    "external_id": Words(MOST["view.external_id"], least=0),
}
# Slack, views reference. Home tabs have neither title nor buttons.
_VIEW = Kinds(
    {
        "modal": Shape(
            {"title": plain(MOST["view.title"]), "blocks": _Anything()},
            {
                **_EITHER,
                "submit": plain(MOST["view.submit"]),
                "close": plain(MOST["view.close"]),
                "clear_on_close": Flag(),
                "notify_on_close": Flag(),
            },
        ),
        "home": Shape({"blocks": _Anything()}, _EITHER),
    }
)


def view_errors(view: object) -> list[str]:
    """Return the errors for which views.open, push, update and publish refuse a view; [] if it is valid.

    Includes the size, for which Slack's own error code is `view_too_large`.
    """
    found = list(_VIEW.errors(view, "/view"))
    if not isinstance(view, dict) or str(view.get("type")) not in _VIEW.shapes:
        return found
    if "blocks" in view:
        found += errors_in(view["blocks"], view["type"], "/view/blocks")
    found += _submit(view)
    if view_too_large(view):
        found.append(complaint(f"view must be at most {VIEW_BYTES} bytes", "/view"))
    return found


def view_too_large(view: object) -> bool:
    """True if the view is over 250 KB of JSON (Slack, views.open: `view_too_large`)."""
    return len(json.dumps(view, ensure_ascii=False).encode("utf-8", "surrogatepass")) > VIEW_BYTES


def _submit(view: Mapping[str, object]) -> Complaints:
    blocks = view.get("blocks")
    kinds = (
        [block.get("type") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    )
    if view["type"] == "modal" and "input" in kinds and "submit" not in view:
        yield complaint("must define `submit` to use an `input` block in modals", "/view")
