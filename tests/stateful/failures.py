"""What the bot writes of its own failures, kept here instead of printed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from tocsin.incidents.errors import TocsinError

SERVER = "uvicorn.error"


@contextmanager
def noted_failures() -> Iterator[list[str]]:
    """Until left, every exception that the bot wrote down and that none of its own errors explains."""
    noted: list[str] = []

    def note(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        error = event.get("exc_info") and sys.exc_info()[1]
        if isinstance(error, BaseException) and not isinstance(error, TocsinError):
            noted.append(f"{event.get('doing')}: {error!r}")
        raise structlog.DropEvent

    structlog.configure(processors=[note])
    # The playground's server complains of each answer that is to break off in the middle.
    server = logging.getLogger(SERVER)
    server.addFilter(_nothing)
    try:
        yield noted
    finally:
        server.removeFilter(_nothing)
        structlog.reset_defaults()


def _nothing(_record: logging.LogRecord) -> bool:
    return False
