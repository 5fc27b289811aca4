"""Load a diffusers model from wherever it is, and place it: precision, device, memory, speed.

A model is a hub id (OWNER/NAME), a folder as diffusers writes it, a single safetensors file, or a pipeline that is
already loaded. `weights` finds the files and refuses some of them. The steps of placing are those of diffusers; its
pages say what each one costs and saves. Exports `load`, `provenance`, `added` and `name_of`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch

from fair_diffusion.backbones import family_of
from fair_diffusion.files.text import public
from fair_diffusion.models import learned_words as words
from fair_diffusion.models import loras
from fair_diffusion.models.fingerprint import of_folder, of_network
from fair_diffusion.models.hub import Hub
from fair_diffusion.models.provenance import sha256
from fair_diffusion.models.weights import one_file, one_line, pipeline_of

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
OFFLOADS = ("model", "sequential")
SLICING = "slicing"
LORA_FILE, WORDS_FILE = "pytorch_lora_weights.safetensors", "learned_embeds.safetensors"
"""The file of a LoRA, or of learned words, in a folder with several files."""


def load(
    model: Any,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | None = None,
    offload: str | None = None,
    vae_slicing: bool = False,
    vae_tiling: bool = False,
    attention: str | None = None,
    compile: bool = False,
    lora: str | Sequence[str] = (),
    textual_inversion: str | Sequence[str] = (),
    config: str | None = None,
    hub: Hub | None = None,
) -> Any:
    """A diffusers pipeline, ready to draw. Nothing is unpickled, and no code of the model is run.

    Args:
        model: a hub id, a folder, a .safetensors file, or a loaded pipeline, which is changed in place where the other
            arguments ask for it.
        dtype: one of `DTYPES`, or the same as a number type of torch; float32 if None.
        device: as torch names it. If None, a loaded pipeline stays where it is; otherwise it is the accelerator of this
            machine if there is one, else the processor.
        offload: keep on the accelerator only the network in use ("model") or only its layers ("sequential").
        vae_slicing: decode image by image.
        vae_tiling: decode tile by tile.
        attention: "slicing" (UNets), or the name of a backend of diffusers (for networks with a choice: FLUX).
        compile: compile the denoising network at its first use.
        lora: hub ids (OWNER/NAME, OWNER/NAME/FILE), folders or .safetensors files. Several act together, and beside the
            LoRAs that a loaded pipeline already has.
        textual_inversion: the same with learned words; a prompt uses the word in the file.
        config: for a single file, the folder or hub id with its configuration; found out if None.
        hub: the answers of the hub so far; asked anew if None.

    Raises:
        ValueError: in one line, what cannot be had or done, and the mend. What can be checked is checked before a
            loaded pipeline is changed or large files are fetched. LoRAs and words are added all or none.
    """
    number, place, hub = _dtype(dtype), _device(device), hub or Hub()
    _check(place, offload, attention)
    named, lora, learned = isinstance(model, (str, Path)), _names(lora), _names(textual_inversion)
    asked: dict[str, Any] = {"lora": lora, "learned": learned, "attention": attention, "vae": vae_slicing or vae_tiling}
    if not named:
        _check_fits(model, **asked)
        if config is not None:
            raise ValueError(f"config {config!r} is for a single file, and this pipeline is loaded; leave it out")
    if lora:
        loras.check_peft()
    lora_files = {name: one_file(name, LORA_FILE, hub) for name in lora}
    word_files = {name: one_file(name, WORDS_FILE, hub) for name in learned}
    pipeline = pipeline_of(str(model), number or torch.float32, config, hub) if named else model
    if named:
        _check_fits(pipeline, **asked)
    with words.adding(pipeline, word_files):
        add_loras(pipeline, lora_files)
    if not named and number is not None:
        pipeline.to(dtype=number)
    network = _network(pipeline)
    if attention == SLICING:
        pipeline.enable_attention_slicing()
    elif attention is not None:
        network.set_attention_backend(attention)
    if vae_slicing:
        pipeline.vae.enable_slicing()
    if vae_tiling:
        pipeline.vae.enable_tiling()
    if offload:
        getattr(pipeline, f"enable_{offload}_cpu_offload")(device=place)
    elif named or device is not None:
        pipeline.to(place)
    if named:
        lay_out(pipeline)
    if compile:
        network.compile()
    return pipeline


def lay_out(pipeline: Any) -> None:
    """Lay out a UNet that runs on the processor channels last: quicker there, and other pictures by rounding only.

    A pipeline that comes loaded is not laid out anew: it draws what it drew, to the bit."""
    network = _network(pipeline)
    if type(network).__name__.startswith("UNet") and network.device.type == "cpu":
        network.to(memory_format=torch.channels_last)


def provenance(
    pipeline: Any,
    model: Any,
    *,
    lora: str | Sequence[str] = (),
    textual_inversion: str | Sequence[str] = (),
    config: str | None = None,
    hub: Hub | None = None,
) -> str:
    """The loaded weights, for the record: the hub's commit or a hash, and the additions, each with its hash.

    The hash covers a file, the files from which a folder is loaded (names and contents), or, for a pipeline that came
    loaded, the tensors of its UNet or transformer. A folder with the configuration of a single file has a hash, too.
    """
    folder = _folder_of(pipeline)
    facts = [f"commit {folder.name}"] if folder.parent.name == "snapshots" else []
    if not isinstance(model, (str, Path)):
        network = getattr(pipeline, "transformer", None) or pipeline.unet
        facts += [f"{type(network).__name__} sha256 {found}"] if (found := of_network(network)) else []
    elif Path(model).is_file():
        facts.append(f"sha256 {sha256(Path(model))}")
        if config is not None and Path(config).is_dir():
            facts.append(f"config sha256 {of_folder(Path(config))}")
    elif Path(model).is_dir():
        facts.append(f"sha256 {of_folder(Path(model))}")
    return ", ".join([*facts, *added(lora=lora, textual_inversion=textual_inversion, hub=hub)])


def added(
    *, lora: str | Sequence[str] = (), textual_inversion: str | Sequence[str] = (), hub: Hub | None = None
) -> list[str]:
    """The LoRAs and learned words added to the model: the name of each, and the hash of its file."""
    hub = hub or Hub()
    kinds = (("LoRA", lora, LORA_FILE), ("textual inversion", textual_inversion, WORDS_FILE))
    return [
        f"{what} {public(name)} sha256 {sha256(one_file(name, usual, hub))}"
        for what, names, usual in kinds
        for name in _names(names)
    ]


def name_of(pipeline: Any) -> str:
    """The name of a loaded pipeline: its hub id, else its folder, else its class."""
    folder = _folder_of(pipeline)
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return type(pipeline).__name__ if folder == Path() else str(folder)


def _names(given: str | Sequence[str]) -> list[str]:
    """Names as a list, where a single name may be given alone."""
    return [str(given)] if isinstance(given, (str, Path)) else [str(name) for name in given]


def _network(pipeline: Any) -> Any:
    return getattr(pipeline, "transformer", None) or pipeline.unet


def _folder_of(pipeline: Any) -> Path:
    return Path(str(pipeline.config.get("_name_or_path") or ""))


def _dtype(given: str | torch.dtype | None) -> torch.dtype | None:
    if given is None:
        return None
    name = str(given).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _device(name: str | None) -> torch.device:
    """The device of that name, if this machine has it; without a name, its accelerator if there is one."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name is None:
        return accelerator or torch.device("cpu")
    has = ["cpu", *([accelerator.type] if accelerator else [])]
    try:
        place = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; this machine has {', '.join(has)}") from None
    if place.type not in has or (place.index or 0) >= max(1, torch.accelerator.device_count()):
        raise ValueError(f"this machine has no {name}; it has {', '.join(has)}: name one of these")
    return place


def _check(place: torch.device, offload: str | None, attention: str | None) -> None:
    if offload is not None and offload not in OFFLOADS:
        raise ValueError(f"unknown offload {offload!r}; use {' or '.join(OFFLOADS)}, or none")
    if offload and place.type == "cpu":
        raise ValueError(
            f"offload {offload!r} moves networks to an accelerator and back, and this machine has none; leave it out"
        )
    if attention and attention.lower().endswith("_hub"):
        from diffusers.models.attention_dispatch import AttentionBackendName

        package = attention.lower().removesuffix("_hub")
        known = any(package == each.value for each in AttentionBackendName)
        mend = f"install the kernel as a package and use {package!r}, or leave it out" if known else "leave it out"
        raise ValueError(f"attention {attention!r} would run code from the hub, which is refused; {mend}")


def _check_fits(
    pipeline: Any, *, lora: Sequence[str], learned: Sequence[str], attention: str | None, vae: bool
) -> None:
    """Check that a pipeline supports what is asked for; nothing is changed.

    Raises:
        ValueError: it does not support one of them.
    """
    family_of(pipeline)
    kind = type(pipeline).__name__
    if lora and not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"{kind} takes no LoRA; leave it out")
    if learned and not hasattr(pipeline, "load_textual_inversion"):
        raise ValueError(f"{kind} takes no textual inversion; leave it out")
    if vae and getattr(pipeline, "vae", None) is None:
        raise ValueError(f"{kind} has no image decoder to slice or tile; leave it out")
    if attention is not None:
        _check_attention(_network(pipeline), attention)


def _check_attention(network: Any, name: str) -> None:
    kind, slices = type(network).__name__, hasattr(network, "set_attention_slice")
    if name == SLICING and not slices:
        raise ValueError(f"the attention of {kind} cannot be sliced; leave it out")
    if name == SLICING:
        return
    processors = getattr(network, "attn_processors", {}).values()
    if not any(hasattr(processor, "_attention_backend") for processor in processors):
        can = f"; use {SLICING!r}" if slices else ""
        raise ValueError(f"diffusers offers no attention backend for {kind}{can}, or leave it out")
    from diffusers.models import attention_dispatch as backends

    with one_line(name, "see diffusers' page on attention backends", what="attention backend"):
        backends._check_attention_backend_requirements(backends.AttentionBackendName(name.lower()))


def add_loras(pipeline: Any, files: Mapping[str, Path]) -> list[str]:
    """Load LoRAs by diffusers, all or none. They act at full strength, beside the LoRAs that acted before.

    Args:
        pipeline: of diffusers.
        files: by what messages call each.

    Returns:
        What each is called in the pipeline.
    """
    if not files:
        return []
    with loras.adding(pipeline, keep=True) as acted:
        added = []
        for name, file in files.items():
            adapter = next(free for k in count() if (free := f"lora-{k}") not in loras.present(pipeline))
            with one_line(name, f"it must be a LoRA for {type(pipeline).__name__}"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several LoRAs are intended
                told = {"weight_name": file.name, "adapter_name": adapter, "use_safetensors": True}
                pipeline.load_lora_weights(str(file.parent), **told)
                if adapter not in loras.present(pipeline):
                    raise ValueError("none of its weights fits")
            added.append(adapter)
        loras.act(pipeline, [*acted, *added])
    return added
