"""A terminal: `tocsin` as its own process, with an empty home and only the settings a test gives."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fakes.patience import LIMIT

IMPORTED = ["tocsin.__main__", "tocsin.running", "tocsin.doctor", "tocsin.keeping", "tocsin.actions.export"]
"""Most of a start is to import these: done once, in a process of which each command is a fork."""


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
        return await asyncio.to_thread(self._forked, list(arguments), self._environment(settings))

    def _forked(self, arguments: list[str], environment: dict[str, str]) -> Ended:
        forking = multiprocessing.get_context("forkserver")
        forking.set_forkserver_preload(IMPORTED)
        with tempfile.TemporaryDirectory() as beside:
            out, err = Path(beside, "out"), Path(beside, "err")
            process = forking.Process(target=_command, args=(arguments, self.home, environment, out, err))
            process.start()
            process.join(LIMIT)
            if process.exitcode is None:
                process.kill()
                raise TimeoutError(arguments)
            return Ended(process.exitcode, out.read_text(), err.read_text())

    async def start(self, *arguments: str, **settings: str) -> Ended:
        """Run `python -m tocsin` until it ends, from nothing."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", *arguments),
            cwd=self.home,
            env=self._environment(settings),
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

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "share"),
            "NO_COLOR": "1",
            **settings,
        }


def _command(arguments: list[str], home: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    """In the forked process: be that command, and nothing else."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(home)
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["tocsin", *arguments]
    from tocsin.__main__ import main

    main()
