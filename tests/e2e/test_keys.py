"""Keys of the API on the command line: printed once, listed without what they are, and revoked at once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.terminal import Terminal

pytestmark = pytest.mark.process


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


async def test_a_key_is_printed_once_and_only_its_hash_is_kept(terminal: Terminal) -> None:
    made = await terminal.run("keys", "create", "ci", "--may", "create,edit,view")
    assert (made.code, made.lines) == (0, ["It is not shown again."])
    key = made.out.strip()
    assert key.startswith("tocsin_")
    listed = await terminal.run("keys", "list", "--json")
    (found,) = json.loads(listed.out)["keys"]
    assert (found["name"], found["may"], "last_used_at" in found) == ("ci", "view,create,edit", False)
    journal = terminal.folder() / "journal.db"
    assert journal.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(journal)) as opened:
        kept = str(opened.execute("SELECT * FROM tocsin_api_keys").fetchall())
    assert key not in kept + listed.out


async def test_a_name_is_free_again_once_its_key_is_revoked(terminal: Terminal) -> None:
    assert (await terminal.run("keys", "create", "ci", "--may-see-private")).code == 0
    twice = await terminal.run("keys", "create", "ci")
    assert (twice.code, twice.out, len(twice.lines)) == (1, "", 1)
    assert "There is a key “ci” already." in twice.err
    listed = await terminal.run("keys", "list")
    assert listed.out.startswith("ci  view,private  made ")
    assert listed.out.endswith("never used\n")
    revoked = await terminal.run("keys", "revoke", "ci")
    assert (revoked.code, revoked.out) == (0, "The key “ci” is revoked.\n")
    again = await terminal.run("keys", "revoke", "ci")
    assert (again.code, again.err) == (1, "There is no key “ci”.\n")
    empty = await terminal.run("keys", "list")
    assert (empty.out, empty.err) == ("", "There are no keys.\n")
    assert (await terminal.run("keys", "create", "ci")).code == 0


async def test_a_scope_or_a_name_that_there_is_not_is_a_usage_error(terminal: Terminal) -> None:
    wrong = await asyncio.gather(
        terminal.run("keys", "create", "ci", "--may", "view,fly"),
        terminal.run("keys", "create", "ci", "--may", ","),
        terminal.run("keys", "create", "operator"),
        terminal.run("keys", "create", "   "),
    )
    assert [one.code for one in wrong] == [2] * 4
    assert "fly" in wrong[0].err
