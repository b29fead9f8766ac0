"""What each gesture counts as: one of the routes, whatever strangers may send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from tocsin.slack import routes
from tocsin.slack.gestures import Command, Happening, Press, Shortcut, Submission, Suggestion

UNKNOWN = "unknown"
DECLARE, OTHER = "declare", "other"
"""What the command without a verb counts as, and a field that the backend named."""


class Counting(Protocol):
    """Whoever keeps count; `route` is one of `every_route`."""

    def requested(self, route: str, outcome: str) -> None:
        """A request was answered, failed, came from a stranger, or was malformed."""
        ...

    def acknowledged(self, route: str, seconds: float) -> None:
        """The answer to a request was written out so many seconds after it came."""
        ...


class Uncounted:
    """Nobody keeps count."""

    def requested(self, route: str, outcome: str) -> None:
        """Let it pass."""

    def acknowledged(self, route: str, seconds: float) -> None:
        """Let it pass."""


def every_route() -> Iterator[str]:
    """All that may be counted, so that there are never more series than routes."""
    yield from (f"command {word or DECLARE}" for word in routes.VERBS)
    tables: dict[str, Mapping[str, object]] = {
        "shortcut": routes.SHORTCUTS,
        "view": routes.VIEWS,
        "press": routes.PRESSES,
        "suggestion": routes.SUGGESTIONS,
        "event": {**routes.EVENTS, **routes.INSTALL_EVENTS},
    }
    yield from (f"{kind} {name or OTHER}" for kind, table in tables.items() for name in table)
    yield UNKNOWN


def route_of(gesture: Command | Shortcut | Press | Submission | Suggestion | Happening) -> str:
    """The route that this goes to; UNKNOWN where it goes to none."""
    kind, name, is_known = _found(gesture)
    return f"{kind} {name}" if is_known else UNKNOWN


def _found(
    gesture: Command | Shortcut | Press | Submission | Suggestion | Happening,
) -> tuple[str, str, bool]:
    match gesture:
        case Command():
            first = routes.find_verb(gesture.text).first
            return "command", first.word if first else DECLARE, True
        case Shortcut():
            return "shortcut", gesture.callback_id, gesture.callback_id in routes.SHORTCUTS
        case Submission():
            return "view", gesture.view.callback_id, gesture.view.callback_id in routes.VIEWS
        case Press():
            return "press", gesture.control.action_id, gesture.control.action_id in routes.PRESSES
        case Suggestion():
            name = gesture.action_id.partition(".")[0]
            return "suggestion", name if name and name in routes.SUGGESTIONS else OTHER, True
        case Happening():
            return "event", gesture.kind, routes.find_event(gesture.kind) is not None
