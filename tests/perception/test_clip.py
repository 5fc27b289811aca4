"""CLIP zero-shot: hand-made embeddings, and a small random model from its configuration."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_readers import clip_folder
from transformers import CLIPModel

from fair_diffusion.perception.clip import FRAMES, ClipPerceiver, decide, default_phrases, opened, read_phrases
from fair_diffusion.policy import Attributes, PolicyError, built_in

PHRASES = {"gender": {"woman": ["a woman", "a lady"], "man": ["a man"]}, "age": {"young": ["young"], "old": ["old"]}}
EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
TEXTS = {"a woman": EAST, "a lady": NORTH, "a man": WEST, "young": NORTH, "old": [0.0, -1.0]}


class ByHand:
    """A model whose embeddings are written by hand: a picture's from its colour, a text's from the table."""

    device = torch.device("cpu")
    config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=9))

    def __init__(self, scale: float) -> None:
        self.logit_scale = torch.tensor(scale).log()

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return SimpleNamespace(pooler_output=3 * torch.tensor([TEXTS[list(TEXTS)[int(k)]] for k in input_ids[:, 0]]))

    def get_image_features(self, pixel_values: torch.Tensor) -> Any:
        return SimpleNamespace(pooler_output=5 * pixel_values)


def tokens(texts: list[str], **options: Any) -> dict[str, torch.Tensor]:
    ids = torch.tensor([[list(TEXTS).index(text)] for text in texts])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def by_hand(pictures: list[list[float]], **options: Any) -> dict[str, list[str | None]]:
    reader = ClipPerceiver(
        ByHand(4.0),
        tokens,
        lambda images, return_tensors: {"pixel_values": torch.tensor(pictures)},
        phrases=PHRASES,
        **options,
    )
    found = reader.read([Image.new("RGB", (4, 4))] * len(pictures))
    return {name: [reading.label for reading in readings] for name, readings in found.items()}


def test_the_nearest_phrases_win_and_their_mean_counts() -> None:
    # "woman" lies at north-east, the mean of its two phrases.
    assert by_hand([EAST, NORTH, WEST])["gender"] == ["woman", "woman", "man"]
    assert by_hand([NORTH, [0.0, -2.0]])["age"] == ["young", "old"]


def test_a_picture_between_two_groups_is_unknown() -> None:
    assert by_hand([EAST])["age"] == [None]
    assert by_hand([EAST], sure=0.5, margin=0.0)["age"] == ["young"]


def test_confidence_is_the_softmax_of_scaled_cosines() -> None:
    reader = ClipPerceiver(
        ByHand(4.0), tokens, lambda images, return_tensors: {"pixel_values": torch.tensor([WEST])}, phrases=PHRASES
    )
    (reading,) = reader.read([Image.new("RGB", (4, 4))])["gender"]
    cosines = torch.tensor([-(0.5**0.5), 1.0])
    assert reading.confidence == pytest.approx(float((4 * cosines).softmax(0)[1]), abs=1e-6)


@pytest.mark.parametrize(
    ("row", "label"), [((0.6, 0.4), "a"), ((0.54, 0.46), None), ((0.45, 0.3, 0.25), None), ((0.2, 0.8), "b")]
)
def test_decide(row: tuple[float, ...], label: str | None) -> None:
    (reading,) = decide(torch.tensor([row]), "abc", sure=0.5, margin=0.1)
    assert reading.label == label


@pytest.fixture(scope="module")
def folder(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_folder(tmp_path_factory.mktemp("clip"), tiny_sd.tokenizer)


def test_a_real_model_reads_every_attribute_and_each_picture_alone(folder: Path) -> None:
    reader = ClipPerceiver.load(str(folder))
    assert {name: tuple(groups) for name, groups in reader.groups.items()} == {
        name: attribute.group_names for name, attribute in built_in().items()
    }
    pictures = [Image.effect_noise((20, 30), 80).convert("RGB"), Image.new("RGB", (9, 9), "red")]
    together, alone = reader.read(pictures), [reader.read([picture]) for picture in pictures]
    for name, readings in together.items():
        for reading, other in zip(readings, alone, strict=True):
            assert reading.confidence == pytest.approx(other[name][0].confidence, abs=1e-5)
            assert 1 / len(reader.groups[name]) <= reading.confidence <= 1
    assert reader.read([]) == {name: [] for name in reader.groups}


def test_pixels_are_read_as_pictures_are_and_gradients_flow_to_them(folder: Path) -> None:
    reader = ClipPerceiver.load(str(folder))
    picture = Image.effect_noise((4, 5), 80).convert("RGB").resize((24, 30), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float().div(255).requires_grad_()
    for attribute, expected in reader.every_probability([picture]).items():
        found = reader.probabilities(pixels, attribute)
        torch.testing.assert_close(found.detach(), expected, atol=2e-3, rtol=1e-2)
        (gradient,) = torch.autograd.grad(found[0, 0], pixels)
        assert gradient.abs().max() > 0
    with pytest.raises(ValueError, match="cannot read 'hat'; phrases are given for gender"):
        reader.probabilities(pixels, "hat")
    reader.model.double()
    reader.texts = {name: texts.double() for name, texts in reader.texts.items()}
    small = torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reader.probabilities(x, "gender")[:, 0], small, fast_mode=True)


def test_weights_in_half_precision_are_read_in_single(folder: Path, tmp_path: Path) -> None:
    """Where a small probability has a gradient that half could not hold."""
    shutil.copytree(folder, tmp_path / "half")
    model = CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        model.logit_scale.fill_(4.6)  # the most that CLIP allows: a scale of 100
    model.half().save_pretrained(tmp_path / "half")
    reader = ClipPerceiver.load(str(tmp_path / "half"))
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    p = reader.probabilities(pixels, "age")[0, :-1].min()
    assert 0 < p < 1e-5
    (gradient,) = torch.autograd.grad(p.log(), pixels)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_pickled_weights_and_missing_models_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be loaded as CLIPModel"):
        ClipPerceiver.load(str(tmp_path / "gone"))
    for file in folder.iterdir():
        if file.suffix == ".safetensors":
            torch.save(torch.load, tmp_path / "pytorch_model.bin")
        else:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="with safetensors"):
        ClipPerceiver.load(str(tmp_path))


def test_phrases_by_default_speak_of_persons() -> None:
    found = default_phrases()
    assert found["gender"]["woman"] == ["a photo of a female person"]
    assert all(texts for groups in found.values() for texts in groups.values())


@pytest.mark.parametrize(
    "text", ["", "[]", "gender: [a]", "gender: {a: [x]}", "gender: {a: x, b: [y]}", "gender: {a: [1], b: [y]}", "{"]
)
def test_wrong_phrase_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"p\.yaml"):
        read_phrases(path)


def test_a_phrase_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("gender: {woman: [a woman], man: [a man]}")
    assert read_phrases(path) == {"gender": {"woman": ["a woman"], "man": ["a man"]}}


def test_definitions_bring_their_phrases_in_several_frames(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "hair.yaml").write_text(
        "hair:\n  groups:\n    curly: {phrases: [curly-haired person]}\n    straight: {phrases: [flat hair]}\n"
    )
    reader = opened(f"{folder},glasses,{tmp_path / 'hair.yaml'}")
    assert reader.groups["glasses"] == ("glasses", "no glasses")
    assert reader.groups["hair"] == ("curly", "straight")
    phrases = default_phrases(Attributes.named("glasses", tmp_path / "hair.yaml"))
    assert phrases["hair"]["straight"] == [frame.format("flat hair") for frame in FRAMES]
    assert phrases["gender"] == default_phrases()["gender"]
    picture = Image.effect_noise((20, 30), 80).convert("RGB")
    (reading,) = reader.read([picture])["hair"]
    assert 1 / 2 <= reading.confidence <= 1


def test_a_table_of_phrases_is_still_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text("hair: {curly: [curly hair], straight: [flat hair]}\n")
    assert opened(f"{folder},{tmp_path / 'table.yaml'}").groups == {"hair": ("curly", "straight")}
    (tmp_path / "own.yaml").write_text("religion:\n  groups: {a: {}, b: {}}\n")
    with pytest.raises(PolicyError, match="no picture shows"):
        opened(f"{folder},{tmp_path / 'own.yaml'}")
