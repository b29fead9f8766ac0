"""A terminal: `tocsin` as its own process, with an empty home and only the settings a test gives."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.forked import forked
from support.patience import LIMIT


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True)
class Terminal:
    """One person's terminal; `home` is where they are, and where their files go."""

    home: Path

    def folder(self, name: str = "tocsin") -> Path:
        """The platform's data folder, as this person has it."""
        return self.home / "share" / name

    async def run(self, *arguments: str, **settings: str) -> Ended:
        """Run `tocsin` until it ends, in a fork of a process that has imported what it needs."""
        with tempfile.TemporaryDirectory() as beside:
            out, err = Path(beside, "out"), Path(beside, "err")
            process = forked(arguments, cwd=self.home, env=self.settings(**settings), out=out, err=err)
            try:
                code = await process.wait()
            finally:
                process.kill()
            return Ended(code, *(await asyncio.to_thread(lambda: (out.read_text(), err.read_text()))))

    async def start(self, *arguments: str, **settings: str) -> Ended:
        """Run `python -m tocsin` until it ends, from nothing."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", *arguments),
            cwd=self.home,
            env=self.settings(**settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(LIMIT):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        return Ended(process.returncode or 0, out.decode(), err.decode())

    def settings(self, **settings: str) -> dict[str, str]:
        """The environment of a command with these settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "share"),
            "NO_COLOR": "1",
            **settings,
        }
