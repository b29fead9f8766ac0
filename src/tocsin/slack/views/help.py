"""What `/incident help` says: what can be done here first, then what can be done anywhere."""

from __future__ import annotations

from collections.abc import Iterable

from slack_sdk.models.blocks import Block

from tocsin.slack.views.kit import escape, paragraph, sections_of

Lines = Iterable[tuple[str, str]]


def help_message(*parts: tuple[str, Lines]) -> tuple[str, list[Block]]:
    """Each part with its heading, one way in a line: what to type or pick, and what it does."""
    said: list[str] = []
    blocks: list[Block] = []
    for heading, lines in parts:
        rows = [f"• {_marked(what)}  {escape(does)}" for what, does in lines]
        if rows:
            said += [f"*{escape(heading)}*", *rows]
            blocks += [paragraph(text) for text in sections_of([f"*{escape(heading)}*", *rows])]
    return "\n".join(said), blocks


def _marked(what: str) -> str:
    """What is typed looks like typing; what is picked from a menu is only bold."""
    return f"`{escape(what)}`" if what.startswith("/") else f"*{escape(what)}*"
