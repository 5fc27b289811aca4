"""`fair-diffusion doctor`: what is installed, what is missing, and the command that brings it.

Nothing of torch is imported where its version says that it has no accelerator, so the answer takes about a second.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.perception.opening import PERCEIVERS

NAME = "fair-diffusion"
EXTRAS = {
    "service": "`serve`: images over HTTP",
    "postgres": "a service on PostgreSQL",
    "scale": "suites and services on Ray",
    "faces": "the reader faces, for photographs",
    "heif": "HEIF pictures, as phones write them",
    "lora": "LoRAs, and methods that train one",
    "c2pa": "signed pictures",
    "t5": "T5 tokenizers kept as spiece.model",
}
"""What each extra is for. The others are for who works on this package."""
GIB = 2**30
LEAST_GIB = 1.0
"""Free disk below which a warning is due."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        needed: whether drawing with the pocket model needs it.
        ready: whether it is there and can be used.
        told: what was found.
        mend: the command or step that brings it; empty if it is ready.
    """

    name: str
    needed: bool = False
    ready: bool
    told: str
    mend: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object for each part")] = False,
) -> None:
    """Say what is installed, what is missing, and the command that brings it.

    Exit code 2 if something is missing that drawing with the pocket model needs."""
    parts = [*examined()]
    for part in parts:
        if as_json:
            say_json(asdict(part))
            continue
        say(f"{'ready' if part.ready else 'MISSING' if part.needed else '-':8}{part.name}: {part.told}")
        if part.mend:
            say(f"{'':8}→ {part.mend}")
    if any(part.needed and not part.ready for part in parts):
        raise typer.Exit(2)


def examined() -> Iterator[Part]:
    """All parts, those first that drawing needs."""
    yield Part(name="python", needed=True, ready=True, told=f"{platform.python_version()}, {platform.platform()}")
    yield from _installed()
    yield _accelerator()
    yield _text_encoder()
    yield _pocket_model()
    yield _readers()
    yield _disk()


def _installed() -> Iterator[Part]:
    """The package with what it always needs, and one part for each extra."""
    try:
        wanted = [Requirement(line) for line in requires(NAME) or ()]
        own = version(NAME)
    except PackageNotFoundError:
        mend = "pip install ."
        yield Part(name=NAME, needed=True, ready=False, told="runs from a folder, not installed", mend=mend)
        return
    base = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    lacking = [*map(_lacking, base)]
    told = ", ".join(filter(None, lacking)) or f"{own} with torch {version('torch')}, diffusers {version('diffusers')}"
    mend = f"pip install '{NAME}'" if any(lacking) else ""
    yield Part(name=NAME, needed=True, ready=not mend, told=told, mend=mend)
    for extra, what in EXTRAS.items():
        own_needs = [one for one in wanted if one.marker is not None and one.marker.evaluate({"extra": extra})]
        own_needs = [one for one in own_needs if one not in base]
        if own_needs:
            missing = ", ".join(filter(None, map(_lacking, own_needs)))
            told = f"{what} ({missing})" if missing else what
            mend = f"pip install '{NAME}[{extra}]'" if missing else ""
            yield Part(name=f"extra {extra}", ready=not missing, told=told, mend=mend)


def _lacking(wanted: Requirement) -> str:
    """What is wrong with the installed version of a requirement; empty if nothing is."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"no {wanted.name}"
    fits = wanted.specifier.contains(found, prereleases=True)
    return "" if fits else f"{wanted.name} {found}, not {wanted.specifier}"


def _accelerator() -> Part:
    try:
        build = version("torch")
    except PackageNotFoundError:
        return Part(name="accelerator", ready=False, told="no torch")
    cores = f"the processor draws, with {os.cpu_count()} cores"
    if build.endswith("+cpu"):
        mend = "a build of torch for your accelerator (pytorch.org has the command)"
        return Part(name="accelerator", ready=False, told=f"torch {build} knows none: {cores}", mend=mend)
    import torch

    place = torch.accelerator.current_accelerator()
    if place is None or not torch.accelerator.is_available():
        mend = "the driver of your accelerator"
        return Part(name="accelerator", ready=False, told=f"torch {build} finds none: {cores}", mend=mend)
    return Part(name="accelerator", ready=True, told=f"{place.type}, {torch.accelerator.device_count()} of them")


def _text_encoder() -> Part:
    from fair_diffusion.policy import minilm

    try:
        minilm.folder()
    except RuntimeError as error:
        told, _, mend = str(error).partition("; ")
        return Part(name="text encoder", needed=True, ready=False, told=told, mend=mend)
    return Part(name="text encoder", needed=True, ready=True, told="all-MiniLM-L6-v2, its hash is right")


def _pocket_model() -> Part:
    from safetensors import SafetensorError, safe_open

    weights = Path(__file__).parents[1] / "models" / "pocket" / "weights"
    damaged = []
    for file in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "perceiver", "judge", "early"):
        try:
            with safe_open(weights / f"{file}.safetensors", framework="np") as opened:
                opened.keys()
        except (OSError, SafetensorError):
            damaged.append(file)
    told = f"damaged or not there: {', '.join(damaged)}" if damaged else "its weights, perceiver and judge"
    mend = f"pip install --force-reinstall --no-deps {NAME}" if damaged else ""
    return Part(name="pocket model", needed=True, ready=not damaged, told=told, mend=mend)


def _readers() -> Part:
    """Perceivers that read with what is installed, and those that want a model or a table of the user's own."""
    own = [kind.name for kind in PERCEIVERS.values() if not kind.argument and kind.name not in EXTRAS]
    asked = [kind.names[0] for kind in PERCEIVERS.values() if kind.argument]
    return Part(name="readers", needed=True, ready=True, told=f"{', '.join(own)}; with yours: {', '.join(asked)}")


def _disk() -> Part:
    free = shutil.disk_usage(Path.cwd()).free / GIB
    mend = "" if free >= LEAST_GIB else "free some, or write to another disk with --out"
    return Part(name="disk", ready=not mend, told=f"{free:.0f} GiB free here", mend=mend)
