"""The manual: Markdown pages that are installed with the package, for `tocsin docs` to list and print."""

from __future__ import annotations

import posixpath
import re
import sys
from importlib.resources import files

PAGES = (
    *(
        "use",
        "people",
        "coming",
        "workflow_builder",
        "run",
        "configure",
        "rules",
        "tasks",
        "alerts",
        "webhooks",
        "api",
        "incident_io",
        "devrev",
    ),
    *("operate", "files", "replicas", "upgrading", "changelog", "proven", "build"),
)
"""In the order of a reader who begins with Tocsin and ends by changing it."""

WIDEST = 110
"""Columns of a page in a terminal: longer lines are hard to read."""

_FOLDER = "src/tocsin/docs"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)[^)]*\)")


def read_page(name: str) -> str:
    """The Markdown text of one of PAGES."""
    return (files("tocsin") / "docs" / f"{name}.md").read_text(encoding="utf-8")


def read_example() -> str:
    """The example of the configuration file, in TOML, with every table and key."""
    return (files("tocsin") / "docs" / "tocsin.example.toml").read_text(encoding="utf-8")


def reader_of(text: str) -> str:
    """The line below the page's title, which says for whom the page is."""
    return text.splitlines()[2]


def page_list() -> str:
    """Every page with its reader, one a line."""
    width = max(map(len, PAGES)) + 2
    return "\n".join(f"{name:{width}}{reader_of(read_page(name))}" for name in PAGES)


def for_terminal(text: str) -> str:
    """The page with links that a person in a terminal can follow: commands, and paths in the repository."""
    return _LINK.sub(_followed, text)


def _followed(link: re.Match[str]) -> str:
    words, target = link.groups()
    if "://" in target:
        return link[0]
    if "/" not in target:
        return f"{words} (`tocsin docs {target.removesuffix('.md')}`)"
    path = posixpath.normpath(f"{_FOLDER}/{target}")
    return f"`{path}`" if words == path else f"{words} (`{path}`)"


def print_page(name: str) -> None:
    """Print a page: laid out for a terminal, and as the Markdown that it is for a file or another program."""
    text = read_page(name)
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(for_terminal(text), hyperlinks=False), width=min(console.width, WIDEST))
