"""The benchmark of `benchmarks/families.md` on a small UNet: what is counted is exact, and the work is the same."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor, Future
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from benchmarks import families
from benchmarks.families import WAYS, Bench, Run, peak, peaks, report, take_turns, verdict
from benchmarks.random_sd import build
from fair_diffusion.statistics.distance import pixel_differences

IMAGES, STEPS = 2, 5


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return build((32, 32, 32, 32), width=32, side=8)


@pytest.fixture(scope="module")
def runs(pipeline: Any) -> list[Run]:
    (turn,) = take_turns(Bench(pipeline), images=IMAGES, steps=STEPS, turns=1)
    return turn


def test_evaluations(runs: list[Run]) -> None:
    """Two per step, and two for the concepts: not in the one step of warm-up, or in the window for one image of two."""
    assert [run.evaluations for run in runs] == [5 * 4, 5 * 4, 2 + 4 * 4, (5 * 2 + 5 * 2 + 3 * 2) / 2, 5 * 2]


def test_the_work_is_the_same(runs: list[Run]) -> None:
    theirs, ours, *others = (run.pictures for run in runs)
    assert pixel_differences(theirs, ours)[:, 1].max() <= 1 / 255
    for other in others:  # other pictures of the same seeds
        assert pixel_differences(ours, other)[:, 1].min() > 1 / 255


def test_seconds_in_networks_are_part_of_all(runs: list[Run]) -> None:
    assert all(0 < run.inside < run.seconds for run in runs)


def test_the_model_is_as_large_as_stable_diffusion() -> None:
    """859.52 million weights, counted without making them."""
    with torch.device("meta"):
        unet = build().unet
    assert isinstance(unet, UNet2DConditionModel)
    assert sum(weights.numel() for weights in unet.parameters()) == 859_520_964


def test_report(runs: list[Run]) -> None:
    turns = [
        [dataclasses.replace(run, seconds=s, inside=i) for run, s, i in zip(runs, seconds, inside, strict=True)]
        for seconds, inside in (
            ([10.0, 10.1, 9.5, 6.0, 5.0], [9.9, 9.9, 9.0, 5.9, 4.8]),
            ([20.0, 20.4, 18.2, 14.0, 10.0], [19.0, 20.0, 18.0, 13.9, 9.9]),
            ([10.0, 10.3, 9.0, 6.6, 5.2], [9.9, 10.2, 8.9, 6.5, 5.0]),
        )
    ]
    memory = [[4.0, 4.0, 3.0, 5.0, 4.0], [4.0, 3.9, 2.0, 6.0, 4.1], [5.0, 5.1, 3.0, 5.5, 5.0]]
    held = [[int(gib * 2**30) for gib in turn] for turn in memory]
    lines = report(turns, held, images=IMAGES, steps=STEPS)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == [way.name for way in WAYS]
    assert rows[0][4] == rows[0][7] == rows[0][9] == ""
    assert rows[1][1:8] == [
        "20 (1.00×)",
        "10.3 (10.1 to 20.4)",
        "1.020× (1.010× to 1.030×)",
        "≤ 1.02×: meets",
        "4.00 (3.90 to 5.10) GiB",
        "1.000× (0.975× to 1.020×)",
        "≤ 1.00×: meets",
    ]
    assert rows[2][1] == "18 (0.90×)"
    assert [row[4] for row in rows[2:]] == ["≤ 0.92×: meets", "≤ 0.65×: misses", "≤ 0.65×: meets"]
    assert [row[7] for row in rows[2:]] == ["≤ 1.00×: meets", "≤ 1.00×: misses", "≤ 1.00×: meets"]
    assert [row[9] for row in rows[3:]] == ["≤ 3%: meets", "≤ 3%: misses"]


def test_memory_is_weighed_way_by_way_in_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    size: dict[str, Any] = {"channels": (32, 32, 32, 32), "width": 32, "side": 8}
    assert 100 * 2**20 < peak(1, IMAGES, STEPS, **size) < 16 * 2**30
    weighed: list[int] = []

    class Here(Executor):
        """Runs in this process, and says that each way took as many bytes as ways were weighed."""

        def __init__(self, workers: int, **settings: Any) -> None:
            assert (workers, settings["max_tasks_per_child"]) == (1, 1)

        def submit(self, task: Any, /, way: int, *asked: Any, **more: Any) -> Future[int]:  # type: ignore[override]
            assert (task, asked, more) == (peak, (IMAGES, STEPS), size)
            weighed.append(way)
            done: Future[int] = Future()
            done.set_result(len(weighed))
            return done

    monkeypatch.setattr(families, "ProcessPoolExecutor", Here)
    assert peaks(IMAGES, STEPS, 2, **size) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    assert weighed == [0, 1, 2, 3, 4] * 2


def test_verdict() -> None:
    assert verdict(0.651, 0.65, "{:.2f}×") == "≤ 0.65×: misses"
    assert verdict(0.65, 0.65, "{:.2f}×") == "≤ 0.65×: meets"
