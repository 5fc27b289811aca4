"""Suites: draw the same prompt for every occupation of a list, in parts that survive an interrupt.

Every finished part of a concept is a run of its own in the work folder. So finished parts are never drawn again, and
the folder can be audited at any time. With `until`, a concept ends as soon as all its intervals are narrow enough; the
intervals hold under such stopping (`stopping.enough`).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.backbones.step_progress import StepProgress
from fair_diffusion.files.new_folder import check_new
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.schema import EXACT, Count, DamagedFile, read_json
from fair_diffusion.models.provenance import sha256, versions
from fair_diffusion.request import Request, check_prompt, check_seed
from fair_diffusion.runs.format import FORMAT, RESULT
from fair_diffusion.runs.label_counts import LabelCounts, label_counts
from fair_diffusion.runs.records import run_at
from fair_diffusion.runs.work import slug, suite_folder
from fair_diffusion.statistics.stopping import enough

PROMPT = "a photo of the face of a {}"
PART = 50
"""Images of one part. An interrupt loses the parts that share a batch, and the precision is checked after each part."""


class _Drawn(TypedDict):
    """Of the result.json of a part, how many images it has."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    n: Count


_DRAWN: TypeAdapter[_Drawn] = TypeAdapter(_Drawn)


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
        ValueError: `work` holds parts with other settings, other concepts or more images, or cannot be written.
        KeyboardInterrupt: the drawing was interrupted; finished parts are kept.
    """
    check_work(work, suite, concepts, images=images, until=until)
    settings = _settings(suite, until) | {"weights": getattr(pipe, "weights", ""), "versions": versions()}
    folder = suite_folder(work)
    folder.check(settings)
    fields = suite.arguments | dict(options or {})
    drawing = _Drawing(suite=suite, fields=fields, work=work, images=images, until=until, attributes=attributes)
    every = [_Concept(name, place) for place, name in enumerate(concepts)]
    saved = 0
    waiting, moved = deque(every), StepProgress(progress, len(concepts) * images, steps=suite.steps)
    while waiting:
        begun: list[tuple[_Concept, Path]] = []
        for k, result in pipe.each(drawing.requests(waiting, begun), on_step=moved):
            if result.interrupted:
                raise KeyboardInterrupt
            concept, part = begun[k]
            folder.claim(settings)
            result.save(part)
            if until is not None:
                drawing.count(concept, part)
                waiting.append(concept)
            saved += len(result.records)
            moved.at(saved)
    moved.at(len(concepts) * images)
    return [concept.name for concept in every if until is not None and not concept.settled]


@dataclass(eq=False)
class _Concept:
    """One concept of a suite.

    Attributes:
        name: the occupation.
        place: its place among all occupations.
        done: images that lie in the work folder or are being drawn.
        counts: labels that were counted, by attribute.
        settled: whether all intervals are narrow enough.
    """

    name: str
    place: int
    done: int = 0
    counts: dict[str, Counter[str | None]] = field(default_factory=dict)
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """How the parts of all concepts are drawn: as `draw_suite` is told."""

    suite: Suite
    fields: Mapping[str, Any]
    work: Path
    images: int
    until: float | None
    attributes: list[str] | None

    def requests(self, waiting: deque[_Concept], begun: list[tuple[_Concept, Path]]) -> Iterator[Request]:
        """The requests of parts that the work folder lacks; each is noted in `begun`.

        A concept waits for its part before the next one where precision decides whether there is a next one."""
        while waiting:
            concept = waiting.popleft()
            if (part := self._next(concept)) is None:
                continue
            size = min(PART, self.images - concept.done)
            prompt, seed = self.suite.prompt_for(concept.name), self.suite.seed + concept.done
            request = Request(prompt=prompt, n=size, seed=seed, lot=(seed, concept.place), **self.fields)
            concept.done += size
            begun.append((concept, part))
            if self.until is None:
                waiting.appendleft(concept)
            yield request

    def count(self, concept: _Concept, part: Path) -> None:
        """Count what a part shows, if precision decides."""
        if self.until is not None:
            _add(concept.counts, label_counts(run_at(part), self.attributes))
            concept.settled = all(_precise(shown, self.until) for shown in concept.counts.values())

    def _next(self, concept: _Concept) -> Path | None:
        """The folder of the next part that is not there, after those that are; None if the concept has all."""
        while concept.done < self.images and not concept.settled:
            part = self.work / f"{_slug(concept.name)}-{concept.done:05d}"
            if not (part / RESULT).is_file():
                check_new(part)  # what somebody else has put there is not removed
                return part
            self.count(concept, part)
            concept.done += _size(part)
        return None


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
    _refuse_more(work, concepts, images)


def _settings(suite: Suite, until: float | None) -> dict[str, Any]:
    """What a work folder keeps, as plain data: the file by its hash. A folder that lacks a setting has None for it."""
    file = sha256(suite.file) if suite.file else None
    return {**asdict(suite), "file": file, "until": until}


def _refuse_more(work: Path, concepts: Sequence[str], images: int) -> None:
    """Refuse a work folder with more concepts or images than are asked for, because an audit reads all of them.

    Raises:
        ValueError: the folder holds too much, or one of its parts is damaged.
    """
    slugs = {_slug(concept): concept for concept in concepts}
    for part in sorted(path.parent for path in work.glob(f"[!.]*/{RESULT}")):  # hidden: what a killed process left
        slug, _, first = part.name.rpartition("-")
        if slug not in slugs:
            raise ValueError(f"{part} is of an occupation that is not asked for; ask for it too or name another --work")
        most = int(first) + _size(part) if first.isdecimal() else 0
        if most > images:
            raise ValueError(
                f"{work} holds {most} images of {slugs[slug]!r}, and {images} are asked for; "
                f"ask for {most} or more, or name another --work"
            )


def _size(part: Path) -> int:
    """The number of images of a finished part."""
    try:
        return read_json(part / RESULT, _DRAWN, FORMAT)["n"]
    except DamagedFile as error:
        raise DamagedFile(f"{part} is damaged; remove it, and it is drawn anew ({error})") from error


def _add(counts: dict[str, Counter[str | None]], more: LabelCounts) -> None:
    """Add the counts of one part to those of its concept. Groups that count zero are kept."""
    for attribute, shown in more.items():
        counts.setdefault(attribute, Counter()).update(shown)


def _precise(shown: Mapping[str | None, int], until: float) -> bool:
    """Whether the intervals of all groups of one attribute are narrow enough."""
    return enough([count for group, count in shown.items() if group], sum(shown.values()), until)


def _slug(concept: str) -> str:
    """A readable file name for a concept; the hash makes it different for every concept."""
    return f"{slug(concept)}-{hashlib.sha256(concept.encode()).hexdigest()[:6]}"
