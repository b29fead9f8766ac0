"""What `/incident help` says."""

from __future__ import annotations

from collections.abc import Iterable

from slack_sdk.models.blocks import Block

from tocsin.slack.views.kit import escape, paragraph


def help_message(lines: Iterable[tuple[str, str]]) -> tuple[str, list[Block]]:
    """Every way in, one a line: what to type or pick, and what it does."""
    said = "\n".join(f"• {_marked(what)}  {escape(does)}" for what, does in lines)
    return said, [paragraph(said)]


def _marked(what: str) -> str:
    """What is typed looks like typing; what is picked from a menu is only bold."""
    return f"`{escape(what)}`" if what.startswith("/") else f"*{escape(what)}*"
