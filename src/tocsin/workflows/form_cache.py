"""The form's choices, kept at hand so that opening it makes no call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from tocsin.incidents.errors import TocsinError, Unavailable
from tocsin.incidents.model import FieldOption, Form
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.ports import IncidentBackend, KeyValueStore
from tocsin.workflows.retry import best_effort

REFRESH_SECONDS = 60.0
COLD_SECONDS = 5.0
"""The same while there are no choices at all."""

SEARCH_SECONDS = 2.0
"""Slack waits 3 s for the options of a menu (Slack, external select)."""


class FormCache:
    """The choices as of the last refresh; usable while the backend is down, also after a restart.

    What a hosted backend said last is kept in `memory`, under `kept_as`.
    """

    def __init__(
        self,
        backend: IncidentBackend,
        store: KeyValueStore | None = None,
        kept_as: str = "form",
        alerts: OperatorAlerts | None = None,
    ) -> None:
        self._backend = backend
        self._store = store
        self._kept_as = kept_as
        self._alerts = alerts
        self.now: Form | None = None
        self.came = asyncio.Event()

    async def fetch(self) -> Form:
        """The choices, asked for now if they never were. Raises Unavailable when they never came."""
        if self.now is None:
            await self.refresh()
        assert self.now is not None
        return self.now

    async def wait(self) -> Form:
        """The choices, however long they take to come."""
        await self.came.wait()
        return await self.fetch()

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """The options of a searched field; none when the backend does not answer in time."""
        async with best_effort("search for options"):
            try:
                async with asyncio.timeout(SEARCH_SECONDS):
                    return await self._backend.options(field_id, typed, beside)
            except TimeoutError:
                raise Unavailable("The backend did not answer in time.") from None
        return ()

    async def refresh(self) -> None:
        ask = self._backend.form
        try:
            form = await (self._alerts.guard("backend", ask) if self._alerts else ask())
        except TocsinError:
            if self.now is not None and self.now.as_of is not None:
                self.now = self.now.model_copy(update={"is_old": True})
            raise
        self.now = form
        self.came.set()
        # A backend that can always be asked needs nothing kept.
        if self._store is not None and form.as_of is not None:
            async with best_effort("keep the form"):
                await self._store.set(self._kept_as, form.model_dump_json())

    async def load(self) -> None:
        """Take up what the backend said before the restart, where it has not answered since."""
        kept = None
        if self._store is not None:
            async with best_effort("recall the form"):
                kept = await self._store.get(self._kept_as)
        if kept is None or self.now is not None:
            return
        try:
            self.now = Form.model_validate_json(kept).model_copy(update={"is_old": True})
        except ValidationError:
            # Kept by another version; the next answer replaces it.
            return

    async def keep_fresh(self) -> None:
        """Refresh for ever, once a minute; what fails is tried again at the next turn."""
        while True:
            async with best_effort("refresh the form"):
                await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if self.came.is_set() else COLD_SECONDS)
