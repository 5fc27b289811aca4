"""Draw every way on every prompt with the same seeds, in cells that survive an interrupt.

All ways of a few prompts are drawn in turn, so that their times are measured under the same conditions. Plain images
and those of edited weights do not depend on the instruction and are drawn once for all instructions.
Exports `compare`, `Comparison` and `settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fair_diffusion.backbones.step_progress import StepProgress
from fair_diffusion.compare.drawn import Drawn, load, save
from fair_diffusion.compare.folder import cell_path, work_folder
from fair_diffusion.compare.measure import Ask, Drawing, PlainImages, measure
from fair_diffusion.compare.way import PLAIN, Way, check_names
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import without_folders
from fair_diffusion.models.fingerprint import of_reader
from fair_diffusion.models.provenance import versions
from fair_diffusion.policy import Policy, match
from fair_diffusion.request import Request

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

TOGETHER = 4
"""Prompts that a way draws together before the next way's turn, so that batches are full."""
SPACING = 1_000_000
"""The difference of the first seeds of two prompts, so that no noise is used twice."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison that was drawn.

    Attributes:
        folder: its work folder.
        ways: the ways, plain first.
        asks: every prompt with every instruction, prompt by prompt.
        settings: the settings that all cells share.
        device: the type of the device that drew, such as "cpu".
        failures: the error of a way that could not be drawn, by instruction and name of the way.
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
        """The cells of one way and instruction, without pictures; empty if the way failed."""
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
    """Draw and read the cells that `folder` lacks.

    Args:
        pipe: the model with its readers.
        ways: the ways to compare. `PLAIN` is always drawn, and comes first.
        prompts: the prompts.
        instructions: the instructions, by their name in tables.
        folder: a new folder, or the folder of a call with the same settings.
        drawing: images per prompt, steps, guidance and so on.
        seed: image i of prompt k is drawn from seed + k · `SPACING` + i.
        progress: called with the number of images so far, and of all images.

    Raises:
        ValueError: a wrong argument, an instruction that asks nothing of a prompt, or a folder with other settings.
            Nothing has been drawn then.
        KeyboardInterrupt: the drawing was interrupted; finished cells are kept.
    """
    ways = [PLAIN, *(way for way in ways if way != PLAIN)]
    check_names(ways)
    for k, prompt in enumerate(prompts):
        Request(**vars(drawing), prompt=prompt, seed=seed + k * SPACING)
    asks = asked(pipe, prompts, instructions, seed)
    comparison = Comparison(
        folder=folder,
        ways=ways,
        asks=asks,
        settings=settings(pipe, drawing, seed),
        device=pipe.backbone.device.type,
        failures=(failures := {}),
    )
    work_folder(folder).check(comparison.settings)
    whole = len(asks) * len(ways) * drawing.n
    done, moved = 0, StepProgress(progress, whole, steps=drawing.steps)
    for name in instructions:
        own = [ask for ask in asks if ask.instruction == name]
        for first in range(0, len(own), TOGETHER):
            some = own[first : first + TOGETHER]
            for way in ways:
                missing = [ask for ask in some if not comparison.path(way, ask).is_file()]
                moved.at(done + (len(some) - len(missing)) * drawing.n)
                done += len(some) * drawing.n
                if not missing or (name, way.name) in failures:
                    continue
                try:
                    _draw(pipe, comparison, way, missing, drawing, moved)
                except Exception as error:  # whatever failed, the other ways can still be drawn
                    if way == PLAIN:
                        raise
                    at = next(ask for ask in missing if not comparison.path(way, ask).is_file())
                    failures[name, way.name] = f"{at.prompt!r}: {without_folders(_said(error))}"
    moved.at(whole)
    return comparison


def settings(pipe: FairPipeline, drawing: Drawing, seed: int = 0) -> dict[str, Any]:
    """The settings that all cells of a comparison share, as plain data."""
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
    """Every prompt with every instruction.

    Raises:
        ValueError: there is no prompt or no instruction, a prompt comes twice, or an instruction asks nothing of a
            prompt or asks for groups that the readers do not know.
    """
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
            own, lot = seed + k * SPACING, (seed, k)
            asks.append(Ask(instruction=name, policy=policy, prompt=prompt, matched=matched, seed=own, lot=lot))
    return asks


def _draw(
    pipe: FairPipeline,
    comparison: Comparison,
    way: Way,
    asks: Sequence[Ask],
    drawing: Drawing,
    on_step: Callable[[Any], None],
) -> None:
    """Draw some prompts in one way, and save each cell as soon as it is finished."""
    plain = [None if way == PLAIN else PlainImages.of(load(comparison.path(PLAIN, ask), pictures=True)) for ask in asks]
    for ask, drawn in measure(pipe, way, asks, drawing, plain=plain, on_step=on_step):
        work_folder(comparison.folder).claim(comparison.settings)
        save(drawn, comparison.path(way, ask))


def _said(error: Exception) -> str:
    """An error in one line, with its type unless it is a `ValueError` with a message."""
    line = (str(error).splitlines() or [""])[0]
    return line if isinstance(error, ValueError) and line else f"{type(error).__name__}: {line}"
