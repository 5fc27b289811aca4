"""What a library would load of a part is what is checked: nothing is unpickled, fetched, or read from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_readers import classifier_folder

from fair_diffusion.models.loading import load
from fair_diffusion.perception.classifier import ClassifierPerceiver


@pytest.fixture(scope="module")
def saved(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "sd"
    tiny_sd.save_pretrained(path)
    return path


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "sd"))


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    classifier_folder(tmp_path / "reader", dict(zip("abcd", (0.4, 0.3, 0.2, 0.1), strict=True)))
    return tmp_path / "reader"


class Trap:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


def trap(path: Path) -> None:
    torch.save(Trap(path.parent / "trace"), path)


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def weights_of(part: Path) -> Path:
    (weights,) = part.glob("*.safetensors")
    return weights


def indexed(part: Path, name: str, *, keep: bool = False) -> None:
    """Put an index in front of the weights of a part, which leads to another file."""
    weights = weights_of(part)
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(load_file(weights), name)}
    weights.with_name(f"{weights.stem}.safetensors.index.json").write_text(json.dumps(index))
    if not keep:
        weights.rename(weights.with_name("decoy.safetensors"))


def bin_by_index(part: Path) -> None:
    indexed(part, "pytorch_model.bin")
    trap(part / "pytorch_model.bin")


def outside_by_index(part: Path) -> None:
    save_file(load_file(weights_of(part)), part.parent / "outside.safetensors")
    indexed(part, "../outside.safetensors")


def absolute_by_index(part: Path) -> None:
    outside = part.parent.parent / "outside.safetensors"
    save_file(load_file(weights_of(part)), outside)
    indexed(part, str(outside))


def linked_weights(part: Path) -> None:
    weights, outside = weights_of(part), part.parent.parent / "outside.safetensors"
    weights.rename(outside)
    weights.symlink_to(outside)


def linked_shard(part: Path) -> None:
    outside = part.parent.parent / "outside.safetensors"
    indexed(part, "shard.safetensors")
    (part / "decoy.safetensors").rename(outside)
    (part / "shard.safetensors").symlink_to(outside)


def pipe_as_settings(part: Path) -> None:
    (part / "config.json").unlink()
    os.mkfifo(part / "config.json")


def linked_settings(part: Path) -> None:
    (part / "config.json").rename(part.parent.parent / "config.json")
    (part / "config.json").symlink_to(part.parent.parent / "config.json")


def adapter(part: Path) -> None:
    (part / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "nobody/x"}))


def code_of_the_hub(part: Path) -> None:
    change(part / "config.json", _attn_implementation="nobody/kernel")


def code_of_the_hub_deep(part: Path) -> None:
    change(part / "config.json", text_config=[{"attn_implementation": {"": "sdpa", "text": "nobody/kernel@1:x"}}])


def code_of_the_hub_for_experts(part: Path) -> None:
    change(part / "config.json", experts_implementation="nobody/kernel")


def kernels_in_the_place_of_a_package(part: Path) -> None:
    change(part / "config.json", _attn_implementation_internal="flash_attention_3")


def other_weights(part: Path) -> None:
    change(part / "config.json", transformers_weights="adapter_model.bin")
    trap(part / "adapter_model.bin")


def backbone_of_the_hub(part: Path) -> None:
    change(part / "config.json", backbone="nobody/x", use_pretrained_backbone=True)


def too_many_labels(part: Path) -> None:
    change(part / "config.json", num_labels=10**7)


def quantised(part: Path) -> None:
    change(part / "config.json", quantization_config={"quant_method": "mxfp4"})


def deep_settings(part: Path) -> None:
    (part / "config.json").write_text("[" * 100_000)


ATTACKS: tuple[Callable[[Path], None], ...] = (
    bin_by_index,
    outside_by_index,
    absolute_by_index,
    linked_weights,
    linked_shard,
    pipe_as_settings,
    linked_settings,
    adapter,
    code_of_the_hub,
    code_of_the_hub_deep,
    code_of_the_hub_for_experts,
    kernels_in_the_place_of_a_package,
    other_weights,
    backbone_of_the_hub,
    too_many_labels,
    quantised,
    deep_settings,
)


def refused(run: Callable[[], object], tmp_path: Path, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        run()
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("trace"))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_part_that_leads_elsewhere_is_refused(folder: Path, tmp_path: Path, attack: Callable[[Path], None]) -> None:
    part = "unet" if attack in ATTACKS[::3] else "text_encoder"
    attack(folder / part)
    refused(lambda: load(folder), tmp_path, rf"'.*' is refused: its {part} (has|brings) ")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_reader_that_leads_elsewhere_is_refused(reader: Path, tmp_path: Path, attack: Callable[[Path], None]) -> None:
    attack(reader)
    said = "cannot be loaded as AutoModelForImageClassification: it (has|brings) "
    refused(lambda: ClassifierPerceiver.load(str(reader)), tmp_path, said)


def test_an_index_is_preferred_to_one_file_and_is_checked_beside_it(folder: Path, tmp_path: Path) -> None:
    indexed(folder / "unet", "diffusion_pytorch_model.bin", keep=True)
    trap(folder / "unet" / "diffusion_pytorch_model.bin")
    refused(lambda: load(folder), tmp_path, r"names 'diffusion_pytorch_model\.bin', which is not read")


def test_shards_that_lie_beside_their_index_are_loaded(folder: Path, reader: Path) -> None:
    for part in (folder / "unet", folder / "text_encoder", reader):
        indexed(part, "shard.safetensors")
        (part / "decoy.safetensors").rename(part / "shard.safetensors")
    load(folder)
    ClassifierPerceiver.load(str(reader))


def test_a_decoy_for_the_other_library_hides_no_pickle(folder: Path, tmp_path: Path) -> None:
    part = folder / "text_encoder"
    (part / "model.safetensors").rename(part / "diffusion_pytorch_model.safetensors")
    trap(part / "pytorch_model.bin")
    refused(lambda: load(folder), tmp_path, r"has only pickled weights for its text_encoder \(pytorch_model\.bin\)")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (["diffusers", "FlashPackStableDiffusionPipeline"], "a whole pipeline"),
        (["diffusers", "FlaxStableDiffusionPipeline"], "a whole pipeline"),
        (["diffusers", "FlashPackFlaxAutoPipelineForText2Image"], "a class that its files choose"),
        (["transformers", "TFAutoModel"], "a class that its files choose"),
        (["diffusers", "AutoModel"], "a class that its files choose"),
        (["transformers", "RagRetriever"], "no part of a text-to-image model"),
        (["transformers", "Wav2Vec2ForCTC"], "no part of a text-to-image model"),
        (["transformers", "CLIPProcessor"], "no part of a text-to-image model"),
        (["transformers", "Trainer"], "no part of a text-to-image model"),
        (["transformers", "no_such_class"], "transformers does not have"),
        (["__doc__", "x"], "does not have"),
    ],
)
def test_classes_are_those_of_text_to_image_models(folder: Path, tmp_path: Path, entry: list[str], said: str) -> None:
    change(folder / "model_index.json", tokenizer=entry)
    refused(lambda: load(folder), tmp_path, said)


@pytest.mark.parametrize("name", ["/", "..", "../..", ".", "a/b", "a\\b", "", "a b", "x" * 100])
def test_a_part_is_called_as_a_folder_is(folder: Path, tmp_path: Path, name: str) -> None:
    change(folder / "model_index.json", **{name: ["diffusers", "UNet2DConditionModel"]})
    refused(lambda: load(folder), tmp_path, "which is no name of a folder")


def test_a_part_without_a_folder_is_not_looked_for_elsewhere(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "text_encoder").iterdir():
        path.rename(folder / path.name)
    (folder / "text_encoder").rmdir()
    refused(lambda: load(folder), tmp_path, "it has no text_encoder; its folder is incomplete")
