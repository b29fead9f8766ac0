"""What the process says of itself: one line an event on standard error, and no secret in any of them.

Tracebacks carry no local variables, and every line is searched for what looks like a secret before it is
written: Slack's tokens, bearer tokens, signatures, response addresses and trigger ids.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog

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
            structlog.processors.format_exc_info,
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


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def _hide(logger: Any, method: str, line: Any) -> str:
    return redacted(str(line))
