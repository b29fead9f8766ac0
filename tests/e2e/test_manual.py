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
from typer.testing import CliRunner

from tocsin import manual
from tocsin.cli import cli

DOCS = Path(__file__).parent.parent.parent / "src" / "tocsin" / "docs"


def ran(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """The exit code, output and errors of `tocsin` with these arguments, in a pipe."""
    ended = CliRunner().invoke(cli, list(arguments), env=settings)
    return ended.exit_code, ended.stdout, ended.stderr


def test_docs_lists_every_page_with_its_reader() -> None:
    code, out, err = ran("docs")
    assert (code, err) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == {name: manual.reader_of(manual.read_page(name)) for name in manual.PAGES}


@pytest.mark.parametrize("name", manual.PAGES)
def test_a_page_that_is_piped_is_its_markdown_to_the_letter(name: str) -> None:
    assert ran("docs", name) == (0, (DOCS / f"{name}.md").read_text(encoding="utf-8"), "")


def test_an_unknown_page_is_one_sentence_that_names_the_pages() -> None:
    code, out, err = ran("docs", "nonsense")
    assert (code, out) == (2, "")
    (sentence,) = err.splitlines()
    assert "'nonsense'" in sentence
    assert all(name in sentence for name in manual.PAGES)


def test_docs_needs_no_settings_and_minds_no_wrong_ones() -> None:
    code, _, err = ran("docs", "run", TOCSIN_PORT="none", TOCSIN_BACKEND="none")
    assert (code, err) == (0, "")


def test_help_names_the_manual() -> None:
    _, out, _ = ran("--help")
    assert "tocsin docs" in out


@pytest.mark.process
async def test_in_a_terminal_a_page_is_laid_out_and_its_links_are_commands(tmp_path: Path) -> None:
    seen = await asyncio.to_thread(_seen_in_a_terminal, tmp_path, "docs", "run")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert plain != seen
    assert "tocsin docs configure" in plain
    assert "manifests/README.md" in plain
    assert not re.search(r"Traceback|\]\(|^#|^\|", plain, re.MULTILINE)
    assert max(map(len, plain.splitlines())) <= manual.WIDEST


def test_a_link_reads_as_a_command_or_as_a_path_in_the_repository() -> None:
    page = (
        "[DevRev](devrev.md#settings), [tests/README.md](../../../tests/README.md#campaigns), "
        "[the emulator](../../slack_emulator/README.md), [Litestream](https://litestream.io)"
    )
    assert manual.for_terminal(page) == (
        "DevRev (`tocsin docs devrev`), `tests/README.md`, "
        "the emulator (`src/slack_emulator/README.md`), [Litestream](https://litestream.io)"
    )


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
