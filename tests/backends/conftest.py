"""Backends to hold to the contract: each entry of the table opens one, and opens it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fakes.declarations import Ticking

from tocsin.actions.ports import Backend
from tocsin.backends.catalogue import Catalogue
from tocsin.backends.local import LocalBackend

Reopen = Callable[[], Awaitable[Backend]]


def _local(folder: Path) -> Reopen:
    opened: list[LocalBackend] = []

    async def reopen() -> Backend:
        for earlier in opened:
            await earlier.close()
        backend = await LocalBackend.open(
            folder / "incidents.db", Catalogue(), public_url="http://127.0.0.1:8080", clock=Ticking()
        )
        opened.append(backend)
        return backend

    return reopen


KEPT_BY: dict[str, Callable[[Path], Reopen]] = {"local": _local}


@pytest.fixture(params=sorted(KEPT_BY))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Opens the backend as a new process would, closing it first where it was open."""
    return KEPT_BY[request.param](tmp_path)


@pytest.fixture
async def backend(reopen: Reopen) -> AsyncIterator[Backend]:
    opened = await reopen()
    yield opened
    await opened.close()  # type: ignore[attr-defined]


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    opened = await LocalBackend.open(
        tmp_path / "kept" / "incidents.db",
        Catalogue(),
        public_url="http://127.0.0.1:8080",
        clock=Ticking(),
    )
    yield opened
    await opened.close()
