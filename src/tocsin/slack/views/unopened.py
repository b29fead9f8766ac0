"""What somebody reads whose form Slack did not open, with a button that opens it as it would have been."""

from __future__ import annotations

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement

from tocsin.slack.views.context import FormContext
from tocsin.slack.views.kit import escape, paragraph, plain, shortened

MOST_SHOWN = 2900
"""Characters of what was typed that are shown (Slack, section block: 3000)."""


def unopened_message(
    why: str, typed: str, context: FormContext, again: tuple[str, str] | None = None
) -> tuple[str, list[Block]]:
    """`context` has the name and the summary that the form is to be filled with; `typed` is shown.

    With `again`, the action and the value of a button that was pressed, that one is offered again.
    """
    said = f":warning: The form could not be opened: {escape(why)}. Nothing was declared."
    shown = f"You had typed: {escape(typed)}" if typed else ""
    action, value = again or ("open_form", context.packed_small())
    if not typed and not again and FormContext.read(value).summary != context.summary:
        shown = f"Not all of this fits into the form again: {escape(context.summary)}"
    button = ButtonElement(action_id=action, text=plain("Open the form"), value=value, style="primary")
    blocks: list[Block] = [paragraph(part) for part in (said, shortened(shown, MOST_SHOWN)) if part]
    return " ".join(filter(None, [said, shown])), [
        *blocks,
        ActionsBlock(block_id="unopened", elements=[button]),
    ]
