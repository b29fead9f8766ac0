"""One id for all that a gesture sets off: from Slack's request through the story to the backend's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from structlog import contextvars

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
