"""Draw every way on every prompt with the same seeds, in cells that survive an interrupt.

All ways of a few prompts are drawn in turn, so that their times are measured under the same conditions. Plain images
and those of edited weights do not depend on the instruction and are drawn once for all instructions.
Exports `compare`, `Comparison` and `settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

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
    ways, asks = planned(ways, prompts, instructions, drawing=drawing, seed=seed)
    for ask in asks:
        pipe.check(ask.matched)
    comparison = opened(pipe, ways, asks, folder, drawing=drawing, seed=seed)
    work_folder(folder).check(comparison.settings)
    whole = len(asks) * len(ways) * drawing.n
    done, moved = 0, StepProgress(progress, whole, steps=drawing.steps)
    for some in together(asks):
        draw_asks(pipe, comparison, some, drawing, on_step=moved, at=partial(_move, moved, done))
        done += len(some) * len(ways) * drawing.n
    moved.at(whole)
    return comparison


def planned(
    ways: Sequence[Way], prompts: Sequence[str], instructions: Mapping[str, Policy], *, drawing: Drawing, seed: int
) -> tuple[list[Way], list[Ask]]:
    """What `compare` draws: the ways, plain first, and every prompt with every instruction.

    Raises:
        ValueError: a wrong argument, or an instruction that asks nothing of a prompt.
    """
    ways = [PLAIN, *(way for way in ways if way != PLAIN)]
    check_names(ways)
    for k, prompt in enumerate(prompts):
        Request(**vars(drawing), prompt=prompt, seed=seed + k * SPACING)
    return ways, asked(prompts, instructions, seed)


def opened(
    pipe: FairPipeline, ways: Sequence[Way], asks: Sequence[Ask], folder: Path, *, drawing: Drawing, seed: int
) -> Comparison:
    """A comparison with the settings of the pipeline that draws it. Its failures may be added to."""
    shared = settings(pipe, drawing, seed)
    return Comparison(
        folder=folder, ways=ways, asks=asks, settings=shared, device=pipe.backbone.device.type, failures={}
    )


def together(asks: Sequence[Ask]) -> Iterator[list[Ask]]:
    """The asks of some prompts, with all instructions: what is drawn in turn."""
    prompts = list(dict.fromkeys(ask.prompt for ask in asks))
    by_prompt: dict[str, list[Ask]] = {prompt: [] for prompt in prompts}
    for ask in asks:
        by_prompt[ask.prompt].append(ask)
    for first in range(0, len(prompts), TOGETHER):
        yield [ask for prompt in prompts[first : first + TOGETHER] for ask in by_prompt[prompt]]


def draw_asks(
    pipe: FairPipeline,
    comparison: Comparison,
    asks: Sequence[Ask],
    drawing: Drawing,
    *,
    on_step: Callable[[Any], None],
    at: Callable[[int], None] = lambda _: None,
) -> None:
    """Draw and read the cells of some prompts that the folder lacks, all ways in turn.

    A way that cannot be drawn is noted in the comparison's failures, and passed over from then on.

    Args:
        pipe: the model with its readers.
        comparison: as `opened` gives it.
        asks: some of its asks, with all instructions of their prompts.
        drawing: as for `compare`.
        on_step: as in `FairPipeline`.
        at: called with the number of images of these asks that are done.
    """
    failures = comparison.failures
    done = 0
    for name in dict.fromkeys(ask.instruction for ask in asks):
        some = [ask for ask in asks if ask.instruction == name]
        for way in comparison.ways:
            missing = [ask for ask in some if not comparison.path(way, ask).is_file()]
            at(done + (len(some) - len(missing)) * drawing.n)
            done += len(some) * drawing.n
            if not missing or (name, way.name) in failures:
                continue
            try:
                _draw(pipe, comparison, way, missing, drawing, on_step)
            except Exception as error:  # whatever failed, the other ways can still be drawn
                if way == PLAIN:
                    raise
                first = next(ask for ask in missing if not comparison.path(way, ask).is_file())
                failures[name, way.name] = f"{first.prompt!r}: {without_folders(_said(error))}"


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
        **({"calibration": pipe.calibration.version} if pipe.calibration.readers else {}),
        "versions": versions(),
    }


def asked(prompts: Sequence[str], instructions: Mapping[str, Policy], seed: int) -> list[Ask]:
    """Every prompt with every instruction.

    Raises:
        ValueError: there is no prompt or no instruction, a prompt comes twice, or an instruction asks nothing of a
            prompt.
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
        work_folder(comparison.folder).join(comparison.settings)
        save(drawn, comparison.path(way, ask))


def _move(moved: StepProgress, before: int, done: int) -> None:
    moved.at(before + done)


def _said(error: Exception) -> str:
    """An error in one line, with its type unless it is a `ValueError` with a message."""
    line = (str(error).splitlines() or [""])[0]
    return line if isinstance(error, ValueError) and line else f"{type(error).__name__}: {line}"
