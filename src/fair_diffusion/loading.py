"""Load a diffusers model, wherever it is, and place it: precision, device, memory, speed.

A model is a hub id (OWNER/NAME), a folder as diffusers writes it, a single safetensors file, or a pipeline that is
already loaded. What is found where, and what is refused, is said in `weights`. The steps of placing are diffusers' own;
what each of them costs and saves is on its pages. Exports `load`, `provenance`, `added` and `name_of`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fair_diffusion.fingerprint import of_folder, of_network
from fair_diffusion.made_with import sha256
from fair_diffusion.weights import one_file, one_line, pipeline_of

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
OFFLOADS = ("model", "sequential")
SLICING = "slicing"
LORA_FILE, WORDS_FILE = "pytorch_lora_weights.safetensors", "learned_embeds.safetensors"
"""The file of a LoRA, or of learned words, in a folder that holds several."""


def load(
    model: Any,
    *,
    dtype: str | None = None,
    device: str | None = None,
    offload: str | None = None,
    vae_slicing: bool = False,
    vae_tiling: bool = False,
    attention: str | None = None,
    compile: bool = False,
    lora: Sequence[str] = (),
    textual_inversion: Sequence[str] = (),
    config: str | None = None,
) -> Any:
    """A diffusers pipeline, ready to draw. Nothing is unpickled, and no code that comes with a model is run.

    Args:
        model: a hub id, a folder, a .safetensors file, or a loaded pipeline, which is changed in place and otherwise
            stays as it is.
        dtype: one of `DTYPES`; float32 if None.
        device: as torch names it; the accelerator of this machine if None, else the processor.
        offload: keep on the accelerator only the network that works ("model") or only its layers ("sequential").
        vae_slicing: decode image by image.
        vae_tiling: decode tile by tile.
        attention: "slicing" (UNets), or the name of a backend of diffusers (networks that let it be chosen: FLUX).
        compile: compile the denoising network at its first use.
        lora: hub ids (OWNER/NAME, OWNER/NAME/FILE), folders or .safetensors files; several act together.
        textual_inversion: the same with learned words; a prompt uses the word that is in the file.
        config: for a single file: a folder or hub id whose configuration it has; found out if None.

    Raises:
        ValueError: in one line, what cannot be had or done, and the mend.
    """
    number = _dtype(dtype)
    place = _device(device)
    _check(place, offload, attention)
    named = isinstance(model, (str, Path))
    pipeline = pipeline_of(str(model), number or torch.float32, config) if named else model
    if not named and number is not None:
        pipeline.to(dtype=number)
    _add_loras(pipeline, lora)
    for words in textual_inversion:
        _add_words(pipeline, words)
    network = getattr(pipeline, "transformer", None) or pipeline.unet
    _choose_attention(pipeline, network, attention)
    _spare_vae(pipeline, slicing=vae_slicing, tiling=vae_tiling)
    if offload:
        getattr(pipeline, f"enable_{offload}_cpu_offload")(device=place)
    elif named or device is not None:
        pipeline.to(place)
    if compile:
        network.compile()
    return pipeline


def provenance(pipeline: Any, model: Any, *, lora: Sequence[str] = (), textual_inversion: Sequence[str] = ()) -> str:
    """What weights were loaded, for the record: the hub's commit or a hash, and what was added, each with its hash.

    The hash is that of a file, of all safetensors files of a folder (names and contents), or, of a pipeline that came
    loaded, that of the tensors of its UNet or transformer."""
    folder = _folder_of(pipeline)
    facts = [f"commit {folder.name}"] if folder.parent.name == "snapshots" else []
    if not isinstance(model, (str, Path)):
        network = getattr(pipeline, "transformer", None) or pipeline.unet
        facts += [f"{type(network).__name__} sha256 {found}"] if (found := of_network(network)) else []
    elif Path(model).is_file():
        facts.append(f"sha256 {sha256(Path(model))}")
    elif Path(model).is_dir():
        facts.append(f"sha256 {of_folder(Path(model))}")
    return ", ".join([*facts, *added(lora=lora, textual_inversion=textual_inversion)])


def added(*, lora: Sequence[str] = (), textual_inversion: Sequence[str] = ()) -> list[str]:
    """What was put into the model, by its name, and the hash of the file that was read."""
    kinds = (("LoRA", lora, LORA_FILE), ("textual inversion", textual_inversion, WORDS_FILE))
    return [f"{what} {name} sha256 {sha256(one_file(name, usual))}" for what, names, usual in kinds for name in names]


def name_of(pipeline: Any) -> str:
    """What a loaded pipeline is called: its hub id, its folder, or else its class."""
    folder = _folder_of(pipeline)
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return type(pipeline).__name__ if folder == Path() else str(folder)


def _folder_of(pipeline: Any) -> Path:
    return Path(str(pipeline.config.get("_name_or_path") or ""))


def _dtype(name: str | None) -> torch.dtype | None:
    if name is None:
        return None
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _device(name: str | None) -> torch.device:
    """The device of that name if this machine has it; without a name its accelerator, if it has one."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name is None:
        return accelerator or torch.device("cpu")
    has = ["cpu", *([accelerator.type] if accelerator else [])]
    try:
        place = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; this machine has {', '.join(has)}") from None
    if place.type not in has or (place.index or 0) >= max(1, torch.accelerator.device_count()):
        raise ValueError(f"this machine has no {name}; it has {', '.join(has)}")
    return place


def _check(place: torch.device, offload: str | None, attention: str | None) -> None:
    if offload is not None and offload not in OFFLOADS:
        raise ValueError(f"unknown offload {offload!r}; use {' or '.join(OFFLOADS)}, or none")
    if offload and place.type == "cpu":
        raise ValueError(
            f"offload {offload!r} moves networks to an accelerator and back, and there is none; leave it out"
        )
    if attention and attention.lower().endswith("_hub"):
        raise ValueError(
            f"attention {attention!r} would run code from the hub, which is refused; install the kernel as a package "
            f"and use {attention.removesuffix('_hub')!r}, or leave it out"
        )


def _add_loras(pipeline: Any, names: Sequence[str]) -> None:
    """Load LoRAs by diffusers, and let all of them act, each at its full strength."""
    if not names:
        return
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"{type(pipeline).__name__} takes no LoRA; leave it out")
    from diffusers.utils import is_peft_available

    if not is_peft_available():
        raise ValueError("LoRA needs its extra: pip install 'fair-diffusion[lora]'")
    for k, name in enumerate(names):
        file = one_file(name, LORA_FILE)
        with one_line(name, f"it must be a LoRA for {type(pipeline).__name__}"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several are meant
            before = len(_adapters(pipeline))
            told = {"weight_name": file.name, "adapter_name": f"lora-{k}", "use_safetensors": True}
            pipeline.load_lora_weights(str(file.parent), **told)
            if len(_adapters(pipeline)) == before:
                raise ValueError("none of its weights fits")
    pipeline.set_adapters([f"lora-{k}" for k in range(len(names))])


def _adapters(pipeline: Any) -> set[str]:
    return {name for names in pipeline.get_list_adapters().values() for name in names}


def _add_words(pipeline: Any, name: str) -> None:
    """Load a textual inversion by diffusers; files for two encoders (clip_l, clip_g) into both of SDXL's."""
    if not hasattr(pipeline, "load_textual_inversion"):
        raise ValueError(f"{type(pipeline).__name__} takes no textual inversion; leave it out")
    from safetensors.torch import load_file

    file = one_file(name, WORDS_FILE)
    with one_line(name, f"it must be a textual inversion for {type(pipeline).__name__}"):
        learned = load_file(file)
        if not {"clip_l", "clip_g"} <= learned.keys():
            pipeline.load_textual_inversion(learned)
            return
        for part, end in (("clip_l", ""), ("clip_g", "_2")):
            encoder, tokenizer = (getattr(pipeline, kind + end) for kind in ("text_encoder", "tokenizer"))
            word = {"token": f"<{file.stem}>", "text_encoder": encoder, "tokenizer": tokenizer}
            pipeline.load_textual_inversion(learned[part], **word)


def _choose_attention(pipeline: Any, network: Any, name: str | None) -> None:
    if name is None:
        return
    if name == SLICING:
        if not hasattr(network, "set_attention_slice"):
            raise ValueError(f"the attention of {type(network).__name__} cannot be sliced; leave it out")
        pipeline.enable_attention_slicing()
        return
    processors = getattr(network, "attn_processors", {}).values()
    if not any(hasattr(processor, "_attention_backend") for processor in processors):
        can = f"; use {SLICING!r}" if hasattr(network, "set_attention_slice") else ""
        raise ValueError(
            f"diffusers lets no attention backend be chosen for {type(network).__name__}{can}, or leave it out"
        )
    with one_line(name, "see diffusers' page on attention backends", what="attention backend"):
        network.set_attention_backend(name)


def _spare_vae(pipeline: Any, *, slicing: bool, tiling: bool) -> None:
    vae = getattr(pipeline, "vae", None)
    if (slicing or tiling) and vae is None:
        raise ValueError(f"{type(pipeline).__name__} has no image decoder to slice or tile; leave it out")
    if slicing and vae is not None:
        vae.enable_slicing()
    if tiling and vae is not None:
        vae.enable_tiling()
