"""Tokens that expire are replaced in time (Slack, "Using token rotation": one lives for twelve hours)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from tocsin.incidents.errors import SlackRefused
from tocsin.slack.desks import Desks
from tocsin.slack.installing import Installing
from tocsin.workflows.retry import best_effort

BEFORE = timedelta(hours=2)
"""How long before its end a token is replaced: time enough for an outage, with the old one still good."""

LOOK_SECONDS = 60.0

log = structlog.get_logger()


class TokenRotation:
    """Looks every minute which tokens are due."""

    def __init__(self, desks: Desks, installing: Installing, clock: Callable[[], datetime]) -> None:
        self._desks = desks
        self._installing = installing
        self._clock = clock

    async def look(self) -> None:
        """Replace what is due; what fails is tried again at the next look."""
        soon = self._clock() + BEFORE
        for installation in self._desks.installations:
            if not installation.refresh_token or installation.expires_at is None:
                continue
            if installation.expires_at > soon:
                continue
            async with best_effort(f"renew the token of {installation.home}"):
                try:
                    await self._installing.refresh(installation)
                except SlackRefused as refusal:
                    log.error(
                        "Slack gives no new token; have an admin install Tocsin again.",
                        home=installation.home,
                        why=refusal.sentence,
                    )

    async def go_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)
