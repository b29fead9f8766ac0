"""The journey of each row of `routes.py`: what somebody does there, and what must come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

ROWS: dict[str, Callable[[Any], Awaitable[None]]] = {}
"""By what the running bot counts the row as, such as `command status` or `press take_lead`."""


def row(route: str) -> Callable[[Callable[[Any], Awaitable[None]]], Callable[[Any], Awaitable[None]]]:
    """This is the journey of that row."""

    def keep(journey: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        assert route not in ROWS, f"{route} has a journey."
        ROWS[route] = journey
        return journey

    return keep
