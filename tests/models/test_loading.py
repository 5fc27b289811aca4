"""Loading and placing small random models: what is asked for happens, and what cannot is one clear line."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lora_file import make_lora
from original_format import save_original
from safetensors.torch import save_file
from torch import Tensor, nn

from fair_diffusion.backbones import adapt, denoise
from fair_diffusion.models import loading
from fair_diffusion.models.fingerprint import of_folder, of_network
from fair_diffusion.models.loading import load, provenance
from fair_diffusion.models.loras import present
from fair_diffusion.models.provenance import sha256


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without the bars and notes of the libraries."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield
    logging.set_verbosity(before)
    logging.enable_progress_bar()


@pytest.fixture(scope="module")
def folder(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "sd"
    tiny_sd.save_pretrained(path)
    return path


def drawn(pipeline: Any, prompt: str = "a man") -> Tensor:
    backbone = adapt(pipeline)
    told: dict[str, Any] = {"prompts_cond": backbone.encode([prompt]), "empty_cond": backbone.empty(), "seeds": [3]}
    (batch,) = denoise(backbone, **told, steps=3, guidance=4.0)
    with torch.no_grad():
        return backbone.decode(batch.latents)


def same(one: Any, other: Any) -> None:
    """All networks hold the same numbers."""
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        a, b = (getattr(pipeline, part, nn.Identity()).state_dict() for pipeline in (one, other))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_folder(folder: Path, tiny_sd: Any) -> None:
    pipeline = load(folder, device="cpu")
    same(pipeline, tiny_sd)
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd))
    assert provenance(pipeline, folder) == f"sha256 {of_folder(folder)}"


def test_a_single_file_in_the_original_format(folder: Path, tiny_sd: Any, tmp_path: Path) -> None:
    save_original(tiny_sd, tmp_path / "one.safetensors")
    pipeline = load(tmp_path / "one.safetensors", config=str(folder))
    same(pipeline, tiny_sd)
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd))
    assert provenance(pipeline, tmp_path / "one.safetensors").startswith("sha256 ")


def test_a_loaded_pipeline_stays_as_it_is(tiny_sd: Any) -> None:
    before = drawn(tiny_sd)
    assert load(tiny_sd) is tiny_sd
    assert provenance(tiny_sd, tiny_sd) == f"UNet2DConditionModel sha256 {of_network(tiny_sd.unet)}"
    assert torch.equal(drawn(tiny_sd), before)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_precision(folder: Path, tiny_sd: Any, dtype: str) -> None:
    pipeline = load(folder, dtype=dtype)
    assert {pipeline.unet.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {getattr(torch, dtype)}
    assert drawn(pipeline).isfinite().all()
    assert load(copy.deepcopy(tiny_sd), dtype=dtype).unet.dtype == getattr(torch, dtype)


def test_a_spared_image_decoder_gives_the_same_picture(folder: Path, tiny_sd: Any) -> None:
    pipeline = load(folder, vae_slicing=True, vae_tiling=True)
    assert pipeline.vae.use_slicing
    assert pipeline.vae.use_tiling
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd), atol=1e-5, rtol=0)


def test_sliced_attention_gives_the_same_picture(folder: Path, tiny_sd: Any) -> None:
    pipeline = load(folder, attention="slicing")
    assert {type(each).__name__ for each in pipeline.unet.attn_processors.values()} == {"SlicedAttnProcessor"}
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd), atol=1e-5, rtol=0)


@pytest.fixture
def attention_registry() -> Iterator[None]:
    """Choosing a backend sets diffusers' own for the whole process; put it back."""
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry as registry

    before = registry._active_backend
    yield
    registry._active_backend = before


@pytest.mark.usefixtures("attention_registry")
def test_an_attention_backend_gives_the_same_picture(tiny: Callable[[str], Any]) -> None:
    pipeline = load(copy.deepcopy(tiny("flux-dev")), attention="_native_math")
    chosen = {processor._attention_backend for processor in pipeline.transformer.attn_processors.values()}
    assert {str(each.value) for each in chosen} == {"_native_math"}
    torch.testing.assert_close(drawn(pipeline), drawn(tiny("flux-dev")), atol=1e-4, rtol=0)


def test_a_compiled_network_gives_the_same_picture(
    shallow_sd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced as by default, but run as it is: making machine code of it takes minutes."""
    compiled: list[str] = []

    def run_as_it_is(graph: Any, inputs: Any) -> Any:
        compiled.append(type(graph).__name__)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **more: real(function, backend=run_as_it_is, **more))
    shallow_sd.save_pretrained(tmp_path / "sd")
    pipeline = load(tmp_path / "sd", compile=True)
    torch.testing.assert_close(drawn(pipeline), drawn(shallow_sd), atol=1e-5, rtol=0)
    assert compiled
    torch._dynamo.reset()


def test_an_offloaded_model_gives_the_same_picture(folder: Path, tiny_sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processor in the accelerator's place: the hooks are real, the moves are not."""
    pipeline = load(folder)
    freed: list[int] = []
    pipeline.enable_model_cpu_offload(device="cpu")
    free = pipeline.maybe_free_model_hooks

    def counted() -> None:
        freed.append(1)
        free()

    monkeypatch.setattr(pipeline, "maybe_free_model_hooks", counted)
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd))
    assert freed  # before each encoding, so that the big network makes room for the text encoders


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offload_is_passed_on(folder: Path, offload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import StableDiffusionPipeline

    asked: list[Any] = []
    monkeypatch.setattr(loading, "_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(
        StableDiffusionPipeline, f"enable_{offload}_cpu_offload", lambda self, device: asked.append(device)
    )
    load(folder, offload=offload)
    assert asked == [torch.device("cuda")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "int8"}, "unknown dtype 'int8'; use one of float32, float16, bfloat16"),
        ({"device": "abacus"}, "unknown device 'abacus'; this machine has cpu"),
        ({"device": "xla"}, "this machine has no xla; it has cpu"),
        ({"device": "cpu", "offload": "disk"}, "unknown offload 'disk'; use model or sequential"),
        ({"device": "cpu", "offload": "model"}, "offload 'model' moves networks to an accelerator"),
        ({"attention": "flash_hub"}, "would run code from the hub.*use 'flash', or leave it out"),
        ({"attention": "FLASH_HUB"}, "would run code from the hub.*use 'flash', or leave it out"),
        ({"attention": "flash_4_hub"}, "would run code from the hub, which is refused; leave it out"),
        ({"attention": "flash"}, "no attention backend for UNet2DConditionModel; use 'slicing'"),
        ({"config": "x"}, "config 'x' is for a single file"),
        ({"lora": ["gone/"]}, "unknown model 'gone/'"),
        ({"lora": "gone/"}, "unknown model 'gone/'"),
    ],
)
def test_what_cannot_be(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        load(folder, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("pixel", {"vae_tiling": True}, "DDPMPipeline has no image decoder"),
        ("pixel", {"lora": ["x"]}, "DDPMPipeline takes no LoRA"),
        ("pixel", {"textual_inversion": ["x"]}, "takes no textual inversion"),
        ("sd3", {"attention": "slicing"}, "SD3Transformer2DModel cannot be sliced"),
        ("flux-dev", {"attention": "magic"}, "attention backend 'magic' cannot be loaded"),
    ],
)
def test_what_a_family_cannot(tiny: Callable[[str], Any], family: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load(tiny(family), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attention": "flash"}, "no attention backend"),
        ({"config": "x"}, "config 'x' is for a single file, and this pipeline is loaded; leave it out"),
        ({"lora": "gone/"}, "unknown model 'gone/'"),
        ({"textual_inversion": "gone/"}, "unknown model 'gone/'"),
    ],
)
def test_what_cannot_be_changes_no_loaded_pipeline(tiny_sd: Any, options: dict[str, Any], said: str) -> None:
    pipeline = copy.deepcopy(tiny_sd)
    with pytest.raises(ValueError, match=said):
        load(pipeline, dtype="float16", vae_tiling=True, **options)
    same(pipeline, tiny_sd)
    assert not pipeline.vae.use_tiling


def test_a_pipeline_of_no_family_is_named() -> None:
    with pytest.raises(ValueError, match="SimpleNamespace is not supported; load the model as one of"):
        load(SimpleNamespace())


def test_what_is_missing_is_told_before_the_weights_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "pipeline_of", lambda *_: pytest.fail("weights are read"))
    with pytest.raises(ValueError, match="unknown model 'gone/'"):
        load(folder, lora="gone/")
    monkeypatch.setattr("diffusers.utils.is_peft_available", lambda: False)
    with pytest.raises(ValueError, match="needs peft"):
        load(folder, lora="x")


def test_loras_add_to_the_weights(folder: Path, tiny_sd: Any, tmp_path: Path) -> None:
    """Two together are the model whose weights are W + B₁A₁ + B₂A₂."""
    merged = copy.deepcopy(tiny_sd)
    for k in (1, 2):
        for place, change in make_lora(tiny_sd, tmp_path / str(k), seed=k).items():
            merged.unet.get_submodule(place).weight.data += change
    names = [str(tmp_path / "1"), str(tmp_path / "2" / "pytorch_lora_weights.safetensors")]
    pipeline = load(folder, lora=names)
    torch.testing.assert_close(drawn(pipeline), drawn(merged), atol=1e-4, rtol=0)
    assert (drawn(merged) - drawn(tiny_sd)).abs().max() > 0.01
    assert (drawn(load(folder, lora=names[:1])) - drawn(merged)).abs().max() > 0.01
    file = tmp_path / "1" / "pytorch_lora_weights.safetensors"
    assert provenance(pipeline, folder, lora=names[:1]).endswith(f", LoRA {Path(names[0]).name} sha256 {sha256(file)}")


def test_loras_beside_those_that_are_there(tiny_sd: Any, tmp_path: Path) -> None:
    """Those of a loaded pipeline go on at their weights; a second load adds; one that does not fit adds none."""
    changes = [make_lora(tiny_sd, tmp_path / str(k), seed=k) for k in (1, 2, 3)]
    files = [str(tmp_path / str(k) / "pytorch_lora_weights.safetensors") for k in (1, 2, 3)]
    pipeline, merged = copy.deepcopy(tiny_sd), copy.deepcopy(tiny_sd)
    pipeline.load_lora_weights(str(tmp_path / "1"), weight_name=Path(files[0]).name, adapter_name="own")
    pipeline.set_adapters(["own"], [0.5])
    load(pipeline, lora=files[1])
    load(pipeline, lora=[files[2]])
    for weight, change in zip((0.5, 1, 1), changes, strict=True):
        for place, added in change.items():
            merged.unet.get_submodule(place).weight.data += weight * added
    torch.testing.assert_close(drawn(pipeline), drawn(merged), atol=1e-4, rtol=0)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="must be a LoRA"):
        load(pipeline, lora=[files[0], str(tmp_path / "other.safetensors")])
    assert present(pipeline) == {"own", "lora-0", "lora-1"}
    torch.testing.assert_close(drawn(pipeline), drawn(merged), atol=1e-4, rtol=0)


def test_what_is_no_lora(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors' cannot be loaded: .*LoRA for StableDiffusionPipeline"):
        load(folder, lora=[str(tmp_path / "other.safetensors")])
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.bin")
    mend = r"old\.bin is a pickle.*save_file\(torch\.load\('old\.bin', weights_only=True\), 'old\.safetensors'\)"
    with pytest.raises(ValueError, match=mend):
        load(folder, lora=[str(tmp_path / "old.bin")])
    monkeypatch.setattr("diffusers.utils.is_peft_available", lambda: False)
    with pytest.raises(ValueError, match=r"pip install 'fair-diffusion\[lora\]'"):
        load(folder, lora=["x"])


def test_learned_words(folder: Path, tiny_sd: Any, tmp_path: Path) -> None:
    learned = torch.randn(2, 32, generator=torch.Generator().manual_seed(1)) * 3
    save_file({"<mine>": learned}, tmp_path / "learned_embeds.safetensors")
    pipeline = load(folder, textual_inversion=[str(tmp_path)])
    ids = pipeline.tokenizer("<mine> <mine>_1", add_special_tokens=False).input_ids
    assert len(ids) == 2
    torch.testing.assert_close(pipeline.text_encoder.get_input_embeddings().weight[ids], learned)
    assert (drawn(pipeline, "a <mine> man") - drawn(pipeline, "a man")).abs().max() > 0.01
    torch.testing.assert_close(drawn(pipeline), drawn(tiny_sd))


def test_learned_words_for_two_encoders(tiny: Callable[[str], Any], tmp_path: Path) -> None:
    small, large = torch.randn(2, 1, 32, generator=torch.Generator().manual_seed(1))
    save_file({"clip_l": small, "clip_g": large}, tmp_path / "mine.safetensors")
    pipeline = copy.deepcopy(tiny("sdxl"))
    pipeline.tokenizer_2 = copy.deepcopy(pipeline.tokenizer)
    load(pipeline, textual_inversion=[str(tmp_path / "mine.safetensors")])
    for end, learned in (("", small), ("_2", large)):
        encoder, tokenizer = getattr(pipeline, f"text_encoder{end}"), getattr(pipeline, f"tokenizer{end}")
        word = tokenizer.convert_tokens_to_ids("<mine>")
        torch.testing.assert_close(encoder.get_input_embeddings().weight[word], learned[0])


@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("fails", ["words", "lora"])
def test_words_are_put_in_all_or_none(tiny: Callable[[str], Any], tmp_path: Path, family: str, fails: str) -> None:
    """What fails later takes out again what was put in before it, LoRAs too."""
    pipeline = copy.deepcopy(tiny(family))
    before = {name: str(len(part)) for name, part in pipeline.components.items() if name.startswith("tokenizer")}
    learned = {"<mine>": torch.randn(1, 32)}
    if family == "sdxl":
        pipeline.tokenizer_2 = copy.deepcopy(pipeline.tokenizer)
        learned = {"clip_l": torch.randn(1, 32), "clip_g": torch.randn(1, 32)}
    save_file(learned, tmp_path / "mine.safetensors")
    wide = {name.replace("mine", "wide"): torch.zeros(1, 32 if name == "clip_l" else 7) for name in learned}
    save_file(wide, tmp_path / "wide.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    make_lora(pipeline, tmp_path / "lora", seed=1)
    loras = [str(tmp_path / "lora")] + [str(tmp_path / "other.safetensors")] * (fails == "lora")
    words = [str(tmp_path / f"{name}.safetensors") for name in ("mine", "wide") if fails == "words" or name == "mine"]
    said = "wide.safetensors' cannot be loaded" if fails == "words" else "must be a LoRA"
    with pytest.raises(ValueError, match=said):
        load(pipeline, textual_inversion=words, lora=loras)
    assert {name: str(len(getattr(pipeline, name))) for name in before} == before
    same(pipeline, tiny(family))
    assert not present(pipeline)
    assert torch.equal(drawn(pipeline, "a <mine> man"), drawn(tiny(family), "a <mine> man"))
    load(pipeline, textual_inversion=words[:1])
    assert len(pipeline.tokenizer) == len(tiny(family).tokenizer) + 1


def test_what_is_no_learned_word(folder: Path, tmp_path: Path) -> None:
    save_file({"<mine>": torch.zeros(1, 7)}, tmp_path / "wide.safetensors")
    with pytest.raises(ValueError, match="must be a textual inversion for StableDiffusionPipeline"):
        load(folder, textual_inversion=[str(tmp_path / "wide.safetensors")])
    torch.save({"<mine>": torch.zeros(1, 32)}, tmp_path / "old.pt")
    with pytest.raises(ValueError, match=r"old\.pt is a pickle"):
        load(folder, textual_inversion=[str(tmp_path / "old.pt")])
