"""What goes wrong in the bot and is nobody's errand, kept here instead of printed."""

from __future__ import annotations

import asyncio
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
            noted.append(f"{event.get('doing')}: {error!r}"[:2000])
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


class _Complaints(logging.Handler):
    def __init__(self, noted: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._noted = noted

    def emit(self, record: logging.LogRecord) -> None:
        self._noted.append(f"{record.name}: {record.getMessage()} {record.exc_info or ''}"[:2000])


@contextmanager
def every_failure() -> Iterator[list[str]]:
    """As above, and whatever any library calls an error, and exceptions of tasks that nobody awaits."""
    with noted_failures() as noted:
        handler, loop = _Complaints(noted), asyncio.get_running_loop()
        earlier = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: noted.append(f"unhandled: {context}"[:2000]))
        logging.getLogger().addHandler(handler)
        logging.getLogger(SERVER).removeFilter(_nothing)
        try:
            yield noted
        finally:
            logging.getLogger().removeHandler(handler)
            loop.set_exception_handler(earlier)


def _nothing(_record: logging.LogRecord) -> bool:
    return False
