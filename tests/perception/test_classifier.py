"""Image classifiers of transformers: labels that add up, and a small random model from its configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_readers import classifier_folder

from fair_diffusion.perception.classifier import ClassifierPerceiver

LABELS = ["Male", "Female", "baby", "other"]
MAP = "gender: {woman: [Female], man: [Male]}\nage: {child: [baby], grown: [Male, Female]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    classifier_folder(tmp_path / "model", dict(zip(LABELS, (0.4, 0.3, 0.2, 0.1), strict=True)))
    (tmp_path / "map.yaml").write_text(MAP)
    return tmp_path


def test_labels_of_a_group_add_up_and_those_of_none_are_unknown(folder: Path) -> None:
    reader = ClassifierPerceiver.load(str(folder / "model"), labels=folder / "map.yaml")
    found = reader.read([Image.new("RGB", (30, 20)), Image.new("RGB", (9, 9), "red")])
    assert reader.groups == {"gender": ("woman", "man"), "age": ("child", "grown")}
    assert [(r.label, round(r.confidence, 4)) for r in found["gender"]] == [(None, 0.4)] * 2
    assert [(r.label, round(r.confidence, 4)) for r in found["age"]] == [("grown", 0.7)] * 2
    assert reader.read([]) == {"gender": [], "age": []}


def test_without_a_map_the_models_own_labels_are_groups(folder: Path) -> None:
    reader = ClassifierPerceiver.load(str(folder / "model"))
    assert reader.groups == {"label": tuple(LABELS)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gender: {woman: [Frau], man: [Male]}", "no label 'Frau'; its labels are Male, Female"),
        ("gender: {woman: [Male], man: [Male]}", "stands for two groups of gender"),
    ],
)
def test_wrong_maps(text: str, said: str, folder: Path) -> None:
    (folder / "map.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        ClassifierPerceiver.load(str(folder / "model"), labels=folder / "map.yaml")


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be loaded") as error:
        ClassifierPerceiver.load(str(tmp_path))
    assert "\n" not in str(error.value)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    file = folder / "model" / "model.safetensors"
    tensors = load_file(file)
    tensors["classifier.1.bias"] = torch.full_like(tensors["classifier.1.bias"], torch.nan)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ValueError, match="not all finite numbers"):
        ClassifierPerceiver.load(str(folder / "model"))


@pytest.mark.parametrize("said", [True, False])
def test_no_setting_of_a_configuration_lets_a_pickle_be_read(said: bool, folder: Path) -> None:
    """A setting with the name of an argument of loading does not replace it."""
    model = folder / "model"
    config = json.loads((model / "config.json").read_text())
    names = ("use_safetensors", "trust_remote_code", "local_files_only", "weights_only")
    (model / "config.json").write_text(json.dumps(config | dict.fromkeys(names, said)))
    assert ClassifierPerceiver.load(str(model)).groups == {"label": tuple(LABELS)}
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no file named model"):
        ClassifierPerceiver.load(str(model))


def test_gradients_flow_through_the_classifier_to_the_pixels(folder: Path) -> None:
    reader = ClassifierPerceiver.load(str(folder / "model"), labels=folder / "map.yaml")
    torch.manual_seed(0)
    torch.nn.init.normal_(reader.model.classifier[1].weight)
    reader.model.double()
    pixels = torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    p = reader.probabilities(pixels, "gender")
    assert p.sum().item() == pytest.approx(1)
    (gradient,) = torch.autograd.grad(p[0, 0], pixels)
    step = torch.randn_like(pixels) * 1e-6
    high, low = (reader.probabilities(pixels.detach() + sign * step, "gender")[0, 0] for sign in (1, -1))
    assert (gradient * 2 * step).sum().item() == pytest.approx((high - low).item(), rel=1e-3)
    with pytest.raises(ValueError, match="cannot read 'height'; this classifier knows gender, age"):
        reader.probabilities(pixels, "height")
