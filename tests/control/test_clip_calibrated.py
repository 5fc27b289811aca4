"""CLIP zero-shot by a definition's phrases, calibrated by people's labels; the definition's hash is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from audit_examples import put
from tiny_readers import clip_folder
from typer.testing import CliRunner
from untrained import HEADS, pipe_of

from fair_diffusion import FairPipeline
from fair_diffusion.cli import app
from fair_diffusion.perception import judge
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.clip import opened
from fair_diffusion.policy import Attributes

run = CliRunner()
GLASSES = Attributes.named("glasses")
WORN, BARE = GLASSES["glasses"].group_names
ASKED: dict[str, Any] = {"n": 8, "steps": 2, "instruct": "doctor: half with glasses", "attributes": GLASSES}


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> FairPipeline:
    """A random model whose perceiver is a random CLIP; it always decides for one group."""
    folder = clip_folder(tmp_path_factory.mktemp("clip"), tiny_sd.tokenizer)
    clip = opened(f"{folder},glasses")
    clip.margin = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return pipe_of(tiny_sd, perceiver=clip, judge=judge.build({**HEADS, "glasses": (WORN, BARE)}).eval())


def test_labels_calibrate_what_clip_reads_from_the_phrases_of_a_definition(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path
) -> None:
    plain = pipe("a doctor", **{**ASKED, "method": "none"})
    plain.save(tmp_path / "run")
    read = [record.perceived["glasses"] for record in plain.records]
    assert set(read) <= {WORN, BARE}
    assert len(pipe.perceiver.groups["glasses"]) == 2
    # people see the contrary of what is read, in every image
    contrary = {WORN: "without glasses", BARE: "Spectacles"}
    files = sorted(path.name for path in (tmp_path / "run").rglob("*.png") if "image" in path.name)
    rows = [f"{file},glasses,{contrary[str(label)]}" for file, label in zip(files, read, strict=True)]
    table = put(tmp_path, "labels.csv", "\n".join(["file,attribute,group", *rows]))
    words = ["calibrate", str(table), str(tmp_path / "run"), "--out", str(tmp_path / "calibration.json")]
    made = run.invoke(app, [*words, "--define", "glasses"])
    assert made.exit_code == 0, made.output
    known = Calibration.load(tmp_path / "calibration.json")
    found = known.find("perceiver", "tiny", GLASSES["glasses"])
    assert found is not None
    assert found.definition == GLASSES.own["glasses"]
    for k, group in enumerate((WORN, BARE)):
        assert found.counts[k][k] == 0
        assert found.counts[k][1 - k] == read.count((BARE, WORN)[k]), group
    calibrated = pipe_of(tiny_sd, perceiver=pipe.perceiver, judge=pipe.judge, calibration=known)
    seen = [record.seen["glasses"] for record in calibrated("a doctor", method="switch", **ASKED).records]
    usual = pipe("a doctor", method="switch", **ASKED)
    assert not any(record.seen for record in usual.records)
    most = max((WORN, BARE), key=read.count)
    assert sum(each[most] for each in seen) < len(seen) / 2  # nearly all of them are read so, and seen otherwise


def test_labels_of_another_definition_calibrate_nothing(pipe: FairPipeline, tmp_path: Path) -> None:
    pipe("a doctor", **{**ASKED, "method": "none", "n": 2}).save(tmp_path / "run")
    other = put(tmp_path, "other.yaml", "glasses: {groups: {glasses: {}, no glasses: {}}}\n")
    table = put(tmp_path, "labels.csv", "file,attribute,group\nimage-00000.png,glasses,glasses\n")
    words = ["calibrate", str(table), str(tmp_path / "run"), "--out", str(tmp_path / "calibration.json")]
    found = run.invoke(app, [*words, "--define", str(other)])
    assert found.exit_code == 2
    assert "knows glasses by another definition; give that one with --define FILE" in found.stderr
    without = run.invoke(app, words)
    assert without.exit_code == 2
    assert not (tmp_path / "calibration.json").exists()
