"""Rules for every test: what runs only when it is asked for by name, and how patient a property test is."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings
from support.autojump import AutojumpLoop
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from support.postgresql import PostgresqlServer
    from support.small_disk import SmallDisk

# What is imported and collected stays until the end: there is nothing to look for.
gc.disable()

# Else each worker, and each process that a test starts, would compile the same files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if find_spec("sniffio") is None:
    # httpcore looks for it several times in each request, and Python looks through every folder each time.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 2**30
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    # Nobody pulls a plug here, and a disk that others keep busy is slow to write through.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# A run by itself tries the same examples each time; the long campaigns try others.
settings.register_profile("unhurried", deadline=None, derandomize=True)
settings.load_profile("unhurried")

ASKED_FOR_BY_NAME = {
    "campaign": "a campaign: `pytest -m campaign` runs a sample of it, and `{}` runs it long",
    "types": "asks mypy, which `.ci/run` does as well: `pytest -m types`",
    "timed": "measures time, so it needs a machine to itself: `pytest -m 'benchmark or timed' -s`",
}
"""Markers of tests that are skipped unless `-m` names them, with the reason; `campaign` takes a command."""

LONG_FIRST = ("browser", "process")
"""Markers of what takes longest, and after them tests/reliability/faults, which wait for SQLite: begun last,
they would be waited for when all else is done."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers for each processor, since each waits now and then; three for two if none starts a process.

    None for a single file or test, nor for what measures time, which has the machine to itself.
    """
    narrow, marked = len(config.args) == 1 and ".py" in config.args[0], config.option.markexpr
    if narrow or "timed" in marked.replace("not timed", ""):
        return 0
    processors = os.cpu_count() or 1
    return -(-3 * processors // 2) if "not process" in marked else 2 * processors


SHARED = {
    "tests/e2e/browser": ("tests/e2e/browser/",),
    # Each process that asks the source something parses all of it first.
    "the source": (
        "tests/test_architecture.py",
        "tests/test_terms.py",
        "tests/deployment/test_declared.py",
        "tests/emulator/test_coverage.py",
        "tests/integration/slack/test_gate_is_asked.py",
    ),
}
"""Files that one worker runs, since they share what takes long: a playground, the parsed source."""


class SomeTogether(LoadFileScheduling):
    """Gives a worker one file after another, and one of them all files that share something (`SHARED`)."""

    def _split_scope(self, nodeid: str) -> str:
        together = (name for name, begin in SHARED.items() if nodeid.startswith(begin))
        return next(together, super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return SomeTogether(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long; skip campaigns and timed tests that `-m` does not name."""

    def begun(item: pytest.Item) -> int:
        marked = (number for number, name in enumerate(LONG_FIRST) if item.get_closest_marker(name))
        return next(marked, last - (item.path.parent.name == "faults"))

    last = len(LONG_FIRST) + 1
    first: dict[Path, int] = {}
    for item in items:
        first[item.path] = min(first.get(item.path, last), begun(item))
    items.sort(key=lambda item: first[item.path])
    for item in items:
        for name, reason in ASKED_FOR_BY_NAME.items():
            mark = item.get_closest_marker(name)
            if mark is None:
                continue
            # What is asked for by name may take hours.
            item.add_marker(pytest.mark.timeout(0))
            if name not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=reason.format(*mark.args)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what was collected out of the garbage collector's way: a tenth of the processor's time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that started a process and is not marked as one that does."""
    before = _faults_of_children()
    yield
    if _faults_of_children() > before and not is_outside(item):
        pytest.fail("It starts another process: mark it with `process`.", pytrace=False)


def _faults_of_children() -> int:
    """Page faults of all child processes that have ended; a new process cannot do without any."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def is_outside(item: pytest.Item) -> bool:
    """Returns True if the test waits for what is not in its own process."""
    return any(item.get_closest_marker(name) for name in ("process", "browser", "timed"))


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time, unless a test waits for another process or for a browser."""
    return {"machine's time": asyncio.new_event_loop} if is_outside(item) else {"virtual time": AutojumpLoop}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser process for all tests of a worker; those that use it run in the session's loop."""
    from support.browser import launched

    async with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresqlServer]:
    """One PostgreSQL server for all workers of a run; each test has a database of its own."""
    from support.postgresql import shared_postgresql

    folder = tmp_path_factory.getbasetemp()
    with shared_postgresql(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) as server:
        yield server


@pytest.fixture(scope="module")
def modules_postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of the module's own, which its tests may stop, kill or change."""
    from support.postgresql import running_postgresql

    with running_postgresql() as server:
        yield server


@pytest.fixture
def stoppable_postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of the test's own, which it may stop, kill or change."""
    from support.postgresql import running_postgresql

    with running_postgresql() as server:
        yield server


@pytest.fixture
def small_disk(stoppable_postgresql: PostgresqlServer) -> Iterator[SmallDisk]:
    """A disk of a few megabytes for databases of that server."""
    from support.small_disk import mounted_disk

    with mounted_disk(stoppable_postgresql) as disk:
        yield disk
