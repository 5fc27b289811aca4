"""Readers: probabilities, unknown, gradients, files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.opening import open_perceiver
from fair_diffusion.perception.reader import Reader, fill, heads_of, save_heads

HEADS = {"gender": ("woman", "man"), "skin_tone": ("light", "medium", "dark")}


@pytest.fixture(params=[pocket.build, judge.build], ids=["perceiver", "judge"])
def reader(request: pytest.FixtureRequest) -> Reader:
    torch.manual_seed(0)
    built: Reader = request.param(HEADS)
    return built.eval()


def test_probabilities_of_pictures_and_tensors_agree(reader: Reader) -> None:
    x = (torch.rand(3, 3, 64, 64) * 255).round()
    pictures = [Image.fromarray(row.permute(1, 2, 0).byte().numpy()) for row in x]
    from_pictures = reader.probabilities(pictures, "skin_tone")
    assert from_pictures.shape == (3, 4)
    torch.testing.assert_close(from_pictures.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(from_pictures, reader.probabilities(x / 255, "skin_tone"), atol=1e-4, rtol=1e-3)


def test_gradients_reach_the_picture(reader: Reader) -> None:
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    reader.probabilities(x, "gender")[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(("logits", "label"), [((9.0, 0, 0), "woman"), ((0, 0, 9.0), None), ((1.0, 0.9, 0.8), None)])
def test_unknown_is_a_class_and_a_doubt(reader: Reader, logits: tuple[float, ...], label: str | None) -> None:
    head = reader.heads["gender"]
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(logits))
    (reading,) = reader.read([Image.new("RGB", (64, 64))])["gender"]
    assert reading.label == label


def test_a_saved_reader_reads_the_same(reader: Reader, tmp_path: Path) -> None:
    reader.half().float()
    path = tmp_path / "reader.safetensors"
    reader.save(path)
    build = judge.build if isinstance(reader.trunk, judge.Trunk) else pocket.build
    again = fill(build(heads_of(path)), path)
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(again.probabilities(x, "gender"), reader.probabilities(x, "gender"))


def test_an_unknown_attribute_is_named(reader: Reader) -> None:
    with pytest.raises(ValueError, match="cannot read 'age'"):
        reader.probabilities(torch.rand(1, 3, 64, 64), "age")


@pytest.mark.parametrize("module", [judge, pocket])
def test_the_readers_bring_their_confusions_along(module: ModuleType, tmp_path: Path) -> None:
    reader = module.load()
    found = {confusion.attribute: confusion for confusion in reader.confusions}
    assert {name: tuple(confusion.groups) for name, confusion in found.items()} == reader.groups
    for confusion in found.values():
        counts = np.array(confusion.counts)
        assert counts.shape == (len(confusion.groups), len(confusion.groups) + 1)
        assert (counts.sum(axis=1) > 0).all()
        assert counts[:, :-1].trace() > 0.9 * counts.sum()  # the file belongs to these weights
    reader.save(tmp_path / "alone.safetensors")
    assert not module.load(tmp_path / "alone.safetensors").confusions


def test_a_file_of_heads_adds_attributes_to_a_reader_that_stays_as_it_is(tmp_path: Path) -> None:
    reader, groups = pocket.load(), {"hair": ("curly", "straight")}
    width = 3072
    torch.manual_seed(0)
    head = torch.nn.Linear(width, 3)
    save_heads({"hair": head}, groups, tmp_path / "hair.safetensors")
    found = open_perceiver(f"pocket:{tmp_path / 'hair.safetensors'}")
    assert isinstance(found, Reader)
    assert found.groups == {**reader.groups, **groups}
    assert "hair" not in reader.groups
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.probabilities(pixels, "gender"), reader.probabilities(pixels, "gender"))
    expected = torch.nn.functional.linear(reader.features(pixels * 2 - 1), head.weight.float(), head.bias.float())
    assert torch.allclose(found.probabilities(pixels, "hair"), expected.softmax(dim=1), atol=1e-3)
    with pytest.raises(ValueError, match="holds no heads for this reader"):
        open_perceiver(f"judge:{tmp_path / 'hair.safetensors'}")
    with pytest.raises(ValueError, match="holds no heads for this reader"):
        open_perceiver(f"pocket:{tmp_path / 'none.safetensors'}")
