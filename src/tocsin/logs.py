"""Structured logs without secrets, and the trace id that ties the lines of one request together."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog import contextvars

# What the process says of itself: one line an event on standard error, and no secret in any of them.
#
# Tracebacks carry no local variables and nothing of what was sent to a database or checked by a model.
# Every line is searched for what looks like a secret before it is written: Slack's tokens, bearer tokens,
# signatures, response addresses and trigger ids.

HIDDEN = "[hidden]"
_SECRETS = re.compile(
    r"""
      \b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w.-]+       # Slack's tokens
    | (?<=Bearer\ )[\w.~+/=-]+
    | \bv0=[0-9a-f]{16,}                               # request signatures
    | (?<=hooks\.slack\.com/)[^\s'"]+                  # response addresses and incoming webhooks
    | \b\d{6,}\.\d{6,}\.[0-9a-f]{16,}\b                # trigger ids
    """,
    re.VERBOSE | re.IGNORECASE,
)

_NAMES = frozenset({"authorization", "response_url", "secret", "signature", "token", "trigger_id"})
"""What is never told under a name of its own, whatever it looks like."""

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def redacted(text: str) -> str:
    """The text, with what looks like a secret taken out."""
    return _SECRETS.sub(HIDDEN, text)


def configure(stream: TextIO | None = None) -> None:
    """Send structured logs, and those of the libraries, through one door to `stream` (standard error)."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_exception,
            _hide_named,
            structlog.dev.ConsoleRenderer(colors=False),
            _hide,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Bolt writes bodies of requests it cannot place into its log; they are nobody else's business.
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)
    # Lost connections are told by our own watch, in fewer words.
    logging.getLogger("tocsin.socket").setLevel(logging.CRITICAL)


def only_troubles() -> None:
    """Warnings and errors alone, where somebody watches the screen and plays."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatException(self, ei: Raised) -> str:
        return "\n".join(_told(ei[1])) if ei[1] is not None else ""


def _tell_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        event["exception"] = "\n".join(_told(error))
    return event


def _told(error: BaseException) -> Iterator[str]:
    """Where it was raised and what it is, and the same of what it came from."""
    come_from = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if come_from is not None:
        yield from _told(come_from)
        yield "which led to"
    for one in getattr(error, "exceptions", ()):
        yield from _told(one)
        yield "in"
    yield from map(str.rstrip, traceback.format_tb(error.__traceback__))
    yield f"{type(error).__qualname__}: {_words(error)}"


def _words(error: BaseException) -> str:
    """What the exception says, without the values that it would quote: they are what people wrote."""
    if hasattr(error, "orig"):
        return str(error.orig)
    if hasattr(error, "errors") and hasattr(error, "error_count"):
        wrong = [(".".join(map(str, one["loc"])), one["type"]) for one in error.errors()]
        return "; ".join(f"{place}: {kind}" for place, kind in wrong)
    return str(error)


def _hide_named(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _NAMES & event.keys():
        event[name] = HIDDEN
    return event


def _hide(logger: Any, method: str, line: Any) -> str:
    return redacted(str(line))


# One id for all that a gesture sets off: from Slack's request through the story to the backend's.

NAME = "trace"
"""What the id is called in every line of the log that is written meanwhile."""


def trace() -> str:
    """The id of what is being worked on; empty where nothing set off by a gesture is."""
    return str(contextvars.get_contextvars().get(NAME, ""))


@contextmanager
def traced(given: str = "") -> Iterator[str]:
    """What happens inside, and the tasks begun there, carry this id, or a new one where none is given."""
    one = given or secrets.token_hex(8)
    earlier = contextvars.bind_contextvars(**{NAME: one})
    try:
        yield one
    finally:
        contextvars.reset_contextvars(**earlier)
