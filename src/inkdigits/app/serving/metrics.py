"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TOGETHER = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server, apart from those of any other in the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "inkdigits_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "inkdigits_request_seconds", "Time to the end of an answer.", ["route"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.pictures = Counter(
            "inkdigits_pictures", "Pictures by what became of them.", ["outcome"], registry=self.registry
        )
        self.digits = Counter("inkdigits_digits", "Digit images told by /v1/digits.", registry=self.registry)
        self.together = Histogram(
            "inkdigits_batch_requests", "Requests answered by one call.", buckets=TOGETHER, registry=self.registry
        )
        self.model = Gauge("inkdigits_model", "The model that reads.", ["name", "version"], registry=self.registry)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Show what `value` says whenever somebody looks."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        text: bytes = generate_latest(self.registry)
        return text
