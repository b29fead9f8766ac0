"""Damaged files end the start in one clear line and exit code 2, and are left exactly as they were."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from support.declarations import Ticking, full_declaration
from support.terminal import Terminal

from reliability.hostile.sizes import sizes
from tocsin.backends.local import LocalBackend
from tocsin.config import IncidentConfig
from tocsin.data_dir import open_database
from tocsin.resources import open_resources
from tocsin.settings import ConfigurationError, read_settings


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three incidents and a journal, each one whole file."""
    folder = tmp_path_factory.mktemp("sound")

    async def fill() -> None:
        path = folder / "incidents.db"
        backend = await LocalBackend.open(path, IncidentConfig(), public_url="http://x", clock=Ticking())
        for number in range(3):
            await backend.create(full_declaration(f"key-{number}"))
        await backend.close()

    asyncio.run(fill())
    open_database(f"sqlite:///{folder / 'journal.db'}").close()
    for name in ("incidents.db", "journal.db"):
        with closing(sqlite3.connect(folder / name)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def damaged(whole: bytes, rng: Random) -> bytes:
    """The file with bytes turned over, a page made of noise, or its end gone."""
    content = bytearray(whole)
    way = rng.choice(("bits", "bits", "noise", "cut", "header", "all"))
    if way == "cut":
        return bytes(content[: rng.randrange(1, len(content))])
    if way == "all":
        return rng.randbytes(rng.choice((1, 100, 512, 4096, 20_000)))
    if way == "header":
        at = rng.randrange(0, 100)
        content[at : at + 8] = rng.randbytes(8)
    if way == "noise":
        at = rng.randrange(0, len(content) // 512) * 512
        content[at : at + 512] = rng.randbytes(512)
    for _ in range(rng.randint(1, 40)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


async def start(folder: Path) -> str:
    """The first line of why it cannot start, or nothing where it can."""
    settings = read_settings(tocsin_data_dir=folder)
    try:
        async with open_resources(settings, folder):
            return ""
    except ConfigurationError as error:
        return str(error)


def ledger_refusal(path: Path) -> str:
    """Why the journal's file cannot be used, in the words an operator reads; nothing where it can."""
    try:
        open_database(f"sqlite:///{path}").close()
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("files", sizes(30, 700))
def test_a_damaged_incident_file_is_a_clear_line_and_stays_as_it_was(
    sound: Path, tmp_path: Path, files: int
) -> None:
    rng, refused = Random(41), 0
    whole = (sound / "incidents.db").read_bytes()

    async def every_one() -> None:
        nonlocal refused
        for number in range(files):
            folder = tmp_path / str(number)
            folder.mkdir()
            content = damaged(whole, rng)
            (folder / "incidents.db").write_bytes(content)
            said = await start(folder)
            if said:
                refused += 1
                assert "\n" not in said
                assert "incident file" in said or "incidents.db" in said
                assert (folder / "incidents.db").read_bytes() == content, (number, said)
            shutil.rmtree(folder)

    asyncio.run(every_one())
    # A turned bit in the middle of a text is a misspelt word, and nothing else.
    assert refused > files / 2, refused


@pytest.mark.parametrize("files", sizes(30, 300))
def test_a_damaged_journal_is_a_clear_line_and_stays_as_it_was(
    sound: Path, tmp_path: Path, files: int
) -> None:
    rng, refused = Random(42), 0
    whole = (sound / "journal.db").read_bytes()
    for number in range(files):
        path = tmp_path / f"{number}.db"
        content = damaged(whole, rng)
        path.write_bytes(content)
        said = ledger_refusal(path)
        if said:
            refused += 1
            assert "\n" not in said
            assert path.read_bytes() == content, (number, said)
    assert refused > files / 3, refused


@pytest.mark.process
@pytest.mark.parametrize("name", ["incidents.db", "journal.db"])
async def test_a_real_start_on_a_damaged_file_ends_with_one_line_and_exit_code_2(
    sound: Path, tmp_path: Path, name: str
) -> None:
    content = (sound / name).read_bytes()[:6_000]
    (tmp_path / name).write_bytes(content)
    begin = ["run"] if name == "incidents.db" else ["playground", "--no-browser", "--port", "0"]
    ended = await Terminal(tmp_path).run(
        *begin,
        SLACK_BOT_TOKEN="xoxb-1",
        SLACK_APP_TOKEN="xapp-1",
        SLACK_API_URL="http://127.0.0.1:9/",
        TOCSIN_DATA_DIR=str(tmp_path),
        TOCSIN_PORT="0",
    )
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err
    assert len(ended.lines) == 1, ended.err
    assert (tmp_path / name).read_bytes() == content
