"""The command line: exit codes, one clear line, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.progress import Progress, TaskID
from typer.testing import CliRunner

from fair_diffusion.backbones import StepInfo
from fair_diffusion.cli import app

run = CliRunner()


def test_explain_prints_quotas() -> None:
    found = run.invoke(app, ["explain", "a doctor", "--instruct", "doctor: half women", "-n", "7", "--json"])
    assert found.exit_code == 0
    target = json.loads(found.stdout)["targets"][0]
    assert sum(target["quotas"].values()) == 7
    assert target["note"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", " "],
        ["explain", "x" * 40_000],
        ["explain", "a doctor", "--instruct", "doctor: 90% women, 90% men"],
        ["explain", "a doctor", "--policy", "missing.yaml"],
        ["generate", " ", "--out", "new"],
        ["generate", "a doctor", "--out", "new", "-n", "0"],
        ["generate", "a doctor", "--out", "new", "-n", "1000000000"],
        ["generate", "a doctor", "--out", "new", "--method", "magic"],
        ["generate", "a doctor", "--out", "new", "--model", "nothing"],
        ["generate", "a doctor", "--out", "full"],
        ["generate", "a doctor", "--out", "full/file/new"],
        ["generate", "a doctor", "--out", "new", "--instruct", ""],
        ["generate", "a doctor", "--out", "new", "--policy", "broken.yaml"],
        ["generate", "a doctor", "--out", "new", "--policy", "broken.yaml", "--instruct", "doctor: half women"],
        ["generate", "a doctor", "a nurse", "--out", "new", "--instruct", "nurse: half young"],
        ["generate", "a doctor \udc80", "--out", "new"],
        ["generate", "a doctor", "--out", "new", "--method", "bottleneck"],
        ["generate", "a doctor", "--out", "new", "--method", "hint", "--file", "full/file"],
        ["generate", "a doctor", "--out", "new", "--method", "edit", "--file", "full/file"],
        ["generate", "a doctor", "--out", "new", "--method", "bottleneck", "--file", "missing.safetensors"],
        ["generate", "a doctor", "--out", "new", "--method", "distribution", "--file", "missing.safetensors"],
    ],
)
def test_wrong_usage(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "broken.yaml").write_text(
        "version: 1\nrules: [{name: a, concepts: [doctor], targets: {hair: uniform}}]"
    )
    found = run.invoke(app, arguments)
    assert found.exit_code == 2
    assert found.stderr.strip()
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "new").exists()


DRAW = [
    "generate",
    "a photo of a [/bold] firefighter",
    "-n",
    "8",
    "--steps",
    "5",
    "--instruct",
    "firefighter: all women",
]


def test_a_missed_target_is_exit_code_3_and_square_brackets_are_text(tmp_path: Path) -> None:
    found = run.invoke(app, [*DRAW, "--method", "none", "--out", str(tmp_path / "new")])
    assert found.exit_code == 3
    assert "[/bold]" in found.stdout
    assert "misses" in found.stdout
    assert len(list((tmp_path / "new").glob("image-*.png"))) == 8


def test_json_holds_what_was_promised(tmp_path: Path) -> None:
    arguments = [*DRAW, "--method", "prompt", "--json", "--compare-plain", "--out", str(tmp_path / "new")]
    found = run.invoke(app, arguments)
    summary = json.loads(found.stdout)
    assert found.exit_code == (3 if any(row["verdict"] == "misses" for row in summary["audit"]) else 0)
    assert summary.keys() >= {"prompt", "n", "model", "method", "seed", "rule", "audit", "deviation", "cost"}
    assert summary["audit"][0].keys() >= {
        *("attribute", "group", "target", "quota", "count", "unknown", "share", "low", "high", "verdict"),
        *("perceiver_count", "perceiver_unknown"),
    }
    assert summary["deviation"].keys() >= {"tv", "noise_floor"}
    assert summary["cost"].keys() >= {"evaluations", "plain_evaluations", "ratio", "seconds"}
    assert json.loads((tmp_path / "new" / "result.json").read_text()) == summary


def test_what_is_learnt_is_kept_beside_the_policy_and_counts_in_the_ledger(tmp_path: Path) -> None:
    policy, ledger = tmp_path / "fair.yaml", tmp_path / "ledger.sqlite"
    rule = "{name: fire, concepts: [firefighter], targets: {gender: {woman: 100%}}}"
    policy.write_text(f"version: 1\nrules: [{rule}]\n")
    draw = ["generate", "a photo of a firefighter", "-n", "2", "--steps", "5", "--policy", str(policy), "--json"]
    found = run.invoke(app, [*draw, "--ledger", str(ledger), "--out", str(tmp_path / "new")])
    assert found.exit_code in (0, 3), found.output
    counts = json.loads(found.stdout)["images"]
    assert counts["untouched"] + counts["steered"] == 2
    (learnt,) = json.loads((tmp_path / "fair.strengths.json").read_text())["strengths"]
    assert learnt["of"] == ["pocket", "switch", "firefighter", "guidance 2", "5 steps", "gender", "woman"]
    assert sum(tried for tried, _ in learnt["attempts"]) >= 2
    rows = json.loads(run.invoke(app, ["ledger", "show", str(ledger), "--json"]).stdout)
    assert "fire" in json.dumps(rows)

    (tmp_path / "fair.strengths.json").write_text("{")
    found = run.invoke(app, [*draw, "--out", str(tmp_path / "newer")])
    assert found.exit_code == 2
    assert "fair.strengths.json does not hold strengths" in found.stderr


def test_the_bar_counts_denoising_and_not_the_runs_that_only_look_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    generate, moves = import_module("fair_diffusion.cli.generate"), list[tuple[str, float, float | None]]()

    class Bar(Progress):
        def update(self, task_id: TaskID, **told: Any) -> None:
            super().update(task_id, **told)
            moves.append((self.tasks[0].description, self.tasks[0].completed, self.tasks[0].total))

    monkeypatch.setattr(generate, "Progress", Bar)
    with generate.progress(2, 5) as step:
        for steps in (3, 5, 5):
            step(StepInfo(range(2), 0, steps, 0.0, torch.zeros(0), lambda: torch.zeros(0)))
    assert moves == [("moving the noise", 0, 10), ("denoising", 2, 10), ("denoising", 4, 10)]


def test_an_interrupt_is_exit_code_130_with_a_valid_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def progress(images: int, steps: int) -> Iterator[Callable[[StepInfo], None]]:
        def stop(info: StepInfo) -> None:
            raise KeyboardInterrupt

        yield stop

    monkeypatch.setattr(import_module("fair_diffusion.cli.generate"), "progress", progress)
    found = run.invoke(app, [*DRAW, "--out", str(tmp_path / "new")])
    assert found.exit_code == 130
    assert json.loads((tmp_path / "new" / "result.json").read_text())["requested"] == 8
