"""Cache of the form's choices, so that opening the form makes no call to the backend."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from tocsin.incidents.errors import TocsinError, Unavailable
from tocsin.incidents.model import FieldOption, Form, TriageDefaults
from tocsin.workflows.alerts import OperatorAlerts
from tocsin.workflows.ports import IncidentBackend, KeyValueStore
from tocsin.workflows.retry import best_effort

REFRESH_SECONDS = 60.0
COLD_SECONDS = 5.0
"""Seconds between two refreshes while the cache is empty."""

CHANGES_SECONDS = 0.25
"""Seconds in which changes of the choices are gathered: one refresh shows all of them."""

SEARCH_SECONDS = 2.0
"""Slack waits 3 s for the options of a menu (Slack, external select)."""


class FormCache:
    """Choices as of the last refresh, usable while the backend is down, also after a restart.

    The last answer of a hosted backend is stored in `memory` under `kept_as`.
    """

    def __init__(
        self,
        backend: IncidentBackend,
        store: KeyValueStore | None = None,
        kept_as: str = "form",
        alerts: OperatorAlerts | None = None,
        triage: TriageDefaults | None = None,
    ) -> None:
        """`triage` is the configuration's: no backend knows it."""
        self._backend = backend
        self._store = store
        self._kept_as = kept_as
        self._alerts = alerts
        self._triage = triage or TriageDefaults()
        self.now: Form | None = None
        self.came = asyncio.Event()
        self._is_due = False
        self._turn = asyncio.Lock()

    async def fetch(self) -> Form:
        """Return the choices, asking the backend if there are none yet. Raises Unavailable if that fails."""
        if self.now is None:
            await self.refresh()
        assert self.now is not None
        return self.now

    async def wait(self) -> Form:
        """Return the choices once the backend has answered since the start, however long that takes."""
        await self.came.wait()
        return await self.fetch()

    async def options(
        self, field_id: str, typed: str, beside: Mapping[str, Sequence[str]]
    ) -> Sequence[FieldOption]:
        """Return the options of a searched field; none if the backend does not answer in time."""
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
        self.now = self._with_defaults(form)
        self.came.set()
        # Only a hosted backend dates its form; the local one can always be asked, so nothing is stored.
        if self._store is not None and form.as_of is not None:
            async with best_effort("keep the form"):
                await self._store.set(self._kept_as, form.model_dump_json())

    async def refresh_soon(self) -> None:
        """Refresh, once for all changes of a moment: Terraform makes thousands, one after the other."""
        if self._is_due:
            return
        self._is_due = True
        async with self._turn:
            await asyncio.sleep(CHANGES_SECONDS)
            # A change that comes from here on may be too late for this refresh, and asks for another.
            self._is_due = False
            await self.refresh()

    async def load(self) -> None:
        """Load the choices that the last process stored, unless the backend has answered meanwhile."""
        kept = None
        if self._store is not None:
            async with best_effort("recall the form"):
                kept = await self._store.get(self._kept_as)
        if kept is None or self.now is not None:
            return
        try:
            form = Form.model_validate_json(kept).model_copy(update={"is_old": True})
            self.now = self._with_defaults(form)
        except ValidationError:
            # Stored by another version; the next answer of the backend replaces it.
            return

    def _with_defaults(self, form: Form) -> Form:
        # The same form stays the same object, for which its view is rendered once.
        return form if form.triage == self._triage else form.model_copy(update={"triage": self._triage})

    async def keep_fresh(self) -> None:
        """Refresh once a minute, forever. A failure is tried again in the next round."""
        while True:
            async with best_effort("refresh the form"):
                await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if self.came.is_set() else COLD_SECONDS)
