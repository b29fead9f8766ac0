"""Sender of webhooks: what the outbox has for each endpoint, in order for each incident."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime

from tocsin.backends.local.deliveries import Deliveries
from tocsin.incidents.webhooks import WebhookDelivery
from tocsin.webhooks.client import EndpointResponse
from tocsin.webhooks.endpoints import Endpoint
from tocsin.webhooks.signing import signed_headers
from tocsin.workflows.ports import Alerts, Clock
from tocsin.workflows.retry import best_effort, retry

LOOK_SECONDS = 1.0
"""Seconds between two looks into the outbox while nothing is sent; another process may write into it."""

AT_ONCE = 5
"""Requests to one endpoint at the same time, each about another incident."""

TIDY_SECONDS = 3600.0

Count = Callable[[str, str], None]
"""Counts an attempt: the endpoint, and the outcome."""


class WebhookSender:
    """Sender to all endpoints, on the replica that leads.

    An event whose answer is lost, or whose sender is killed, is sent again with the same id: at least once.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        deliveries: Deliveries,
        clock: Clock,
        alerts: Alerts,
        *,
        check: Callable[[], None],
        count: Count,
        set_pending: Callable[[str, int], None],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`check` raises Unavailable where another replica may be the sender by now."""
        self._look_seconds = look_seconds
        self.endpoints = tuple(endpoints)
        self.deliveries = deliveries
        self._clock = clock
        self._alerts = alerts
        self._check = check
        self._count = count
        self._set_pending = set_pending

    async def run(self) -> None:
        """Send what is due, forever."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self.endpoints:
                group.create_task(self._serve(endpoint))
            group.create_task(self._tidy())

    async def _serve(self, endpoint: Endpoint) -> None:
        """Send what is due to one endpoint, forever."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                async with best_effort("look for webhooks to send"):
                    await self._begin(endpoint, running)
                if running:
                    await asyncio.wait(
                        running.values(), timeout=self._look_seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(self._look_seconds)
                for incident in [incident for incident, task in running.items() if task.done()]:
                    del running[incident]
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def _begin(self, endpoint: Endpoint, running: dict[str, asyncio.Task[None]]) -> None:
        """Begin deliveries, of incidents to which none is under way."""
        if len(running) >= AT_ONCE or await self.deliveries.is_disabled(endpoint.name, endpoint.client.url):
            return
        # As many again as may be under way, since those are among the first.
        due = await self.deliveries.due(endpoint.name, self._clock(), 2 * AT_ONCE)
        for event_id, incident in due:
            if incident not in running and len(running) < AT_ONCE:
                running[incident] = asyncio.create_task(self._deliver(endpoint, event_id))

    async def _deliver(self, endpoint: Endpoint, event_id: int) -> None:
        async with best_effort("send a webhook"):
            self._check()
            # Read at the last moment: the incident may have become private since the event.
            delivery = await self.deliveries.find(event_id, endpoint.name)
            if delivery is None or delivery.state != "pending":
                return
            if delivery.event_type not in endpoint.subscription.events:
                withheld = "the incident is private"
                await self._save(delivery.model_copy(update={"state": "withheld", "answer": withheld}))
                self._count(endpoint.name, "withheld")
                return
            # Whatever goes wrong is an attempt: else it would be made again at each look, without end.
            answer = EndpointResponse(None, "it could not be sent; Tocsin's log says why")
            async with best_effort("post a webhook"):
                answer = await post(endpoint, delivery.webhook_id, delivery.payload, self._clock())
            await self._record(endpoint, delivery, answer)

    async def _record(self, endpoint: Endpoint, delivery: WebhookDelivery, answer: EndpointResponse) -> None:
        """Record an answer; plan the next attempt, or tell the operator that there is none."""
        now, about = self._clock(), f"webhook {endpoint.name}"
        found = {"status": answer.status, "answer": answer.said, "tried_at": now}
        tried = delivery.model_copy(update={**found, "attempts": delivery.attempts + 1})
        if answer.is_success:
            await self._save(tried.model_copy(update={"state": "delivered"}))
            self._count(endpoint.name, "delivered")
            self._alerts.resolve(about)
            return
        if answer.status == 410:
            await self.deliveries.disable(endpoint.name, endpoint.client.url, now)
            await self._save(tried.model_copy(update={"state": "failed"}))
            self._count(endpoint.name, "disabled")
            self._alerts.raise_alert(about, gone(endpoint.name))
            return
        after = delivery.next_attempt(now, random.uniform(0.9, 1.1), answer.retry_after)
        if after is not None:
            await self._save(tried.model_copy(update={"due_at": after}))
            self._count(endpoint.name, "failed")
            return
        await self._save(tried.model_copy(update={"state": "failed"}))
        self._count(endpoint.name, "given_up")
        self._alerts.raise_alert(about, given_up(endpoint.name))

    async def _save(self, delivery: WebhookDelivery) -> None:
        """Record a delivery for as long as it takes: it would be made again without end otherwise."""
        await retry(self.deliveries.save, delivery, attempts=None)

    async def _tidy(self) -> None:
        """Give up and forget what is old, and count what waits, forever."""
        waited = 0.0
        async with best_effort("look which webhooks are next"):
            await retry(self.deliveries.mark_next, attempts=None)
        while True:
            for endpoint in self.endpoints:
                async with best_effort("count webhooks"):
                    self._set_pending(endpoint.name, await self.deliveries.count_pending(endpoint.name))
            await asyncio.sleep(TIDY_SECONDS / 60)
            waited += TIDY_SECONDS / 60
            # Not at once: after a long stop everything is tried before anything is given up.
            if waited >= TIDY_SECONDS:
                waited = 0.0
                async with best_effort("tidy the log of webhooks"):
                    await self.deliveries.tidy(self._clock())


async def post(endpoint: Endpoint, webhook_id: str, payload: str, now: datetime) -> EndpointResponse:
    """Send a signed request once; the time is that of the attempt."""
    body = payload.encode()
    return await endpoint.client.post(body, signed_headers(endpoint.keys, webhook_id, now.timestamp(), body))


def gone(name: str) -> str:
    """Return the alert for an endpoint that wants nothing any more."""
    return (
        f"The endpoint of the webhook {name} answered 410 (gone), so nothing is sent to it any more. Take it "
        f"out of the configuration; or, once it works, run: tocsin webhooks test {name}"
    )


def given_up(name: str) -> str:
    """Return the alert for events that an endpoint did not take for a day."""
    return (
        f"The endpoint of the webhook {name} did not take an event for a day. It was given up, and the next "
        "one is tried. To see what it answers, and to send it again: tocsin webhooks list"
    )
