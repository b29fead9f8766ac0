"""`tocsin docs` as a person meets it: in a terminal, in a pipe, and with a name that is no page's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.terminal import Terminal

from tocsin import manual

pytestmark = pytest.mark.process

DOCS = Path(__file__).parent.parent / "src" / "tocsin" / "docs"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


async def test_docs_lists_every_page_with_its_reader(terminal: Terminal) -> None:
    listed = await terminal.run("docs")
    assert (listed.code, listed.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in listed.out.splitlines())
    assert lines == {name: manual.reader_of(manual.read_page(name)) for name in manual.PAGES}


async def test_a_page_that_is_piped_is_its_markdown_to_the_letter(terminal: Terminal) -> None:
    for name in manual.PAGES:
        printed = await terminal.run("docs", name)
        assert (printed.code, printed.err) == (0, "")
        assert printed.out == (DOCS / f"{name}.md").read_text(encoding="utf-8")


async def test_an_unknown_page_is_one_sentence_that_names_the_pages(terminal: Terminal) -> None:
    ended = await terminal.run("docs", "nonsense")
    assert (ended.code, ended.out) == (2, "")
    (sentence,) = ended.lines
    assert "'nonsense'" in sentence
    assert all(name in sentence for name in manual.PAGES)


async def test_docs_needs_no_settings_and_minds_no_wrong_ones(terminal: Terminal) -> None:
    printed = await terminal.run("docs", "run", TOCSIN_PORT="none", TOCSIN_BACKEND="none")
    assert printed.code == 0
    assert not terminal.folder().exists()


async def test_help_names_the_manual(terminal: Terminal) -> None:
    helped = await terminal.run("--help")
    assert "tocsin docs" in helped.out


async def test_in_a_terminal_a_page_is_laid_out_and_its_links_are_commands(tmp_path: Path) -> None:
    seen = await asyncio.to_thread(_seen_in_a_terminal, tmp_path, "docs", "run")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert plain != seen
    assert "tocsin docs configure" in plain
    assert "manifests/README.md" in plain
    assert not re.search(r"Traceback|\]\(|^#|^\|", plain, re.MULTILINE)
    assert max(map(len, plain.splitlines())) <= manual.WIDEST


def _seen_in_a_terminal(home: Path, *arguments: str) -> str:
    """All that `tocsin` writes to a terminal of its own, 200 columns wide."""
    screen, inside = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "HOME": str(home)}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "tocsin", *arguments]
    with subprocess.Popen(command, cwd=home, env=environment, stdin=inside, stdout=inside, stderr=inside):
        os.close(inside)
        read = b"".join(_until_it_closes(screen))
    os.close(screen)
    return read.decode()


def _until_it_closes(screen: int) -> Iterator[bytes]:
    """Linux ends a terminal that its last process has left with an error, macOS with nothing."""
    with contextlib.suppress(OSError):
        while chunk := os.read(screen, 65536):
            yield chunk
