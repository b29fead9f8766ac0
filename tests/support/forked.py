"""`tocsin` as a process of its own, forked from one that has imported what it needs.

Most of a start is to import: that is done once for a test process. Whatever else a start does is done anew.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from support.patience import LIMIT

TESTS = Path(__file__).parent.parent


class Forked:
    """A running `tocsin`, with what tests use of `asyncio.subprocess.Process`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As the standard library has it: what it ended with, or the signal's number below zero."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Until it has ended. Raises TimeoutError after what only a broken program takes."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), LIMIT)
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self.returncode is not None
        return self.returncode


def forked(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], out: Path, err: Path | None = None
) -> Forked:
    """Run `tocsin` with these arguments; what it says is appended to `out`, or its errors to `err`."""
    process = _warm().Process(
        target=_be, args=(list(arguments), cwd, dict(env), out, err or out), daemon=True
    )
    process.start()
    return Forked(process)


@cache
def _warm() -> ForkServerContext:
    """The process of which each is a fork, which has imported `fakes.warm`."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["support.warm"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), before]))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return forking


def _be(arguments: list[str], cwd: Path, env: dict[str, str], out: Path, err: Path) -> None:
    """In the forked process: be that command, and nothing else."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["tocsin", *arguments]
    import slack_emulator.workspace
    from support.clock import PatientClock
    from tocsin.cli import main

    # The workspace of a playground has the patience of the others in tests, however busy the machine is.
    slack_emulator.workspace.TurnableClock = PatientClock  # type: ignore[misc]

    main()
