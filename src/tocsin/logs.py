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

# Logging: one line for each event on standard error, without secrets. Tracebacks contain no local variables,
# no SQL parameters and no values from pydantic's errors. Every line is searched for secrets before it is
# written: Slack's tokens, bearer tokens, signatures, response URLs and trigger ids.

HIDDEN = "[hidden]"
_SECRETS = {
    # Slack's tokens.
    r"xox|xapp-": r"\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w.-]+",
    r"bearer ": r"(?<=bearer )[\w.~+/=-]+",
    # Keys of the API.
    r"tocsin_": r"\btocsin_[\w-]{40,}",
    # Signatures of requests.
    r"v0=": r"\bv0=[0-9a-f]{16,}",
    # Response addresses and incoming webhooks.
    r"hooks\.slack\.com/": r"(?<=hooks\.slack\.com/)[^\s'\"]+",
    # Trigger ids.
    r"\d\.\d{6,}\.": r"\b\d{6,}\.\d{6,}\.[0-9a-f]{16,}\b",
}
"""Pattern of each kind of secret in any case, by a sign of it in lower case, which is found much faster."""
_SIGN, _SECRET = re.compile("|".join(_SECRETS)), re.compile("|".join(_SECRETS.values()), re.IGNORECASE)

_NAMES = frozenset({"authorization", "response_url", "secret", "signature", "token", "trigger_id"})
"""Keys whose values are always hidden, in any form."""

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def redacted(text: str) -> str:
    """Replace everything that looks like a secret."""
    return _SECRET.sub(HIDDEN, text) if _SIGN.search(text.lower()) else text


def configure(stream: TextIO | None = None) -> None:
    """Send structured logs and the libraries' logs to `stream` (standard error), both with secrets hidden."""
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
    # Bolt logs the bodies of requests that it has no listener for, and they may be private.
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)
    # The bot logs lost connections itself, in fewer words.
    logging.getLogger("tocsin.socket").setLevel(logging.CRITICAL)


def only_troubles() -> None:
    """Log only warnings and errors, for the playground's terminal."""
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
    """Yield the traceback and message of an exception, after those of its causes."""
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
    """Return the exception's message without the values it would quote: people wrote them."""
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


# One trace id for everything that an interaction starts, from Slack's request to the backend's.

NAME = "trace"
"""Key of the trace id in every log line."""


def trace() -> str:
    """Return the current trace id, or "" outside an interaction."""
    return str(contextvars.get_contextvars().get(NAME, ""))


@contextmanager
def traced(given: str = "") -> Iterator[str]:
    """Set the trace id for the block and the tasks it starts; a new id if none is given."""
    one = given or secrets.token_hex(8)
    earlier = contextvars.bind_contextvars(**{NAME: one})
    try:
        yield one
    finally:
        contextvars.reset_contextvars(**earlier)
