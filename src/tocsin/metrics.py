"""Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from tocsin import __version__

ANSWERS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 3.0)
"""Buckets up to three seconds, the time that Slack waits for an acknowledgement."""

REFERENCES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 10.0, 30.0, 60.0, 600.0, 3600.0)
OUTCOMES = ("answered", "failed", "stranger", "malformed")


class _BeforeEachLook(Collector):
    """Collector of nothing, which the registry asks before all that are registered after it."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def describe(self) -> Iterable[Metric]:
        """Return no names, so that being registered is no look yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        self._act()
        return ()


class Metrics:
    """Metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._unused: list[str] = []
        self.registry.register(_BeforeEachLook(self._create_series))
        self._gauge("tocsin_build_info", "Version of Tocsin.", ["version"]).labels(__version__).set(1)
        self._pending = self._gauge(
            "tocsin_pending_declarations", "Declarations that are saved and not finished.", []
        )
        self._declarations = self._counter(
            "tocsin_declarations",
            "Declarations that came to their end, by how: declared, already or refused.",
            ["outcome"],
        )
        self._calls = self._counter(
            "tocsin_slack_calls",
            "Calls to Slack, by how they ended: ok, limited, refused, unavailable or lost.",
            ["method", "outcome"],
        )
        self._limited = self._counter(
            "tocsin_slack_limited", "Calls that Slack answered with 429.", ["method"]
        )
        paged = "Events sent to paging services, by how they ended: sent, refused or unavailable."
        self._pages = self._counter("tocsin_pages", paged, ["service", "action", "outcome"])
        self._requests = self._counter(
            "tocsin_requests",
            "Requests of Slack's, by how they ended: answered, failed, stranger or malformed.",
            ["route", "outcome"],
        )
        took = "From when a request came until its answer was written out."
        self._answers = self._histogram("tocsin_acknowledgement_seconds", took, ["route"], ANSWERS)
        seen = "From the press of Declare until its reporter could see the incident's reference."
        self._references = self._histogram("tocsin_visible_reference_seconds", seen, [], REFERENCES)
        self._nudges = self._counter("tocsin_nudges", "Nudges: sent, snoozed, acted on.", ["kind", "outcome"])
        self._turned_away = self._counter(
            "tocsin_http_turned_away",
            "HTTP requests that no listener saw, by the status they were answered with.",
            ["status"],
        )
        self._count_integrations()
        # Cached, because the library looks up a series under a lock each time.
        self._request = cache(self._requests.labels)
        self._answer = cache(self._answers.labels)
        self._call = cache(self._calls.labels)

    def _count_integrations(self) -> None:
        """Create the metrics of what comes in from other systems, and of what goes out to them."""
        asked = "Requests to the API by key, endpoint and status."
        self._api = self._counter("tocsin_api_requests", asked, ["key", "endpoint", "status"])
        self._alerts = self._counter("tocsin_alerts", "Alert events taken in.", ["source", "status"])
        self._attached = self._counter(
            "tocsin_alerts_attached", "Alerts that were attached to an incident.", ["source"]
        )
        self._by_alerts = self._counter(
            "tocsin_alert_declarations", "Incidents that alerts declared.", ["source"]
        )
        sent = "Webhooks, by how an attempt ended: delivered, failed, given_up, disabled or withheld."
        self._webhooks = self._counter("tocsin_webhooks", sent, ["endpoint", "outcome"])
        self._waiting = self._gauge(
            "tocsin_pending_webhooks", "Webhooks that are still to be delivered.", ["endpoint"]
        )

    def _gauge(self, name: str, says: str, labels: list[str]) -> Gauge:
        return Gauge(name, says, labels, registry=self.registry)

    def _counter(self, name: str, says: str, labels: list[str]) -> Counter:
        return Counter(name, says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, says, labels, buckets=buckets, registry=self.registry)

    def export_routes(self, routes: Iterable[str]) -> None:
        """Have a series for every route, so that an unused one is exported as zero.

        They are created when they are first looked at: more than a thousand objects, for which a start has
        no time.
        """
        self._unused += routes

    def _create_series(self) -> None:
        for route in self._unused:
            self._answer(route)
            for outcome in OUTCOMES[:2]:
                self._request(route, outcome)
        self._unused.clear()

    def count_request(self, route: str, outcome: str) -> None:
        self._request(route, outcome).inc()

    def observe_acknowledgement(self, route: str, seconds: float) -> None:
        self._answer(route).observe(seconds)

    def observe_reference(self, seconds: float) -> None:
        self._references.observe(seconds)

    def count_turned_away(self, status: int) -> None:
        self._turned_away.labels(str(status)).inc()

    def set_pending(self, count: int) -> None:
        self._pending.set(count)

    def count_declaration(self, outcome: str) -> None:
        self._declarations.labels(outcome).inc()

    def count_nudge(self, kind: str, outcome: str) -> None:
        self._nudges.labels(kind, outcome).inc()

    def count_page(self, service: str, action: str, outcome: str) -> None:
        self._pages.labels(service, action, outcome).inc()

    def count_webhook(self, endpoint: str, outcome: str) -> None:
        self._webhooks.labels(endpoint, outcome).inc()

    def set_pending_webhooks(self, endpoint: str, count: int) -> None:
        self._waiting.labels(endpoint).set(count)

    def count_api_request(self, key: str, endpoint: str, status: int) -> None:
        self._api.labels(key, endpoint, str(status)).inc()

    def count_alert(self, source: str, status: str) -> None:
        self._alerts.labels(source, status).inc()

    def count_attached_alerts(self, source: str, count: int) -> None:
        self._attached.labels(source).inc(count)

    def count_alert_declaration(self, source: str) -> None:
        self._by_alerts.labels(source).inc()

    def count_call(self, method: str, outcome: str) -> None:
        self._call(method, outcome).inc()
        if outcome == "limited":
            self._limited.labels(method).inc()
