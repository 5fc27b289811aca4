"""A service on Ray Serve: the API as its ingress, and workers as replicas whose number follows the cost that waits.

Serve carries requests to the API and runs workers. The queue, its caps, cancelling and the ledger stay in the database:
Serve's own queue would answer 503 in plain text, and would cancel a coroutine but not the thread that draws.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from fair_diffusion.scale.ray_actors import ray_library
from fair_diffusion.scale.waiting import seconds_waiting, workers_for
from fair_diffusion.service.database import Database
from fair_diffusion.service.worker import Worker

LOG = logging.getLogger("fair_diffusion.scale")
NAME = "fair-diffusion"
"""The name of the application on Serve."""
PATIENCE = 30.0
"""Seconds in which replicas are to draw what waits; more of it starts more replicas."""
SETTLE = 60.0
"""Seconds without more to do after which a replica is let go."""
AT_ONCE = 1000
"""Requests that the API answers at once. Its own queue refuses more jobs than it may hold."""
METRIC = "seconds_waiting"
READY = "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"


class Api:
    """The API as the ingress. `workers` is the deployment that draws; it is bound here so that both are one whole."""

    def __init__(self, build: Callable[[], Any], workers: Any) -> None:
        self._build, self._workers = build, workers

    def __serve_build_asgi_app__(self) -> Any:
        return self._build()


class Replica:
    """One worker. No request reaches it: it claims jobs."""

    def __init__(self, build: Callable[[], tuple[Worker, Database]], grace: float) -> None:
        self._worker, self._database = build()
        self._grace = grace
        self._thread = threading.Thread(target=self._worker.run, name="worker", daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Serve replaces a replica whose worker has ended."""
        if not self._thread.is_alive():
            raise RuntimeError("the worker has ended")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What waits, for `by_waiting`."""
        return {METRIC: seconds_waiting(self._database)}

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._worker.stop()
            self._thread.join(self._grace + 5.0)


def by_waiting(context: Any) -> tuple[int, dict[str, Any]]:
    """How many replicas there are to be: all of them see the same queue, so the most that one says counts."""
    told = (context.aggregated_metrics or {}).get(METRIC, {})
    bounds = {"least": context.capacity_adjusted_min_replicas, "most": context.capacity_adjusted_max_replicas}
    now = int(context.target_num_replicas)
    wanted = workers_for(max(told.values(), default=0.0), patience=PATIENCE, **bounds)
    state = dict(context.policy_state or {})
    if wanted >= now:
        return wanted, {**state, "less": None}
    since = state.get("less") or context.current_time
    if context.current_time - since < SETTLE:  # a short rest ends no worker, which would load its model again
        return now, {**state, "less": since}
    return wanted, {**state, "less": None}


def start(
    api: Callable[[], Any],
    worker: Callable[[], tuple[Worker, Database]],
    *,
    host: str,
    port: int,
    most: int,
    grace: float,
    gpus: float | None = None,
) -> None:
    """Start the service on the Ray that this process is in, or on a new one of this machine.

    Args:
        api: builds the application; it is called in the replica of the API.
        worker: builds a worker, with its database; it is called in each replica.
        host: of the HTTP proxy.
        port: of the HTTP proxy.
        most: replicas at most.
        grace: seconds in which a worker finishes what it has at its end.
        gpus: of one worker; None: 1 where the cluster has any, else 0.
    """
    os.environ.setdefault(READY, "60")  # a busy machine takes longer than Serve waits as it comes
    ray = ray_library()
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, HTTPOptions

    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level=logging.WARNING)
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
    scaling = AutoscalingConfig(
        min_replicas=1,
        max_replicas=most,
        metrics_interval_s=2.0,
        look_back_period_s=4.0,
        policy=AutoscalingPolicy(policy_function="fair_diffusion.scale.ray_serve:by_waiting"),
    )
    workers = serve.deployment(
        Replica,
        name="workers",
        autoscaling_config=scaling,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        graceful_shutdown_timeout_s=grace + 10.0,
    )
    front = serve.deployment(
        serve.ingress()(Api), name="api", max_ongoing_requests=AT_ONCE, ray_actor_options={"num_cpus": 0.1}
    )
    serve.start(http_options=HTTPOptions(host=host, port=port))
    serve.run(front.bind(api, workers.bind(worker, grace)), name=NAME)


def stop() -> None:
    """End the service: workers finish what fits into their grace time, and give the rest back."""
    ray_library()
    from ray import serve

    serve.delete(NAME)
    serve.shutdown()
