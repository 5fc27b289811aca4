"""Options that several verbs share: each is declared once, in a group, and a verb takes the whole group.

A group is a `TypedDict` whose keys are annotated as options. A verb that `grouped` decorates has one parameter for a
group; on the command line that parameter is one option for each key, and the verb receives the options that were given.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict, get_args, get_type_hints, is_typeddict

import typer

from fair_diffusion.methods import METHODS, USUAL, described

_LEARNT = "; ".join(f"{row.learnt}, for {row.name}" for row in METHODS.values() if row.learnt)
_LOSSES = "; ".join(
    f"for {row.name}: {row.losses[0]} (if not given), {' or '.join(row.losses[1:])}"
    for row in METHODS.values()
    if row.losses
)


class _Model(TypedDict, total=False):
    model: Annotated[
        str,
        typer.Option(
            help="pocket, a hub id, a folder or a .safetensors file (see the verb models); pocket if not given"
        ),
    ]


class _Models(TypedDict, total=False):
    model: Annotated[
        list[str],
        typer.Option(help="pocket, a hub id, a folder or a .safetensors file; pocket if not given; repeatable"),
    ]
    memory: Annotated[
        float, typer.Option(help="GiB of weights in memory at once; without it, every model stays there", min=0)
    ]


class _Placing(TypedDict, total=False):
    perceiver: Annotated[
        str,
        typer.Option(
            help="who may steer: for all models but pocket, such as clip:MODEL (docs/reference/perceivers.md)"
        ),
    ]
    judge: Annotated[str, typer.Option(help="who scores, with other weights than the perceiver")]
    calibration: Annotated[
        str, typer.Option(help="what people's labels say of both readers: a file that the verb calibrate wrote")
    ]
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16; float32 if not given")]
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda, cuda:1, mps …; if not given, the accelerator if there is one, but cpu for pocket"
        ),
    ]
    offload: Annotated[str, typer.Option(help="model or sequential: keep only the part at work on the accelerator")]
    vae_slicing: Annotated[bool, typer.Option("--vae-slicing", help="decode image by image")]
    vae_tiling: Annotated[bool, typer.Option("--vae-tiling", help="decode tile by tile")]
    attention: Annotated[str, typer.Option(help="slicing, or a backend of diffusers where the model allows a choice")]
    compile: Annotated[bool, typer.Option("--compile", help="compile the network: slow to start, then faster")]
    lora: Annotated[
        list[str],
        typer.Option(
            help="hub id, folder or .safetensors file of a LoRA; repeatable; for a service, NAME=FILE is one that "
            "requests may ask for as MODEL+NAME; with several models, MODEL+NAME=FILE"
        ),
    ]
    textual_inversion: Annotated[
        list[str], typer.Option(help="hub id, folder or .safetensors file with learned words; repeatable")
    ]
    config: Annotated[str, typer.Option(help="folder or hub id with the configuration of a single-file model")]


class Loading(_Model, _Placing, total=False):
    """Which model is loaded, who reads its images, and how it is placed: for `usage.loaded`."""


class LoadingModels(_Models, _Placing, total=False):
    """The same of the models of a worker: for `serving_models.models_of`."""


class Defining(TypedDict, total=False):
    """Attributes of one's own: for `usage.defined`."""

    define: Annotated[
        list[str],
        typer.Option(
            help="further attributes, which instructions, tables and labels may name: a ready one, such as glasses, or "
            "a YAML file; repeatable"
        ),
    ]


class Instruction(Defining, total=False):
    """What the images are to show: for `usage.instructed`."""

    instruct: Annotated[str, typer.Option(help='such as "firefighter: half women" or "every occupation: half women"')]
    policy: Annotated[Path, typer.Option(help="a policy file (YAML)")]


class Holding(TypedDict, total=False):
    """What the images are to keep: a field of `Request`."""

    hold: Annotated[
        str,
        typer.Option(
            help="attributes that steered images keep, with commas, or none; if not given, what the policy says, or "
            "every attribute that the perceiver reads and no target asks for"
        ),
    ]


class Sampling(TypedDict, total=False):
    """How images are drawn, whatever the method: fields of `Request`."""

    steps: Annotated[int, typer.Option(help="denoising steps; as usual for the model if not given")]
    guidance: Annotated[float, typer.Option(help="guidance scale; as usual for the model if not given")]
    negative_prompt: Annotated[str, typer.Option(help="what guidance leads away from")]
    guidance_rescale: Annotated[
        float, typer.Option(help="0 to 1: how far guided predictions keep the spread of unguided ones; 0 if not given")
    ]
    repair_budget: Annotated[
        float,
        typer.Option(
            help="what repairs, rejected images or further attempts may cost, as a share of plain generation (four "
            "images at least); 0 for none; 0.25 if not given"
        ),
    ]
    batch_size: Annotated[int, typer.Option(help="images at a time; 8 if not given")]
    size: Annotated[str, typer.Option(help="width and height in pixels, such as 768x512; the model's own if not given")]


class Steering(Holding, total=False):
    """How images are steered: fields of `Request`."""

    method: Annotated[str, typer.Option(help=f"{described()}; {USUAL} if not given")]
    control: Annotated[
        str,
        typer.Option(
            help="natural-first: steer only the images that would not fit by themselves, and repair misses; all: steer "
            "every image; as usual for the method if not given"
        ),
    ]
    file: Annotated[Path, typer.Option(help=f"what was learnt beforehand (safetensors): {_LEARNT}")]
    loss: Annotated[str, typer.Option(help=f"the fairness loss, {_LOSSES}; see docs/explanation/latents.md")]


class Scaling(TypedDict, total=False):
    """Who draws, if not this process: for `scaling.Scale`."""

    workers: Annotated[
        int,
        typer.Option(
            help="let so many processes draw, or actors of Ray; 0: workers that you start (fair-diffusion worker "
            "--cells); if neither this nor --cluster is given, this process draws",
            min=0,
            max=10_000,
        ),
    ]
    cluster: Annotated[
        str,
        typer.Option(help="local: processes of this machine; auto or ray://HOST:10001: a Ray cluster (extra scale)"),
    ]
    database: Annotated[
        str,
        typer.Option(
            help="where workers find what to draw: postgresql+psycopg://USER:PASSWORD@HOST/NAME for several machines, "
            "or a file; also as FAIR_DIFFUSION_DATABASE; a file that lasts as long as this command if not given",
            metavar="URL",
        ),
    ]
    store: Annotated[
        str,
        typer.Option(help="URL of fsspec for parts, such as s3://BUCKET/SUITE, where workers do not share the folder"),
    ]
    gpus: Annotated[float, typer.Option(help="with Ray: GPUs of one worker, such as 0.5; 1 if there are any", min=0)]


class Auditing(TypedDict, total=False):
    """What an audit counts, what it compares the counts with, and where it writes: for `auditing.run`."""

    reference: Annotated[
        str, typer.Option(help="shares to compare with: counts, a study or a run, as PATH or PATH:SOURCE")
    ]
    attribute: Annotated[
        list[str], typer.Option(help='count only this, such as gender or "gender × skin_tone"; repeatable')
    ]
    human_labels: Annotated[
        Path, typer.Option(help="a table file,attribute,group[,rater] of some of the images, beside their reader")
    ]
    quality_reference: Annotated[
        Path, typer.Option(help="a folder of pictures to measure quality by: KID over the reader's features")
    ]
    out: Annotated[Path, typer.Option(help="a new folder for the study, with its report as a page")]
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")]


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with one option for each key of each group that it takes as a parameter.

    Args:
        verb: a command; it receives each group as a dict of the options that were given.

    Returns:
        The command for typer, which reads its options from the signature.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: get_type_hints(hint, include_extras=True) for name, hint in hints.items() if is_typeddict(hint)}
    own, shared = [], []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            shared += [_optional(key, kind) for key, kind in groups[name].items()]
        else:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @functools.wraps(verb)
    def command(**told: Any) -> None:
        for name, options in groups.items():
            values = {key: told.pop(key) for key in options}
            told[name] = {key: value for key, value in values.items() if _given(value)}
        verb(**told)

    parameters = own + shared
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _optional(key: str, kind: Any) -> inspect.Parameter:
    """The parameter of one option that may be left out."""
    bare, *told = get_args(kind)
    if bare is not bool:
        kind = Annotated[bare | None, *told]
    default = False if bare is bool else None
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _given(value: Any) -> bool:
    """Whether an option was given: zero and the empty text are values."""
    return value is not None and value is not False and value != []
