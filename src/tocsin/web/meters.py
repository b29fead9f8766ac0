"""What is counted and measured, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Meters:
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._pending = Gauge(
            "tocsin_pending_declarations",
            "Declarations that are saved and not finished.",
            registry=self.registry,
        )
        self._declarations = Counter(
            "tocsin_declarations",
            "Declarations that came to their end, by how: declared, already or refused.",
            ["outcome"],
            registry=self.registry,
        )
        self._calls = Counter(
            "tocsin_slack_calls",
            "Calls to Slack, by how they ended: ok, limited, refused, unavailable or lost.",
            ["method", "outcome"],
            registry=self.registry,
        )
        self._limited = Counter(
            "tocsin_slack_limited",
            "Calls that Slack answered with 429.",
            ["method"],
            registry=self.registry,
        )

    def pending(self, count: int) -> None:
        self._pending.set(count)

    def ended(self, outcome: str) -> None:
        self._declarations.labels(outcome).inc()

    def called(self, method: str, outcome: str) -> None:
        self._calls.labels(method, outcome).inc()
        if outcome == "limited":
            self._limited.labels(method).inc()
