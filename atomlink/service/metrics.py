"""What Prometheus reads: base units, `_total`, no label of a user (accounting is a call of its own)."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from atomlink.service.states import DONE, ERROR, FINAL, RUNNING, TRANSITIONS
from atomlink.service.store import Row, Store

METHODS = {"GET", "POST", "PUT", "DELETE", "HEAD"}


class _Queue(Collector):
    """The jobs in each state, read when asked for."""

    def __init__(self, store: Store, labs: tuple[str, ...]) -> None:
        self._store, self._labs = store, labs

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the gauge."""
        gauge = GaugeMetricFamily("atomlink_jobs", "Jobs by lab and state.", labels=("lab", "state"))
        counts = self._store.counts()
        for lab in self._labs:
            for state in TRANSITIONS:
                gauge.add_metric((lab, state.lower()), counts.get((lab, state), 0))
        return [gauge]


class Metrics:
    """The counters of one service."""

    def __init__(self, store: Store, labs: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("atomlink_http_requests", "Requests by method and status.", ("method", "status"),
                                 registry=self.registry)  # fmt: skip
        self._took = Histogram("atomlink_http_request_duration_seconds", "From a request's head to its answer.",
                               buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0),
                               registry=self.registry)  # fmt: skip
        self._ended = Counter("atomlink_jobs_ended", "Jobs that have ended, by lab and state.", ("lab", "state"),
                              registry=self.registry)  # fmt: skip
        self._run = Counter("atomlink_job_run_seconds", "Time that jobs had on a lab.", ("lab",),
                            registry=self.registry)  # fmt: skip
        self._wait = Histogram("atomlink_job_wait_seconds", "From the acknowledgement of a job to its begin.", ("lab",),
                               buckets=(0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36e3), registry=self.registry)  # fmt: skip
        self._shots = Counter("atomlink_shots", "Shots of jobs that have ended.", ("lab",), registry=self.registry)
        for lab in labs:
            for state in (DONE, ERROR):
                self._ended.labels(lab, state.lower())
            self._run.labels(lab)
            self._shots.labels(lab)
        self.registry.register(_Queue(store, labs))
        self._seen: dict[int, str] = {}
        store.listeners.append(self._job)

    def request(self, method: str, status: int, took_s: float) -> None:
        """Count a request."""
        self._requests.labels(method if method in METHODS else "other", str(status)).inc()
        self._took.observe(took_s)

    def _job(self, job: Row) -> None:
        state, lab = job["state"], job["lab"]
        if state == RUNNING and self._seen.get(job["id"]) != state:
            self._seen[job["id"]] = state
            self._wait.labels(lab).observe(max(0.0, (job["started_at"] or time.time()) - job["created_at"]))
        if job["ended_at"] is not None and state in FINAL:
            self._seen.pop(job["id"], None)
            self._ended.labels(lab, state.lower()).inc()
            if job["started_at"] is not None:
                self._run.labels(lab).inc(max(0.0, job["ended_at"] - job["started_at"]))
            self._shots.labels(lab).inc(job["shots"] or 0)

    def text(self) -> tuple[bytes, str]:
        """Return what is scraped, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
