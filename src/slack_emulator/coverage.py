"""Slack's methods and events, those that are here and those that are not, as tables for the README."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from slack_emulator.events import SENT_EVENTS
from slack_emulator.scopes import SCOPES_OF_EVENT
from slack_emulator.web_api import METHODS
from slack_emulator.web_api.oauth import OPEN_METHODS
from slack_emulator.web_api.slack_methods import SLACK_METHODS


def readme_tables() -> dict[str, str]:
    """Returns the README's tables in Markdown, each under its heading."""
    there = {*METHODS, *OPEN_METHODS}
    return {
        "### Methods": _methods(there, SLACK_METHODS - there),
        "### Events": _events(SENT_EVENTS, set(SCOPES_OF_EVENT) - SENT_EVENTS),
    }


def _events(sent: Iterable[str], never: Iterable[str]) -> str:
    rows = [("sent", sent), ("never sent", never)]
    return "\n".join(["| | |", "|---|---|", *(f"| {how} | {_names(sorted(which))} |" for how, which in rows)])


def _methods(there: Iterable[str], lacking: Iterable[str]) -> str:
    """A row for each family; of families that are not here at all, one row together."""
    here, not_here = _families(there), _families(lacking)
    rows = ["| | there | answered as not there |", "|---|---|---|"]
    for family in sorted(here):
        rows.append(f"| `{family}` | {_names(here[family])} | {_names(not_here.get(family, []))} |")
    elsewhere = sorted(family for family in not_here if family not in here)
    rows.append(f"| *all others* | | {_names(elsewhere)} |")
    return "\n".join(rows)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _families(names: Iterable[str]) -> dict[str, list[str]]:
    families: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        family, _, rest = name.partition(".")
        families[family].append(rest)
    return families
