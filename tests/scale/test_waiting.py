"""How many workers of a service what waits asks for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fair_diffusion.scale.ray_serve import METRIC, PATIENCE, SETTLE, by_waiting
from fair_diffusion.scale.waiting import UNKNOWN, seconds_waiting, workers_for
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.worker_kind import kind_of

MODEL = ServedModel(
    name="m", width=8, height=8, grain=8, steps=10, guidance=2.0, attributes=[], passes=2, weights="", batch=4
)


def test_what_waits_is_cost_times_what_an_evaluation_takes(database: Database) -> None:
    quick = ServedModel(**{**vars(MODEL), "name": "quick", "image_step": {"1": 0.4, "4": 0.2}})
    jobs = Jobs(database)
    with Presence(database, "w", [MODEL, quick]):
        assert seconds_waiting(database) == 0.0
        for _ in range(3):
            jobs.put(kind_of("quick"), {"x": 1}, cost=20.0)
        assert seconds_waiting(database) == pytest.approx(60 * 0.2 / 2)
        jobs.put(kind_of("m"), {"x": 1}, cost=20.0)
        assert seconds_waiting(database) == pytest.approx(6 + 20 * UNKNOWN)
        jobs.put("cell", {"x": 1}, cost=1e9)  # not the service's
        jobs.cancel(jobs.newest()[-1].id)
        assert seconds_waiting(database) == pytest.approx(4 + 20 * UNKNOWN)


@pytest.mark.parametrize(("seconds", "wanted"), [(0, 1), (29, 1), (30, 1), (31, 2), (149, 5), (1e9, 8)])
def test_workers_draw_what_waits_within_the_patience(seconds: float, wanted: int) -> None:
    assert workers_for(seconds, patience=30.0, least=1, most=8) == wanted


def test_replicas_grow_at_once_and_shrink_after_a_while() -> None:
    def context(waiting: dict[str, float], now: int, at: float, state: dict[str, Any]) -> Any:
        bounds = {"capacity_adjusted_min_replicas": 1, "capacity_adjusted_max_replicas": 4}
        told = {"aggregated_metrics": {METRIC: waiting}, "target_num_replicas": now, "current_time": at}
        return SimpleNamespace(**bounds, **told, policy_state=state)

    number, state = by_waiting(context({"a": 2.5 * PATIENCE}, 1, 0.0, {}))
    assert number == 3
    number, state = by_waiting(context({"a": 0.0, "b": 1.0}, 3, 10.0, state))
    assert number == 3
    number, state = by_waiting(context({"a": 0.0}, 3, 9.0 + SETTLE, state))
    assert number == 3
    number, state = by_waiting(context({"a": 2.9 * PATIENCE}, 3, 9.5 + SETTLE, state))  # more came: it begins anew
    assert number == 3
    number, state = by_waiting(context({"a": 0.0}, 3, 10.0 + SETTLE, state))
    assert number == 3
    number, state = by_waiting(context({"a": 0.0}, 3, 10.0 + 2 * SETTLE, state))
    assert number == 1
    assert by_waiting(context({}, 2, 0.0, {}))[0] == 2  # nobody said anything yet
