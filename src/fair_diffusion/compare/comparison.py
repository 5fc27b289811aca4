"""Every way on every prompt, the same seeds, in cells that survive an interrupt. Exports `compare`, `Comparison` and
`settings`.

The ways of a few prompts are drawn in turn, so that their seconds are those of the same hour. Plain images, and those
of edited weights, do not depend on an instruction and are drawn once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.compare.drawn import Drawn, load, save
from fair_diffusion.compare.folder import cell_path, work_folder
from fair_diffusion.compare.measure import Ask, Drawing, PlainImages, measure
from fair_diffusion.compare.way import PLAIN, Way, check_names
from fair_diffusion.control.step_progress import StepProgress
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.models.fingerprint import of_reader
from fair_diffusion.models.provenance import versions
from fair_diffusion.policy import Policy, match
from fair_diffusion.request import Request

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

TOGETHER = 4
"""Prompts that one way draws together, so that their batches are full; then it is the next way's turn."""
SPACING = 1_000_000
"""What lies between the first seeds of two prompts, so that no noise comes twice."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Where everything lies.

    asks: prompt by prompt, and for each the instructions. failures: why a way has no numbers, by instruction and name.
    settings: what all cells share. device: the type of the device that drew.
    """

    folder: Path
    ways: Sequence[Way]
    asks: Sequence[Ask]
    settings: Mapping[str, Any]
    device: str
    failures: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def instructions(self) -> list[str]:
        """The names of the instructions, in order."""
        return list(dict.fromkeys(ask.instruction for ask in self.asks))

    def path(self, way: Way, ask: Ask) -> Path:
        """The file of one cell."""
        return cell_path(self.folder, way.name, ask.prompt, ask.identity(way))

    def cells(self, way: Way, instruction: str) -> list[tuple[Ask, Drawn]]:
        """The cells of one way under one instruction, without pictures; none if it failed."""
        if (instruction, way.name) in self.failures:
            return []
        return [(ask, load(self.path(way, ask))) for ask in self.asks if ask.instruction == instruction]


def compare(
    pipe: FairPipeline,
    ways: Sequence[Way],
    prompts: Sequence[str],
    instructions: Mapping[str, Policy],
    folder: Path,
    *,
    drawing: Drawing,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Draw and read what `folder` does not hold yet.

    Args:
        pipe: the model with its readers.
        ways: what to compare; `PLAIN` comes first, asked for or not.
        prompts: what to draw.
        instructions: what to ask for, by a name for tables.
        folder: a new folder, or one that a call with the same settings left.
        drawing: images per prompt, steps, guidance and the like.
        seed: prompt k is drawn from seed + k · `SPACING` on.
        progress: called with the images that are there and those that there will be.

    Raises:
        ValueError: a wrong argument, an instruction that asks nothing of a prompt, or a folder with other settings;
            before anything is drawn.
        KeyboardInterrupt: interrupted; finished cells are kept.
    """
    ways = [PLAIN, *(way for way in ways if way != PLAIN)]
    check_names(ways)
    for k, prompt in enumerate(prompts):
        Request(**vars(drawing), prompt=prompt, seed=seed + k * SPACING)
    asks = asked(pipe, prompts, instructions, seed)
    found = Comparison(
        folder=folder,
        ways=ways,
        asks=asks,
        settings=settings(pipe, drawing, seed),
        device=pipe.backbone.device.type,
        failures=(failures := {}),
    )
    work_folder(folder).check(found.settings)
    whole = len(asks) * len(ways) * drawing.n
    done, moved = 0, StepProgress(progress, whole, steps=drawing.steps)
    for name in instructions:
        own = [ask for ask in asks if ask.instruction == name]
        for first in range(0, len(own), TOGETHER):
            some = own[first : first + TOGETHER]
            for way in ways:
                missing = [ask for ask in some if not found.path(way, ask).is_file()]
                moved.at(done + (len(some) - len(missing)) * drawing.n)
                done += len(some) * drawing.n
                if not missing or (name, way.name) in failures:
                    continue
                try:
                    _draw(pipe, found, way, missing, drawing, moved)
                except Exception as error:  # whatever it is, the other ways are still worth drawing
                    if way == PLAIN:
                        raise
                    at = next(ask for ask in missing if not found.path(way, ask).is_file())
                    failures[name, way.name] = f"{at.prompt!r}: {_said(error)}"
    moved.at(whole)
    return found


def settings(pipe: FairPipeline, drawing: Drawing, seed: int = 0) -> dict[str, Any]:
    """What all cells of a comparison share, as plain data."""
    readers = {role: getattr(pipe, role) for role in ("perceiver", "judge", "early")}
    return {
        "model": pipe.name,
        "weights": pipe.weights,
        "seed": seed,
        **drawing.settings,
        "guidance": pipe.card.guidance if drawing.guidance is None else drawing.guidance,
        "dtype": str(pipe.backbone.dtype).removeprefix("torch."),
        "device": pipe.backbone.device.type,
        **{role: of_reader(reader) for role, reader in readers.items() if reader is not None},
        "versions": versions(),
    }


def asked(pipe: FairPipeline, prompts: Sequence[str], instructions: Mapping[str, Policy], seed: int) -> list[Ask]:
    """Every prompt under every instruction. `ValueError` if one asks nothing, cannot be read, or comes twice."""
    if not prompts:
        raise ValueError("there is no prompt; give at least one")
    if not instructions:
        raise ValueError("there is no instruction; say what to aim for, such as “every occupation: half women”")
    twice = [prompt for prompt in prompts if prompts.count(prompt) > 1]
    if twice:
        raise ValueError(f"the prompt {twice[0]!r} comes twice; give each once")
    asks = []
    for k, prompt in enumerate(prompts):
        for name, policy in instructions.items():
            matched = match(policy, prompt)
            if matched.rule is None:
                raise ValueError(f"{name!r} asks nothing of {prompt!r}: {matched.reason}")
            pipe.check(matched)
            asks.append(Ask(instruction=name, policy=policy, prompt=prompt, matched=matched, seed=seed + k * SPACING))
    return asks


def _draw(
    pipe: FairPipeline,
    found: Comparison,
    way: Way,
    asks: Sequence[Ask],
    drawing: Drawing,
    on_step: Callable[[Any], None],
) -> None:
    """Draw some prompts in one way, and save each as soon as it is finished."""
    plain = [None if way == PLAIN else PlainImages.of(load(found.path(PLAIN, ask), pictures=True)) for ask in asks]
    for ask, drawn in measure(pipe, way, asks, drawing, plain=plain, on_step=on_step):
        work_folder(found.folder).claim(found.settings)
        save(drawn, found.path(way, ask))


def _said(error: Exception) -> str:
    """An error in one line; its kind is named unless it is one that is meant to be read."""
    line = (str(error).splitlines() or [""])[0]
    return line if isinstance(error, ValueError) and line else f"{type(error).__name__}: {line}"
