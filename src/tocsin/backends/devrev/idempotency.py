"""Idempotent creation of incidents: DevRev takes no idempotency key, so look before repeating.

The state of a create is stored before it is sent and after it ends. While its outcome is unknown nothing is
sent: DevRev's list is searched for the key again and again, and an incident that appears is adopted. Only if
none has appeared for 90 seconds is the create sent again. A sweep ten minutes and a day later looks for
duplicates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from weakref import WeakValueDictionary

import structlog
from pydantic import TypeAdapter

from tocsin.backends.devrev.api_models import IncidentResponse
from tocsin.backends.devrev.create import IncidentCreation
from tocsin.incidents.errors import OutcomeUnknown, Refused, Unavailable
from tocsin.incidents.model import FrozenModel
from tocsin.workflows.ports import Clock, KeyValueStore

SEARCHES: Final = (2.0, 5.0, 10.0, 15.0, 22.0, 30.0, 38.0, 46.0, 53.0, 60.0, 68.0, 76.0, 83.0, 90.0)
"""Seconds after the timeout at which the list is searched.

They are never more than 8 s apart, so that an incident is adopted within 10 s of appearing. After the last
search the create is sent again.
"""

SWEEPS: Final = (timedelta(minutes=10), timedelta(hours=24))
SWEPT = "devrev/sweeps"

log = structlog.get_logger()


class CreateAttempt(FrozenModel):
    """State of one create."""

    state: Literal["sending", "unknown", "not sent", "refused", "made"]
    mark: str
    """Field that carries the key: `sync_metadata`, `body`, or the name of the organisation's field for it."""
    first: datetime
    since: datetime
    """Time at which the present state began."""
    unsure: bool = False
    """True if an outcome was ever unknown: there may be an incident that the bot has not seen yet."""
    incident_id: str | None = None


class DuplicateSweep(FrozenModel):
    key: str
    at: datetime


_SWEEPS: TypeAdapter[list[DuplicateSweep]] = TypeAdapter(list[DuplicateSweep])


class IdempotentCreate:
    """Idempotent creation in one organisation. `seconds` is the timeout of a request."""

    def __init__(self, store: KeyValueStore, clock: Clock, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._seconds = timedelta(seconds=seconds)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sweeping = asyncio.Lock()
        # Time of this process's last search for each key.
        self._searched: dict[str, datetime] = {}

    async def create(
        self, key: str, creation: IncidentCreation, keep: Callable[[IncidentResponse], Awaitable[None]]
    ) -> IncidentResponse:
        """Return the incident with this key, created now or before; call `keep` before recording it as made.

        Raises Refused, and Unavailable with the seconds until the next step.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            attempt = await self.attempt(key)
            if attempt is None:
                return await self._send(key, creation, keep, None)
            if attempt.incident_id is not None:
                return await self._made_before(attempt, creation)
            if attempt.state == "not sent" and not attempt.unsure:
                return await self._send(key, creation, keep, attempt)
            return await self._search(key, attempt, creation, keep)

    async def attempt(self, key: str) -> CreateAttempt | None:
        fact = await self._store.get(_name(key))
        return None if fact is None else CreateAttempt.model_validate_json(fact)

    async def _put(self, key: str, attempt: CreateAttempt) -> None:
        await self._store.set(_name(key), attempt.model_dump_json(exclude_defaults=True))

    async def _made_before(self, attempt: CreateAttempt, creation: IncidentCreation) -> IncidentResponse:
        found = await creation.fetch(attempt.incident_id or "")
        if found is not None:
            return found
        if self._clock() - attempt.since < timedelta(seconds=SEARCHES[-1]):
            raise Unavailable("DevRev does not show the incident yet.", retry_after=SEARCHES[0])
        raise Refused("The incident was made in DevRev, and has been deleted there.")

    async def _send(
        self,
        key: str,
        creation: IncidentCreation,
        keep: Callable[[IncidentResponse], Awaitable[None]],
        before: CreateAttempt | None,
    ) -> IncidentResponse:
        now = self._clock()
        first = before.first if before else now
        unsure = before is not None and before.unsure
        mark: str | None = await creation.key_location()
        while mark is not None:
            sending = CreateAttempt(state="sending", mark=mark, first=first, since=now, unsure=unsure)
            await self._put(key, sending)
            try:
                response = await creation.send(mark)
            except Refused as refusal:
                mark = await creation.next_location(mark, refusal)
                if mark is None:
                    await self._give_up(key, sending)
                    raise
            except OutcomeUnknown as error:
                raise await self._unknown(key, sending, error) from None
            except Unavailable:
                await self._put(key, sending.model_copy(update={"state": "not sent"}))
                raise
            else:
                return await self._made(key, sending, response, keep)
        raise AssertionError("a create ends made, refused or unknown")

    async def _give_up(self, key: str, attempt: CreateAttempt) -> None:
        """Forget a refused create, so that it can be corrected and sent again.

        If an earlier attempt may have made an incident, record it as refused instead.
        """
        if attempt.unsure:
            await self._put(key, attempt.model_copy(update={"state": "refused"}))
        else:
            await self._store.delete(_name(key))

    async def _unknown(self, key: str, attempt: CreateAttempt, error: OutcomeUnknown) -> OutcomeUnknown:
        log.warning("the outcome of a create is not known", key=key, because=str(error))
        self._searched.pop(key, None)
        lost = attempt.model_copy(update={"state": "unknown", "since": self._clock(), "unsure": True})
        await self._plan_sweeps(key, lost.since)
        await self._put(key, lost)
        return OutcomeUnknown(str(error), retry_after=SEARCHES[0])

    async def _made(
        self,
        key: str,
        attempt: CreateAttempt,
        response: IncidentResponse,
        keep: Callable[[IncidentResponse], Awaitable[None]],
    ) -> IncidentResponse:
        await keep(response)
        made = {"state": "made", "incident_id": response.id, "since": self._clock()}
        await self._put(key, attempt.model_copy(update=made))
        self._searched.pop(key, None)
        return response

    async def _search(
        self,
        key: str,
        attempt: CreateAttempt,
        creation: IncidentCreation,
        keep: Callable[[IncidentResponse], Awaitable[None]],
    ) -> IncidentResponse:
        """Search by key once that is due; adopt an incident found, or send again after the last search."""
        since = attempt.since
        if attempt.state == "sending":
            # The process ended while it waited for the answer, which may have taken as long as the timeout.
            since += self._seconds
            if not attempt.unsure:
                attempt = attempt.model_copy(update={"unsure": True})
                await self._plan_sweeps(key, since)
                await self._put(key, attempt)
        now = self._clock()
        if (due := _due(since, self._searched.get(key))) > now:
            raise _later(due - now)
        found = await creation.search(attempt.mark, attempt.first)
        now = self._searched[key] = self._clock()
        if found:
            log.info("adopted what an earlier create had made", key=key, incident=found[0].id)
            return await self._made(key, attempt, found[0], keep)
        if attempt.state == "not sent" or now - since >= timedelta(seconds=SEARCHES[-1]):
            return await self._send(key, creation, keep, attempt)
        raise _later(_due(since, now) - now)

    async def _plan_sweeps(self, key: str, since: datetime) -> None:
        async with self._sweeping:
            planned = [sweep for sweep in await self._sweeps() if sweep.key != key]
            planned += [DuplicateSweep(key=key, at=since + after) for after in SWEEPS]
            await self._store.set(SWEPT, _SWEEPS.dump_json(planned).decode())

    async def _sweeps(self) -> list[DuplicateSweep]:
        fact = await self._store.get(SWEPT)
        return [] if fact is None else _SWEEPS.validate_json(fact)

    async def due(self) -> Sequence[str]:
        """Return the keys whose sweep is due."""
        now = self._clock()
        return list(dict.fromkeys(sweep.key for sweep in await self._sweeps() if sweep.at <= now))

    async def swept(self, key: str) -> None:
        """Remove the key's sweeps that were due; later ones stay."""
        now = self._clock()
        async with self._sweeping:
            left = [s for s in await self._sweeps() if s.key != key or s.at > now]
            await self._store.set(SWEPT, _SWEEPS.dump_json(left).decode())


def _name(key: str) -> str:
    return f"devrev/create/{key}"


def _due(since: datetime, searched: datetime | None) -> datetime:
    """Return the time of the next search: the first of `SEARCHES`, or the next one after `searched`."""
    times = [since + timedelta(seconds=seconds) for seconds in SEARCHES]
    if searched is None:
        return since + timedelta(seconds=SEARCHES[0])
    return next((time for time in times if time > searched), searched)


def _later(wait: timedelta) -> OutcomeUnknown:
    return OutcomeUnknown("DevRev may have made it, and is being asked.", wait.total_seconds())
