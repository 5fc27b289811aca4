"""Options that verbs share which load a model: what to load, who reads its images, and how it is placed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Option(help="pocket, a hub id, a folder or a .safetensors file: `fair-diffusion models`")]
Perceiver = Annotated[
    str | None, typer.Option(help="who may steer: for all models but pocket, such as clip:MODEL (docs/perceivers.md)")
]
Judge = Annotated[str | None, typer.Option(help="who scores, of other weights than the perceiver")]
Dtype = Annotated[str | None, typer.Option(help="float32, float16 or bfloat16; float32 if not given")]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps …; the accelerator if there is one, but cpu for pocket")
]
Offload = Annotated[str | None, typer.Option(help="model or sequential: keep on the accelerator only what works")]
VaeSlicing = Annotated[bool, typer.Option("--vae-slicing", help="decode image by image")]
VaeTiling = Annotated[bool, typer.Option("--vae-tiling", help="decode tile by tile")]
Attention = Annotated[
    str | None, typer.Option(help="slicing, or a backend of diffusers where the model lets it be chosen")
]
Compile = Annotated[bool, typer.Option("--compile", help="compile the network: slow to start, then faster")]
Lora = Annotated[list[str] | None, typer.Option(help="hub id, folder or .safetensors file; may be repeated")]
TextualInversion = Annotated[list[str] | None, typer.Option(help="the same with learned words; may be repeated")]
Config = Annotated[str | None, typer.Option(help="folder or hub id whose configuration a single file has")]


LOADING = (
    *("perceiver", "judge", "dtype", "device", "offload", "vae_slicing", "vae_tiling"),
    *("attention", "compile", "lora", "textual_inversion", "config"),
)


def given(context: typer.Context) -> dict[str, Any]:
    """Of a verb's options those above that were given: for `FairPipeline.from_pretrained`."""
    return {name: context.params[name] for name in LOADING if context.params.get(name)}
