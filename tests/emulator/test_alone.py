"""The emulator's tests need the emulator, and nothing of any app that it is tried with."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.patience import LIMIT

HERE = Path(__file__).parent
COLLECT = """
import sys
sys.modules["tocsin"] = None
import pytest
options = ["--collect-only", "-q", "-n0", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, *sys.argv[1:]]))
"""


@pytest.mark.process
async def test_every_test_here_is_found_where_tocsin_cannot_be_imported() -> None:
    found = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COLLECT, str(HERE)),
        cwd=HERE.parent.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LIMIT):
        said, _ = await found.communicate()
    assert found.returncode == 0, said.decode()
    missed = [path.name for path in HERE.glob("test_*.py") if path.name.encode() not in said]
    assert missed == []
