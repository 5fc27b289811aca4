"""Fingerprints: the same for the same content wherever it lies, another for any change."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import save_file
from stub_readers import StubReader
from torch import nn

from fair_diffusion.models.fingerprint import of_folder, of_network, of_reader
from fair_diffusion.perception.reader import Reader


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_a_network_is_known_by_its_numbers() -> None:
    one, other = network(), network()
    assert of_network(one) == of_network(other) != ""
    assert of_network(copy.deepcopy(one).bfloat16()) != of_network(one)
    with torch.no_grad():
        other.get_parameter("0.weight")[1, 2] += 1e-6
    assert of_network(other) != of_network(one)
    assert of_network(network().to("meta")) == ""


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "unet").mkdir(parents=True)
        save_file({"w": torch.ones(2)}, tmp_path / name / "unet" / "model.safetensors")
        (tmp_path / name / "readme.md").write_text(name)
    assert of_folder(tmp_path / "a") == of_folder(tmp_path / "b")
    (tmp_path / "b" / "unet" / "model.safetensors").rename(tmp_path / "b" / "unet" / "other.safetensors")
    assert of_folder(tmp_path / "a") != of_folder(tmp_path / "b")
    before = of_folder(tmp_path / "a")
    save_file({"w": torch.zeros(2)}, tmp_path / "a" / "unet" / "model.safetensors")
    assert of_folder(tmp_path / "a") != before
    assert of_folder(tmp_path / "a" / "none") == ""


def test_a_reader_is_known_by_weights_groups_and_settings() -> None:
    assert of_reader(StubReader(1)) == of_reader(StubReader(1)) != of_reader(StubReader(2))

    def reader(groups: tuple[str, ...] = ("woman", "man")) -> Reader:
        torch.manual_seed(0)
        return Reader(nn.Flatten(), 4, {"gender": groups})

    assert of_reader(reader()) == of_reader(reader().train(False))
    assert of_reader(reader(("man", "woman"))) != of_reader(reader())
    larger, other = reader(), reader()
    larger.side = 128
    with torch.no_grad():
        other.get_parameter("heads.gender.weight")[0, 0] += 1e-6
    assert len({of_reader(each) for each in (reader(), larger, other)}) == 3
