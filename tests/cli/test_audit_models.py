"""`audit --model` for other models than the pocket: a small random one, its judge decides, and what is usual for it."""

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

run = CliRunner()


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
    asked = ["audit", "--model", str(models / "sd-turbo"), "--suite", str(models / "list.txt"), "-n", "2", "--json"]
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
