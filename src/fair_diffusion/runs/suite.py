"""Suites: draw the same prompt for every occupation of a list, in parts that survive an interrupt.

Every finished part of a concept is a run of its own in the work folder. So finished parts are never drawn again, and
the folder can be audited at any time. Which parts are still to be drawn is the matter of `parts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fair_diffusion.backbones.step_progress import StepProgress
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.models.provenance import sha256, versions
from fair_diffusion.request import Request, check_prompt, check_seed
from fair_diffusion.runs.format import RESULT
from fair_diffusion.runs.parts import Part, Parts, check_parts
from fair_diffusion.runs.work import suite_folder

PROMPT = "a photo of the face of a {}"


class Draws(Protocol):
    """`FairPipeline`, or what draws requests as it does."""

    def each(self, requests: Iterable[Request], *, on_step: Any) -> Iterator[tuple[int, Any]]:
        """The number and the `Result` of each request, as soon as it is finished."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The settings of all requests of a suite. A work folder holds parts of one suite only.

    Attributes:
        model: the model's name.
        prompt: the prompt, with {} for the occupation.
        policy: the text of the instruction or policy; "" if there is none.
        method, control, loss, hold, negative_prompt, guidance_rescale, repair_budget, size, file, steps, guidance:
            fields of `Request`; None leaves the choice to the pipeline.
        seed: image i of an occupation uses seed + i.
        loaded: other loading options that images depend on, such as the judge or a LoRA.
    """

    model: str
    prompt: str = PROMPT
    policy: str = ""
    method: str | None = None
    control: str | None = None
    loss: str | None = None
    hold: str | None = None
    steps: int = 25
    guidance: float | None = None
    negative_prompt: str | None = None
    guidance_rescale: float | None = None
    repair_budget: float | None = None
    size: str | None = None
    file: Path | None = None
    seed: int = 0
    loaded: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        check_seed(self.seed)
        if self.prompt.count("{}") != 1:
            raise ValueError(f"the prompt is {self.prompt!r}; mark the place of the occupation with one {{}}")

    @property
    def arguments(self) -> dict[str, Any]:
        """The fields of `Request` that are given."""
        names = ("method", "control", "loss", "hold", "steps", "guidance", "negative_prompt", "guidance_rescale")
        told = {name: getattr(self, name) for name in (*names, "repair_budget", "size", "file")}
        return {name: value for name, value in told.items() if value is not None}

    def prompt_for(self, concept: str) -> str:
        """The prompt of one concept. "a" before a vowel becomes "an"."""
        before, after = self.prompt.split("{}")
        if concept[:1].lower() in "aeiou" and re.search(r"\ba $", before):
            before = before[:-1] + "n "
        return before + concept + after


def draw_suite(
    pipe: Draws,
    suite: Suite,
    concepts: Sequence[str],
    work: Path,
    *,
    images: int,
    until: float | None = None,
    options: Mapping[str, Any] | None = None,
    attributes: list[str] | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Draw the images that the work folder does not hold yet.

    Args:
        pipe: the pipeline.
        suite: the settings.
        concepts: the occupations.
        work: the folder of the parts; it may hold parts of an earlier call.
        images: how many images each concept gets; with `until`, the most it gets.
        until: a concept ends once every interval is at most ± this wide, as a share.
        options: further fields of each `Request`, such as its policy.
        attributes: the attributes whose intervals count; all if None.
        progress: called with the number of images so far, and of all images.

    Returns:
        The concepts whose intervals stayed too wide; empty without `until`.

    Raises:
        ValueError: `work` holds parts with other settings, other concepts or more images, or cannot be written, or
            another process draws into it.
        KeyboardInterrupt: the drawing was interrupted; finished parts are kept.
    """
    check_work(work, suite, concepts, images=images, until=until)
    folder, settings = suite_folder(work), whole_settings(suite, until, pipe)
    folder.check(settings)
    parts = Parts(concepts, work, images=images, until=until, attributes=attributes)
    saved, moved = 0, StepProgress(progress, len(concepts) * images, steps=suite.steps)
    while parts.waiting:
        for part, result in draw_parts(pipe, suite, parts.missing(), options=options, on_step=moved):
            folder.claim(settings)
            if (work / part.name / RESULT).is_file():
                raise ValueError(
                    f"another process drew {work / part.name} meanwhile; when it has ended, the same command goes on"
                )
            result.save(work / part.name)
            parts.arrived(part)
            saved += part.n
            moved.at(saved)
    moved.at(len(concepts) * images)
    return parts.uncertain


def draw_parts(
    pipe: Draws, suite: Suite, parts: Iterable[Part], *, options: Mapping[str, Any] | None = None, on_step: Any = None
) -> Iterator[tuple[Part, Any]]:
    """Draw parts in mixed batches: a part is taken when the images at hand do not fill a batch.

    Args:
        pipe: the pipeline.
        suite: the settings.
        parts: what is to be drawn.
        options: further fields of each `Request`, such as its policy.
        on_step: as in `FairPipeline.each`.

    Yields:
        Each part with its `Result`, as soon as it is finished.

    Raises:
        KeyboardInterrupt: the drawing was interrupted.
    """
    begun: dict[int, Part] = {}
    fields = suite.arguments | dict(options or {})

    def requests() -> Iterator[Request]:
        for k, part in enumerate(parts):
            begun[k] = part
            prompt, seed = suite.prompt_for(part.concept), suite.seed + part.first
            yield Request(prompt=prompt, n=part.n, seed=seed, lot=(seed, part.place), **fields)

    for k, result in pipe.each(requests(), on_step=on_step):
        if result.interrupted:
            raise KeyboardInterrupt
        yield begun.pop(k), result


def check_work(
    work: Path,
    suite: Suite,
    concepts: Sequence[str],
    *,
    images: int,
    until: float | None = None,
    undecided: Collection[str] = (),
) -> None:
    """Check that `draw_suite` would accept a work folder; nothing is drawn or written.

    Args:
        work: the folder.
        suite: the settings.
        concepts: the occupations.
        images: as for `draw_suite`.
        until: as for `draw_suite`.
        undecided: settings that are not compared, because they become known when the model is loaded.

    Raises:
        ValueError: as for `draw_suite`.
    """
    loaded = ("weights", "versions")  # they are known when the model is loaded
    suite_folder(work).check(_settings(suite, until), undecided=(*undecided, *loaded))
    check_parts(work, concepts, images)


def whole_settings(suite: Suite, until: float | None, pipe: Any) -> dict[str, Any]:
    """What a work folder keeps of a suite and of the pipeline that draws it."""
    return _settings(suite, until) | {"weights": getattr(pipe, "weights", ""), "versions": versions()}


def _settings(suite: Suite, until: float | None) -> dict[str, Any]:
    """What a work folder keeps, as plain data: the file by its hash. A folder that lacks a setting has None for it."""
    file = sha256(suite.file) if suite.file else None
    return {**asdict(suite), "file": file, "until": until}
