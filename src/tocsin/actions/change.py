"""Change an incident: commit to it, change it where it is kept, and have everything in Slack follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from tocsin.actions.aftermath import Aftermath
from tocsin.actions.alarming import Alarms
from tocsin.actions.best_effort import without_end
from tocsin.actions.ports import Journal
from tocsin.actions.promises import (
    AnyChange,
    Change,
    Changed,
    KeepsIncidents,
    Kept,
    NotChanged,
    Order,
    Promises,
    Telling,
)
from tocsin.incidents.errors import Overtaken, Refused
from tocsin.incidents.model import Form, Incident, Person, TeamId
from tocsin.incidents.requests import IncidentChange
from tocsin.incidents.transitions import Ending, checked, ended, said
from tocsin.incidents.validation import visible_to

VERB = "change"
GONE = "That incident is not here any more."


class ChangeOrder(Order):
    """A change, with the verb it was asked with and when the next update is due.

    `ending` is `close`, `reopen`, `accept`, `decline`, `merge` or `cancel`: it decides the status.
    `next_update_minutes` asks for an update in so many minutes; 0 stops asking, None leaves it as it is.
    """

    change: IncidentChange
    ending: Ending | None = None
    next_update_minutes: int | None = None

    @property
    def key(self) -> str:
        return self.change.key

    @property
    def by(self) -> Person:
        return self.change.by

    @property
    def asked_at(self) -> datetime:
        return self.change.at

    def keyed(self, key: str) -> ChangeOrder:
        return self.model_copy(update={"change": self.change.model_copy(update={"key": key})})


class ChangeIncident(Kept[ChangeOrder]):
    """Every verb that changes an incident. One instance serves the whole process."""

    def __init__(
        self,
        *,
        backend: KeepsIncidents,
        journal: Journal,
        form: Callable[[], Awaitable[Form]],
        workspace: Callable[[TeamId], Telling],
        aftermath: Aftermath,
        alarms: Alarms,
        saw: Callable[[Incident], None],
    ) -> None:
        """`saw` hears of each changed incident at once: what has become private is listed to nobody else."""
        self._backend = backend
        self._journal = journal
        self._form = form
        self._aftermath = aftermath
        self._alarms = alarms
        self._saw = saw
        self._promises = Promises(
            verb=VERB,
            order=ChangeOrder,
            journal=journal,
            workspace=workspace,
            do=self._do,
            after=self._after,
        )

    async def _do(self, order: ChangeOrder) -> AnyChange:
        find = self._backend.find
        before: Incident | None = await self._journal.step(
            "look at the incident",
            lambda _: without_end(lambda: find(order.incident_id), "look at an incident"),
            Incident | None,
        )
        if before is None:
            return NotChanged(sentence=GONE)
        return await self._journal.step(
            "change the incident",
            lambda _: without_end(lambda: self._change(order, before), "change an incident"),
            Change,
        )

    async def _change(self, order: ChangeOrder, before: Incident) -> AnyChange:
        try:
            form = await self._form()
            change = order.change
            if order.ending is not None:
                change = ended(change, order.ending, before, form)
            change = checked(await self._merging(change), before, form)
            after = await self._alarms.watched("backend", lambda: self._backend.change(before.id, change))
        except Refused as refusal:
            overtaken = isinstance(refusal, Overtaken)
            return NotChanged(sentence=refusal.sentence, fields=refusal.fields, overtaken=overtaken)
        self._saw(after)
        return Changed(incident=after, said=said(before, after, change), before=before, change=change)

    async def _merging(self, change: IncidentChange) -> IncidentChange:
        """The change with the reference of the incident that this one is part of, as it is written there."""
        if change.merged_into is None:
            return change
        other = await self._backend.find(change.merged_into)
        if other is None or not visible_to(change.by.slack_user_id, other):
            sentence = f"There is no incident {change.merged_into}."
            raise Refused(sentence, {"merged_into": sentence})
        return change.model_copy(update={"merged_into": other.reference})

    async def _after(self, order: ChangeOrder, done: Changed) -> None:
        await self._aftermath.of_change(
            done,
            done.change or order.change,
            ending=order.ending,
            next_update_minutes=order.next_update_minutes,
        )
