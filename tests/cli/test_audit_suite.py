"""`audit-suite`: what it refuses before it loads a model, what it draws and keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pyarrow.parquet as pq
import pytest
from tiny_readers import classifier_folder, clip_folder
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.pipeline import FairPipeline

run = CliRunner()
NEW = ["--out", "new"]
WOMEN = ["--instruct", "every occupation: half women"]


@pytest.fixture
def models(tiny_sd: Any, tmp_path: Path) -> Path:
    """A model that would be taken for SD-Turbo, a random CLIP as perceiver, and a judge that is sure of women."""
    euler = diffusers.EulerDiscreteScheduler.from_config(tiny_sd.scheduler.config, timestep_spacing="trailing")
    parts = {**tiny_sd.components, "scheduler": euler}
    diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(tmp_path / "sd-turbo")
    classifier_folder(tmp_path / "classifier", {"F": 0.9, "M": 0.1})
    clip_folder(tmp_path / "clip", tiny_sd.tokenizer)
    (tmp_path / "labels.yaml").write_text("gender: {woman: [F], man: [M]}")
    (tmp_path / "phrases.yaml").write_text("gender: {woman: [a woman], man: [a man]}")
    (tmp_path / "list.txt").write_text("nurse\ncook")
    return tmp_path


@pytest.fixture(autouse=True)
def bars() -> Iterator[None]:
    yield
    diffusers.utils.logging.enable_progress_bar()


def test_the_judge_reads_and_the_model_says_what_is_usual(models: Path, tmp_path: Path) -> None:
    asked = [
        "audit-suite",
        "--model",
        str(models / "sd-turbo"),
        "--suite",
        str(models / "list.txt"),
        "-n",
        "2",
        "--json",
    ]
    asked += ["--perceiver", f"clip:{models}/clip,{models}/phrases.yaml", "--work", str(tmp_path / "work")]
    unjudged = run.invoke(app, asked)
    assert unjudged.exit_code == 2
    assert "needs a judge" in unjudged.stderr
    assert not (tmp_path / "work").exists()
    asked += ["--judge", f"classifier:{models}/classifier,{models}/labels.yaml"]
    found = run.invoke(app, [*asked, "--dtype", "bfloat16"])
    assert found.exit_code == 0, found.output
    lines = {(line["concept"], line["group"]): line["share"] for line in json.loads(found.stdout)["lines"]}
    assert (lines["nurse", "woman"], lines["cook", "woman"], lines["cook", "man"]) == (1, 1, 0)
    records = [
        row for table in (tmp_path / "work").glob("*/records.parquet") for row in pq.read_table(table).to_pylist()
    ]
    assert [(row["steps"], row["guidance"]) for row in records] == [(4, 0.0)] * 4
    for changed, said in ((["--steps", "3"], "with steps 4, not 3"), ([], "was drawn with loaded")):
        refused = run.invoke(app, [*asked, *changed])
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_a_suite_is_drawn_kept_and_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o.yaml").write_text("health: [nurse]\ncraft: [mechanic]")
    arguments = ["audit-suite", "--suite", str(tmp_path / "o.yaml")]
    arguments += ["-n", "2", "--steps", "2", "--prompt", "a photo of a {}", "--out", str(tmp_path / "study")]
    found = json.loads(run.invoke(app, [*arguments, "--json"]).stdout)
    assert {(line["concept"], line["n"]) for line in found["lines"]} == {("nurse", 2), ("mechanic", 2)}
    study = json.loads((tmp_path / "study" / "study.json").read_text())
    assert study["fields"] == {"nurse": "health", "mechanic": "craft"}
    kept = sorted(path.name for path in (tmp_path / "study.work").iterdir())
    assert len(kept) == 3
    other = [str(tmp_path / "other"), "--work", str(tmp_path / "study.work"), "--seed", "1"]
    with monkeypatch.context() as patch:  # a model takes long to load
        patch.setattr(FairPipeline, "from_pretrained", lambda model, **_: pytest.fail("loaded"))
        refused = run.invoke(app, [*arguments[:-1], *other])
    assert refused.exit_code == 2
    assert "was drawn with seed 0, not 1" in refused.stderr
    shown = run.invoke(app, [*arguments[:-1], str(tmp_path / "again"), *other[1:3]])
    assert "health" in shown.stdout
    assert sorted(path.name for path in (tmp_path / "study.work").iterdir()) == kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name --out or --work"),
        ([*NEW, "--until", "0"], "--until is 0; give points between 0 and 50"),
        ([*NEW, "--until", "50"], "--until is 50; give points between 0 and 50"),
        ([*NEW, "--suite", "gone.txt"], "'gone.txt' is no list of occupations"),
        ([*NEW, "--prompt", "a photo"], "mark the place of the occupation with one {}"),
        ([*NEW, "--concepts", "t.csv"], "No such option: --concepts"),
        ([*NEW, "--method", "semantic"], "--method semantic needs --instruct or --policy"),
        ([*NEW, *WOMEN, "--policy", "p.yaml"], "both --instruct and --policy are given; give one"),
        ([*NEW, *WOMEN, "--method", "magic"], "unknown method 'magic'; use one of prompt"),
        ([*NEW, *WOMEN, "--method", "bottleneck"], "method 'bottleneck' needs a file with a vector for each group"),
        (
            [*NEW, *WOMEN, "--method", "bottleneck", "--file", "gone.safetensors"],
            "gone.safetensors does not hold directions of groups",
        ),
        ([*NEW, *WOMEN, "--method", "hint", "--file", "list.txt"], "which method 'hint' does not use"),
        ([*NEW, "--file", "list.txt"], "which method 'none' does not use"),
        ([*NEW, *WOMEN, "--control", "magic"], "unknown control 'magic'; use one of natural-first, all"),
        ([*NEW, *WOMEN, "--loss", "mean"], "loss is 'mean', which method 'switch' does not use"),
        ([*NEW, *WOMEN, "--batch-size", "0"], "batch_size is 0; use 1 or more"),
        ([*NEW, "--steps", "0"], "steps is 0; use 1 to 1000"),
        ([*NEW, "--guidance-rescale", "2"], "guidance_rescale is 2.0; use 0 to 1"),
        ([*NEW, "--reference", "gone.csv"], "gone.csv is not there"),
    ],
)
def test_wrong_usage_is_seen_before_a_model_is_loaded(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("nurse")
    monkeypatch.setattr(FairPipeline, "from_pretrained", lambda model, **_: pytest.fail("loaded"))
    found = run.invoke(app, ["audit-suite", *arguments])
    assert found.exit_code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--judge", "faces"], "'pocket' brings its perceiver and its judge; name none"),
        (["--model", "magic"], "unknown model 'magic'"),
        # only the model knows that its guidance makes a negative prompt idle
        (["--negative-prompt", "old", "--guidance", "1"], "does nothing at guidance 1"),
    ],
)
def test_a_command_that_drew_nothing_leaves_no_folder(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run.invoke(app, ["audit-suite", *NEW, *arguments])
    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupt_keeps_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.txt").write_text("nurse\ncook")
    asked = ["audit-suite", "--suite", str(tmp_path / "list.txt"), "-n", "2", "--steps", "2", "--out"]
    each, calls = FairPipeline.each, []

    def interrupted(self: FairPipeline, *given: Any, **more: Any) -> Any:
        for drawn in each(self, *given, **more):
            calls.append(given)
            if len(calls) == 2:
                raise KeyboardInterrupt
            yield drawn

    monkeypatch.setattr(FairPipeline, "each", interrupted)
    stopped = run.invoke(app, [*asked, str(tmp_path / "new")])
    assert stopped.exit_code == 130
    assert stopped.stderr.endswith("interrupted; the same command goes on from what is drawn\n")
    assert not (tmp_path / "new").exists()
    assert run.invoke(app, [*asked, str(tmp_path / "new"), "--json"]).exit_code == 0
    assert len(calls) == 3


def test_options_reach_the_model_and_the_work_folder_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("nurse")
    asked = ["audit-suite", *WOMEN, "--suite", str(tmp_path / "list.txt"), "-n", "2", "--steps", "2"]
    asked += ["--work", str(tmp_path / "work"), "--method", "semantic", "--control", "all", "--batch-size", "1"]
    asked += ["--negative-prompt", "old", "--guidance-rescale", "0.5", "--repair-budget", "0"]
    found = run.invoke(app, asked)
    assert found.exit_code in (0, 3), found.output
    (table,) = (tmp_path / "work").glob("*/records.parquet")
    for record in pq.read_table(table).to_pylist():
        assert (record["method"], record["control"], record["steps"]) == ("semantic", "all", 2)
        assert (record["negative_prompt"], record["guidance_rescale"]) == ("old", 0.5)
    assert run.invoke(app, [*asked, "--batch-size", "2"]).exit_code == found.exit_code  # that changes rounding only
    for changed, said in (
        (["--control", "natural-first"], "was drawn with control 'all', not 'natural-first'"),
        (["--negative-prompt", "young"], "was drawn with negative_prompt 'old', not 'young'"),
        (["--repair-budget", "0.5"], "was drawn with repair_budget 0.0, not 0.5"),
    ):
        refused = run.invoke(app, [*asked, *changed])
        assert refused.exit_code == 2
        assert said in refused.stderr
