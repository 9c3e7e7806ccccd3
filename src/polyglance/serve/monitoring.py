"""Metrics of the server: counters in the text form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one server; each has a registry of its own.

    Args:
        running: How many requests run now.
        items: How many items the index has now.
    """

    def __init__(self, *, running: Callable[[], int], items: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "requests",
            "Answered requests.",
            ("endpoint", "status"),
            registry=self._registry,
            namespace="polyglance",
        )
        self._seconds = Histogram(
            "request_seconds",
            "Time of a request.",
            ("endpoint",),
            buckets=SECONDS,
            registry=self._registry,
            namespace="polyglance",
        )
        self.batch = Histogram(
            "batch_queries",
            "Queries that the encoder took at once.",
            buckets=SIZES,
            registry=self._registry,
            namespace="polyglance",
        )
        for name, said, value in (
            ("running_requests", "Requests that run now.", running),
            ("index_items", "Items of the index.", items),
        ):
            gauge = Gauge(name, said, registry=self._registry, namespace="polyglance")
            gauge.set_function(partial(_number, value))

    def answered(self, endpoint: str, *, status: int, seconds: float) -> None:
        """Note one request.

        Args:
            endpoint: The route, not the address: there are few of them.
            status: HTTP's.
            seconds: From its arrival to the end of its answer.
        """
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def text(self) -> bytes:
        """All counters."""
        return generate_latest(self._registry)


def _number(value: Callable[[], int]) -> float:
    return float(value())
