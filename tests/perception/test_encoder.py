from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from fair_diffusion.perception.encoder import embed_images, embed_words
from fair_diffusion.policy.minilm import embed


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Any) -> Path:
    """A small random CLIP on disk, with the tokenizer of the small random pipeline."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = tiny_sd.tokenizer
    layers = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length}
    text |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = CLIPConfig(
        text_config=layers | text, vision_config=layers | {"image_size": 32, "patch_size": 8}, projection_dim=16
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(image_processor=CLIPImageProcessor(**size), tokenizer=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{k:02d}.png" for k in range(18)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(file)
    return files


def test_images_are_embedded_as_the_model_alone_does(clip: Path, pictures: list[Path]) -> None:
    found = embed_images(str(clip), pictures)
    assert found.shape == (18, 16)
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    for k in (0, 17):
        inputs = processor(images=Image.open(pictures[k]), text="man", return_tensors="pt")
        with torch.no_grad():
            alone = model(**inputs).image_embeds[0].numpy()
        assert found[k] / np.linalg.norm(found[k]) == pytest.approx(alone, abs=1e-5)


def test_words_are_embedded_as_the_model_alone_does(clip: Path) -> None:
    words = ["man", "a woman, a man and a man", *["woman"] * 17]
    found = embed_words(str(clip), words)
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    for k in (0, 1, 18):
        inputs = processor(images=Image.new("RGB", (32, 32)), text=words[k], return_tensors="pt")
        with torch.no_grad():
            alone = model(**inputs).text_embeds[0].numpy()
        assert found[k] / np.linalg.norm(found[k]) == pytest.approx(alone, abs=1e-5)


def test_the_built_in_encoder_reads_words() -> None:
    assert (embed_words("minilm", ["nurse", "pilot"]) == embed(["nurse", "pilot"])).all()
    with pytest.raises(ValueError, match="minilm reads words only"):
        embed_images("minilm", [Path("a.png")])


def test_an_image_that_cannot_be_read_is_named(clip: Path, pictures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(pictures[0].read_bytes()[:900])
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image .* mend it or remove it"):
        embed_images(str(clip), [pictures[0], broken])


def test_an_image_bomb_is_refused(
    clip: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("L", (1_500, 1_000)).save(bomb)
    # Pillow warns above its limit and raises above twice of it; both are refused here.
    for limit in (1_000_000, 500_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=r"bomb\.png cannot be read"):
            embed_images(str(clip), [pictures[0], bomb])


def test_pickled_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    for file in clip.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    torch.save(CLIPModel.from_pretrained(clip).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be loaded .*name a folder or a hub id with safetensors.*minilm"):
        embed_words(str(folder), ["man"])


def test_damaged_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    for file in clip.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[:500] if file.suffix == ".safetensors" else content)
    with pytest.raises(ValueError, match=r"cannot be loaded .*name a folder or a hub id with safetensors"):
        embed_words(str(tmp_path), ["man"])


def test_images_of_other_formats_are_refused(clip: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", format="PPM")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        embed_images(str(clip), [tmp_path / "a.png"])


def test_models_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'no/such/model' cannot be loaded"):
        embed_words("no/such/model", ["man"])
    code = tmp_path / "code"
    code.mkdir()
    (code / "config.json").write_text(json.dumps({"model_type": "x", "auto_map": {"AutoConfig": "evil.Config"}}))
    (code / "evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(ValueError, match="cannot be loaded"):
        embed_words(str(code), ["man"])


def test_nothing_to_embed_is_named(clip: Path) -> None:
    with pytest.raises(ValueError, match="there are no words"):
        embed_words(str(clip), [])
    with pytest.raises(ValueError, match="there are no images"):
        embed_images(str(clip), [])
