"""`generate` and `models` for other models than the pocket: a small random one, read by small readers, end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from tiny_readers import classifier_folder, clip_folder
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.models.fingerprint import of_folder
from fair_diffusion.models.provenance import sha256

run = CliRunner()


@pytest.fixture(scope="module")
def models(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is taken for SD-Turbo, a perceiver that is 90 % sure of women, and a random CLIP as judge."""
    path = tmp_path_factory.mktemp("models")
    euler = diffusers.EulerDiscreteScheduler.from_config(tiny_sd.scheduler.config, timestep_spacing="trailing")
    parts = {**tiny_sd.components, "scheduler": euler}
    diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(path / "sd-turbo")
    classifier_folder(path / "classifier", {"F": 0.9, "M": 0.1})
    clip_folder(path / "clip", tiny_sd.tokenizer)
    (path / "labels.yaml").write_text("gender: {woman: [F], man: [M]}")
    (path / "phrases.yaml").write_text("gender: {woman: [a woman], man: [a man]}")
    save_file({"<mine>": torch.ones(1, 32)}, path / "words.safetensors")
    return path


@pytest.fixture(autouse=True)
def bars() -> Iterator[None]:
    yield
    diffusers.utils.logging.enable_progress_bar()


def options(models: Path) -> list[str]:
    readers = ["--perceiver", f"classifier:{models}/classifier,{models}/labels.yaml"]
    readers += ["--judge", f"clip:{models}/clip,{models}/phrases.yaml"]
    return ["--model", str(models / "sd-turbo"), *readers]


def test_the_models_usual_settings_and_what_the_perceiver_knows(models: Path, tmp_path: Path) -> None:
    asked = ["a doctor", "-n", "4", "--instruct", "doctor: half women", "--compare-plain", "--json"]
    found = run.invoke(app, ["generate", *asked, *options(models), "--out", str(tmp_path / "new")])
    assert found.exit_code == 3, found.output
    summary = json.loads(found.stdout)
    assert summary["model"] == "sd-turbo"
    assert summary["made_with"]["usual settings"] == "SD-Turbo"
    assert [row["attribute"] for row in summary["audit"]] == ["gender"] * 3
    records = pq.read_table(tmp_path / "new" / "records.parquet").to_pylist()[4:]
    assert {(record["steps"], record["guidance"]) for record in records} == {(4, 0.0)}
    # all are taken for women, so two fit as they are; the others are given up, since nothing shows the perceiver a man
    natural = [json.loads(record["natural"])["gender"] for record in records]
    assigned = [json.loads(record["assigned"])["gender"] for record in records]
    assert natural == ["woman"] * 4
    assert sorted(assigned) == ["man", "man", "woman", "woman"]
    assert [record["missed"] for record in records] == [group == "man" for group in assigned]
    assert json.loads(records[0]["natural_confidence"])["gender"] == pytest.approx(0.9, abs=1e-4)
    assert summary["twins"]["untouched_difference"] == 0
    assert 0 <= summary["twins"]["feature_distance"] <= 2


def test_every_option_of_loading(models: Path, tmp_path: Path) -> None:
    placed = ["--dtype", "bfloat16", "--device", "cpu", "--vae-slicing", "--vae-tiling", "--attention", "slicing"]
    placed += ["--textual-inversion", str(models / "words.safetensors")]
    asked = ["a <mine> doctor", "-n", "2", "--steps", "2", "--guidance", "3", "--negative-prompt", "old"]
    asked += ["--guidance-rescale", "0.5", *options(models), *placed, "--out", str(tmp_path / "new")]
    found = run.invoke(app, ["generate", *asked])
    assert found.exit_code == 0, found.output
    (record, _) = pq.read_table(tmp_path / "new" / "records.parquet").to_pylist()
    assert (record["negative_prompt"], record["guidance_rescale"], record["steps"]) == ("old", 0.5, 2)
    made = json.loads((tmp_path / "new" / "result.json").read_text())["made_with"]
    words = models / "words.safetensors"
    assert (
        made["weights"]
        == f"sha256 {of_folder(models / 'sd-turbo')}, textual inversion words.safetensors sha256 {sha256(words)}"
    )
    assert made["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "models/sd-turbo"], "needs a perceiver and a judge"),
        (["--model", "models/sd-turbo", "--perceiver", "pocket", "--judge", "pocket"], "who steers cannot score"),
        (
            ["--model", "models/sd-turbo", "--perceiver", "pocket", "--judge", "skin_tone"],
            "read no attribute in common",
        ),
        (["--model", "model.ckpt"], "is a pickle"),
        (["--judge", "clip:x"], "the model 'pocket' brings its perceiver and its judge"),
        (["--dtype", "int8"], "unknown dtype 'int8'"),
        (["--guidance-rescale", "2"], "guidance_rescale is 2.0; use 0 to 1"),
        (["--negative-prompt", "old", "--guidance", "1"], "does nothing at guidance 1"),
    ],
)
def test_wrong_usage_is_one_line(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(models)
    found = run.invoke(app, ["generate", "a doctor", "--out", "new", *more])
    assert found.exit_code == 2
    assert said in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_the_table_of_models() -> None:
    found = run.invoke(app, ["models"])
    assert found.exit_code == 0
    for said in ("StableDiffusionXL", "FLUX.1", "PixArt-Σ", "pocket", "refused with", "0.2–0.8"):
        assert said in found.stdout
    cards = [json.loads(line) for line in run.invoke(app, ["models", "--json"]).stdout.splitlines()]
    assert {card["name"]: card["steps"] for card in cards}["SDXL"] == 50
    assert all(card["source"] for card in cards)
