"""A process that opens one data folder after the other does once what comes out the same each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tocsin.metrics import Metrics
from tocsin.storage.database import Database
from tocsin.storage.key_value import SqlKeyValueStore


@pytest.fixture
def compiled() -> Iterator[Counter[str]]:
    """How each statement came to its SQL: compiled anew, or found among those that were."""
    found: Counter[str] = Counter()

    @event.listens_for(sa.Engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any) -> None:
        if context.compiled is not None:
            found[f"{context.cache_hit.name}: {statement}"] += 1

    yield found
    event.remove(sa.Engine, "before_cursor_execute", note)


@contextmanager
def store(folder: Path) -> Iterator[SqlKeyValueStore]:
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'journal.db'}")
    yield SqlKeyValueStore(database)
    database.close()


async def test_a_statement_is_compiled_once_for_all_files_of_a_process(
    tmp_path: Path, compiled: Counter[str]
) -> None:
    for number in range(2):
        compiled.clear()
        with store(tmp_path / str(number)) as facts:
            await facts.set("a", "b")
            assert await facts.get("a") == "b"
    assert [how for how in compiled if "CACHE_MISS" in how and "tocsin_facts" in how] == []


def test_a_route_that_nobody_used_is_zero_at_the_first_look() -> None:
    metrics = Metrics()
    metrics.export_routes(["view declare"])
    seen = metrics.registry.get_sample_value
    assert seen("tocsin_requests_total", {"route": "view declare", "outcome": "answered"}) == 0
    assert seen("tocsin_acknowledgement_seconds_count", {"route": "view declare"}) == 0
