"""Figures for Prometheus. What the database knows is read when it is asked for, so every server tells the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from fair_diffusion.service.database import Database
from fair_diffusion.service.figures import MEMORY, SECONDS, TIMES, WAITS
from fair_diffusion.service.job import STATES
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.served_model import served_models, workers_seen


class Metrics:
    """The figures of one server.

    Args:
        database: of the service.
    """

    def __init__(self, database: Database) -> None:
        self.registry, self._streams = CollectorRegistry(), CollectorRegistry()
        self.registry.register(_Stored(database))
        self._streams.register(_Streams(database))
        self._requests = Counter(
            "fair_diffusion_requests", "requests by route and status", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "fair_diffusion_request_seconds", "time to answer", ["route"], buckets=SECONDS, registry=self.registry
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request; status 0: the client was gone."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, *, streams: bool) -> bytes:
        """The figures, as Prometheus reads them; with those of streams, whose names may quote prompts of any key."""
        return generate_latest(self.registry) + (generate_latest(self._streams) if streams else b"")


class _OfDatabase(Collector):
    """Figures of a database, read when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        """Nothing yet: figures that are not known before they are asked for."""
        return []


class _Stored(_OfDatabase):
    """What the database knows of jobs, models and workers."""

    def collect(self) -> Iterator[Metric]:
        """All of them now."""
        counts = Jobs(self._database).counts()
        found = GaugeMetricFamily("fair_diffusion_jobs", "jobs by kind and state", labels=["kind", "state"])
        for kind in sorted({kind for kind, _ in counts}):
            for state in STATES:
                found.add_metric([kind, state], counts.get((kind, state), 0))
        yield found
        ready = GaugeMetricFamily("fair_diffusion_model_ready", "whether a worker has the model", labels=["model"])
        batch = GaugeMetricFamily("fair_diffusion_batch", "images in one batch at most", labels=["model"])
        step = GaugeMetricFamily(
            "fair_diffusion_image_step_seconds",
            "a step of one image by the size of the batch, measured when a worker started",
            labels=["model", "batch"],
        )
        for model in served_models(self._database):
            ready.add_metric([model.name], model.ready)
            batch.add_metric([model.name], model.batch)
            for size, seconds in model.image_step.items():
                step.add_metric([model.name, size], seconds)
        yield from (ready, batch, step)
        yield from self._workers()

    def _workers(self) -> Iterator[Metric]:
        """What workers that are there told of themselves since they began."""
        seen = [(name, model.figures) for name, model in workers_seen(self._database) if model.ready and model.figures]
        for part, said in TIMES.items():
            family = SummaryMetricFamily(f"fair_diffusion_{part}_seconds", said, labels=["worker"])
            for name, figures in seen:
                if part in figures:  # a worker of another version may have others
                    family.add_metric([name], int(figures[part][0]), figures[part][1])
            yield family
        for part, said in WAITS.items():
            spread = HistogramMetricFamily(f"fair_diffusion_{part}_seconds", said, labels=["worker"])
            for name, figures in seen:
                if part in figures:
                    count, total, *upto = figures[part]
                    buckets = [*zip(map(str, SECONDS), upto, strict=True), ("+Inf", count)]
                    spread.add_metric([name], buckets, total)
            yield spread
        memory = GaugeMetricFamily("fair_diffusion_peak_memory_bytes", "at most so far", labels=["worker", "place"])
        for name, figures in seen:
            for place in MEMORY:
                if place in figures:
                    memory.add_metric([name, place], figures[place][0])
        yield memory


class _Streams(_OfDatabase):
    """What the database knows of streams."""

    def collect(self) -> Iterator[Metric]:
        """All of them now."""
        labels = ["stream", "rule", "model", "attributes", "group"]
        images = GaugeMetricFamily(
            "fair_diffusion_images", "images of each stream by group", labels=[*labels, "counted"]
        )
        apart = GaugeMetricFamily(
            "fair_diffusion_stream_deviation",
            "total variation of the judged groups of a stream from its target",
            labels=labels[:4],
        )
        streams = defaultdict(list)
        for row in DatabaseLedger(self._database).rows():
            streams[tuple(streams_key(row))].append(row)
            for counted in ("asked", "perceived", "judged"):
                images.add_metric([*streams_key(row), row.group, counted], getattr(row, counted))
        for key, rows in streams.items():
            if judged := sum(row.judged for row in rows):
                apart.add_metric(list(key), sum(abs(row.judged / judged - float(row.share)) for row in rows) / 2)
        yield images
        yield apart


def streams_key(row: object) -> list[str]:
    """Number, rule, model and attributes of a row of the ledger. Streams of other targets differ in the number."""
    return [str(getattr(row, name)) for name in ("stream", "rule", "model", "attributes")]
