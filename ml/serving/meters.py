"""What the server measures of itself, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ml.registry.live import Live

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Meters:
    """The counters of one application; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tradewind_requests", "Requests answered.", ("use_case", "verb", "status"), registry=self.registry
        )
        self.latency = Histogram(
            "tradewind_request_seconds",
            "Time from the request to its answer [s].",
            ("use_case", "verb"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.model = Gauge(
            "tradewind_model_info", "1 for the version that is served.", ("use_case", "digest"), registry=self.registry
        )
        self.sequence = Gauge(
            "tradewind_model_ledger_seq", "Ledger entry of the served version.", ("use_case",), registry=self.registry
        )
        self._failures = Counter(
            "tradewind_model_load_failures",
            "Looks at a channel or at the histories that failed, and versions refused.",
            ("use_case", "part", "kind"),
            registry=self.registry,
        )
        self._connections = Counter(
            "tradewind_connections_closed",
            "Connections that were closed because a phase took too long, or because there were too many.",
            ("reason",),
            registry=self.registry,
        )
        self._log_lines = Gauge(
            "tradewind_request_log_lines", "Lines of the request log.", ("state",), registry=self.registry
        )
        self._log_bytes = Gauge(
            "tradewind_request_log_waiting_bytes", "What waits for the object store [bytes].", registry=self.registry
        )

    def serving(self, live: Live, previous: Live | None) -> None:
        """Note which version answers now."""
        if previous is not None and previous.digest != live.digest:
            self.model.remove(live.use_case, previous.digest)
        self.model.labels(live.use_case, live.digest).set(1)
        self.sequence.labels(live.use_case).set(live.seq)

    def look_failed(self, use_case: str, part: str, kind: str) -> None:
        """Note that the newest version or state could not be served."""
        self._failures.labels(use_case, part, kind).inc()

    def connection_closed(self, reason: str) -> None:
        """Note that a connection was closed from this side, and why."""
        self._connections.labels(reason).inc()

    def request_log(self, written: int, dropped: int, refused: int, waiting_bytes: int) -> None:
        """Note the state of the request log."""
        self._log_lines.labels("written").set(written)
        self._log_lines.labels("dropped").set(dropped)
        self._log_lines.labels("refused").set(refused)
        self._log_bytes.set(waiting_bytes)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)
