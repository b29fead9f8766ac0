"""One word for one thing: the glossary's terms are used, and the words that they replace are read nowhere."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from measures import nodes_of
from support.markdown import DOCS, ROOT, Row, outside_code, read

from tocsin.cli import cli
from tocsin.config import IncidentConfig
from tocsin.slack import commands, routes
from tocsin.slack.views import samples

pytestmark = pytest.mark.house

GLOSSARY = DOCS / "glossary.md"

THEIRS = {DOCS / "coming.md", DOCS / "devrev.md", DOCS / "proven.md", GLOSSARY}
"""Pages that quote the words of other tools, or are about tests of ours."""

UNREAD = ROOT / "tests" / "data" / "persisted.json"
"""Names of steps and workflows, which outlive a process and are read by none but developers."""

NAMES = {"add tasks", "tasks added", "headline, source or announcement", "TOCSIN_CONFIG [[tasks]]"}
"""Strings that only programs read, and the key of the configuration."""

SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|WHERE|JOIN)\b")

TYPED = {"verb_or_name.py", "message_name.py"}
"""Modules whose strings are words that people type, or that the alerts of other programs have."""


def glossary() -> list[Row]:
    """The rows of the three tables: the term, its meaning, its places, and the words that it replaces."""
    rows = []
    for part in re.split(r"^## ", read(GLOSSARY), flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
        rows += [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return rows


@cache
def readings() -> dict[str, str]:
    """Everything that people read, by where it is."""
    pages = [page for page in (ROOT / "README.md", *DOCS.glob("*.md")) if page not in THEIRS]
    return {
        **{page.name: _prose(page) for page in pages},
        **{str(path.relative_to(ROOT)): _sentences(path) for path in _modules()},
        **{path.name: _visible(path) for path in ROOT.glob("src/tocsin/web/templates/*.html")},
        "views": "\n".join(_views()),
        "command line": "\n".join(_helps(typer.main.get_command(cli))),
    }


def _prose(page: Path) -> str:
    return re.sub(r"\]\([^)]*\)", "]", outside_code(read(page)))


def _modules() -> Iterator[Path]:
    for path in sorted((ROOT / "src" / "tocsin").rglob("*.py")):
        if path.name not in TYPED:
            yield path


def _sentences(path: Path) -> str:
    """The strings of a module with several words; docstrings, SQL and names of steps are not among them."""
    nodes = nodes_of(path)
    told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    kept = read(UNREAD)
    strings = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in told]
    words = [one.value for one in strings if isinstance(one.value, str) and " " in one.value.strip()]
    words = [text for text in words if not SQL.search(text)]
    return "\n".join(text for text in words if text not in NAMES and f'"{text}"' not in kept)


def _visible(path: Path) -> str:
    return re.sub(r"\{[%{#].*?[#%}]\}|<[^>]*>", " ", read(path), flags=re.DOTALL)


def _views() -> Iterator[str]:
    form = IncidentConfig().form()
    for _, view in (*samples.modals(form), *samples.messages(form, tuple(routes.help_anywhere()))):
        yield from _texts(json.loads(json.dumps(view)))


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("text"), str):
            yield found["text"]
        for inner in found.values():
            yield from _texts(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from _texts(inner)


def _helps(command: Any) -> Iterator[str]:
    yield command.help or ""
    yield from (one.help for one in command.params if getattr(one, "help", None))
    for inner in getattr(command, "commands", {}).values():
        yield from _helps(inner)


def test_a_term_is_explained_once_and_used() -> None:
    rows = glossary()
    assert [row for row in rows if len(row) != 4 or not all(row)] == []
    terms = [row[0].casefold() for row in rows]
    assert len(terms) == len(set(terms)) >= 45
    everything = "\n".join(readings().values()).casefold()
    assert [term for term in terms if not re.search(rf"\b{re.escape(term)}", everything)] == []


def test_a_word_that_a_term_replaces_is_read_nowhere() -> None:
    replaced = {word: row[0] for row in glossary() for word in row[3].split(", ")}
    found = [
        f"{place}: “{match[0]}” where the term is “{term}”"
        for place, text in readings().items()
        for word, term in replaced.items()
        for match in re.finditer(rf"\b{re.escape(word)}s?\b", " ".join(text.split()), re.IGNORECASE)
    ]
    assert found == []


def test_the_place_of_a_term_is_one_that_there_is() -> None:
    verbs = re.findall(r"`/incident ([a-z-]+)`", " ".join(row[2] for row in glossary()))
    assert set(verbs) <= set(commands.SPELLINGS)
    buttons = set(re.findall(r"\*([^*]+)\*", " ".join(row[2] for row in glossary())))
    shown = "\n".join(readings().values())
    assert [button for button in buttons if button not in shown] == []
