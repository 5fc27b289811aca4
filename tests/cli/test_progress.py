"""The progress of what takes long: a bar on a terminal, else lines now and then; short work shows neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.progress import Progress, TaskID

from fair_diffusion.backbones import StepInfo
from fair_diffusion.cli import progress

Move = tuple[str, float, float | None, bool]


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[Move]:
    """What the bar shows after each move: description, done, whole, and whether it is to be seen."""
    seen: list[Move] = []

    class Bar(Progress):
        def update(self, task_id: TaskID, **told: Any) -> None:
            super().update(task_id, **told)
            (task,) = self.tasks
            seen.append((task.description, task.completed, task.total, task.visible))

    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes this for a terminal
    monkeypatch.setattr(progress, "Progress", Bar)
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    return seen


def test_denoising_counts_steps_and_not_the_runs_that_only_look_ahead(moves: list[Move]) -> None:
    with progress.denoising(2, 5) as step:
        for steps in (3, *[5] * 6):
            step(StepInfo(range(2), 0, steps, 0.0, torch.zeros(0), lambda: torch.zeros(0)))
    assert moves[:1] == [("moving the noise", 0, 10, True)]
    assert moves[1:3] == [("denoising", 2, 10, True), ("denoising", 4, 10, True)]
    assert moves[-1:] == [("denoising", 12, 12, True)]  # repairs are steps more


def test_counting_and_several_kinds_of_work_in_turn(moves: list[Move]) -> None:
    with progress.counting("reading") as count:
        count(3, None)
        count(4, 8)
    with progress.working() as work:
        work("reading", 1, 2)
        work("moving", 0.5, 3)
    assert moves == [
        ("reading", 3, None, True),
        ("reading", 4, 8, True),
        ("reading", 1, 2, True),
        ("moving", 0.5, 3, True),
    ]


def test_short_work_shows_no_bar(moves: list[Move], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 600.0)
    with progress.counting("reading") as count:
        count(1, 2)
    assert moves == [("reading", 1, 2, False)]


def test_without_a_terminal_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 16.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr("fair_diffusion.cli.progress.time.monotonic", lambda: next(clock))
    with progress.working() as work:
        work("denoising", 10, 960)
        work("denoising", 240, 960)
        work("denoising", 300, 960)
        work("reading", 7, None)
        work("denoising", 960, 960)
    assert capsys.readouterr().err.splitlines() == [
        "denoising: 240 of 960, about 47 s left",
        "reading: 7",
        "denoising: 960 of 960",
    ]


def test_what_was_there_before_says_nothing_of_the_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 16.0, 40.0])
    monkeypatch.setattr("fair_diffusion.cli.progress.time.monotonic", lambda: next(clock))
    with progress.counting("drawing") as count:
        for done in (120, 120, 160):
            count(done, 400)
    assert capsys.readouterr().err.splitlines() == [
        "drawing: 120 of 400",
        "drawing: 160 of 400, about 4 min left",  # 40 in 40 s, and 240 to come
    ]


def test_only_what_a_hub_has_is_said_to_be_downloaded(tmp_path: Path) -> None:
    assert progress.loading_text("pocket") == "loading pocket"
    assert progress.loading_text(str(tmp_path)) == f"loading {tmp_path}"
    assert progress.loading_text("owner/name") == "loading owner/name (downloaded first if it is not cached)"
