"""Generate and audit: the same prompt for every occupation of a list, in parts that survive an interrupt.

Every finished part of a concept is a run of its own in the work folder, so what is there is never drawn again and the
folder can be audited at any time. With `until`, a concept ends as soon as all its intervals are narrow enough; they are
intervals that hold under such stopping (`stopping.enough`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from fair_diffusion.control.step_progress import step_progress
from fair_diffusion.files.new_folder import check_new
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.provenance import sha256, versions
from fair_diffusion.readers.run import read_run
from fair_diffusion.request import check_prompt, check_seed
from fair_diffusion.runs.records import SETTINGS
from fair_diffusion.statistics.stopping import enough

SHIPPED = "occupations"
PROMPT = "a photo of the face of a {}"
PART = 50
"""Images of one part: what an interrupt can lose at most, and how often precision is looked at."""
LONGEST = 200

Draw = Callable[..., Any]
"""`FairPipeline`, or what has its call: `prompt`, `n`, `seed`, `steps`, … → a `Result`."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What every concept is asked for. Parts that were drawn with other settings are not mixed in.

    Attributes:
        model: what draws.
        prompt: with {} for the occupation.
        policy: the text of the instruction or policy; "" for none.
        method … file: fields of `Request`; None leaves them to the pipeline.
        seed: image i of each concept is drawn from seed + i.
        loaded: what else the model was loaded with and images depend on, such as its judge or a LoRA.
    """

    model: str
    prompt: str = PROMPT
    policy: str = ""
    method: str | None = None
    control: str | None = None
    loss: str | None = None
    steps: int = 25
    guidance: float | None = None
    negative_prompt: str | None = None
    guidance_rescale: float | None = None
    repair_budget: float | None = None
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
        names = ("method", "control", "loss", "steps", "guidance", "negative_prompt", "guidance_rescale")
        told = {name: getattr(self, name) for name in (*names, "repair_budget", "file")}
        return {name: value for name, value in told.items() if value is not None}

    def prompt_for(self, concept: str) -> str:
        """The prompt of one concept; "a" before a vowel becomes "an"."""
        before, after = self.prompt.split("{}")
        if concept[:1].lower() in "aeiou" and re.search(r"\ba $", before):
            before = before[:-1] + "n "
        return before + concept + after


def read_occupations(spec: str) -> dict[str, str]:
    """Occupations with their fields ("" where a list has none): the shipped list, or a file of your own.

    A file is YAML (`field: [occupation, …]`, or a list), or text with one occupation per line. `ValueError` for others.
    """
    if spec == SHIPPED:
        text = resources.files("fair_diffusion.runs").joinpath("occupations.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(spec).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{spec!r} is no list of occupations that can be read; use {SHIPPED!r} or a file"
            ) from error
    if spec != SHIPPED and not spec.lower().endswith((".yaml", ".yml")):
        found = {" ".join(line.split()): "" for line in text.splitlines() if line.strip() and line[0] != "#"}
    else:
        found = _of_yaml(spec, text)
    wrong = [name for name in found if not name.isprintable() or len(name) > LONGEST]
    if wrong:
        raise ValueError(f"{spec}: {wrong[0][:40]!r} is no name of an occupation; write up to {LONGEST} characters")
    if not found:
        raise ValueError(f"{spec} names no occupation; write one per line")
    return found


def draw_suite(
    pipe: Draw,
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
    """Draw what `work` does not hold yet; the concepts that stayed too uncertain, if `until` is given.

    Args:
        pipe: draws.
        suite: what to draw.
        concepts: the occupations.
        work: where the parts are kept; it may hold those of an earlier call.
        images: per concept, or with `until` at most.
        until: half the width that every interval of a concept is to be under, in share.
        options: further arguments of `pipe`, such as its policy.
        attributes: those whose intervals count; all if None.
        progress: called with the images that are there and those that there will be.

    Raises:
        ValueError: `work` holds parts with other settings, other concepts or more images, or cannot be written.
        KeyboardInterrupt: interrupted; what is finished is kept.
    """
    check_work(work, suite, concepts, images=images, until=until)
    settings = _settings(suite, until) | {"weights": getattr(pipe, "weights", ""), "versions": versions()}
    if (work / SETTINGS).is_file():
        _check_same(work / SETTINGS, settings)
    uncertain, whole = [], len(concepts) * images
    arguments = suite.arguments | dict(options or {})
    for k, concept in enumerate(concepts):
        counts: dict[str, dict[str, int]] = {}
        done, settled = 0, False
        while done < images and not settled:
            size = min(PART, images - done)
            part = work / f"{_slug(concept)}-{done:05d}"
            if not (part / "result.json").is_file():
                shutil.rmtree(part, ignore_errors=True)  # what a killed process left
                moved = step_progress(progress, k * images + done, whole, n=size, steps=suite.steps)
                result = pipe(suite.prompt_for(concept), n=size, seed=suite.seed + done, on_step=moved, **arguments)
                if result.interrupted:
                    raise KeyboardInterrupt
                _claim(work, settings)  # only now: a request that draws nothing leaves no folder
                result.save(part)
            done += _size(part)
            if until is not None:
                _count(part, attributes, counts)
                settled = all(enough(shown, n, until) for shown, n in _totals(counts))
        if until is not None and not settled:
            uncertain.append(concept)
        progress((k + 1) * images, whole)
    return uncertain


def check_work(
    work: Path,
    suite: Suite,
    concepts: Sequence[str],
    *,
    images: int,
    until: float | None = None,
    undecided: Collection[str] = (),
) -> None:
    """`ValueError` if `draw_suite` would refuse `work`. Nothing is drawn, and nothing written.

    Settings that are `undecided` are not compared: those that the model, once it is loaded, says what is usual for."""
    file, settings = work / SETTINGS, _settings(suite, until)
    if not file.is_file():
        if work.is_dir() and any(work.iterdir()):
            raise ValueError(f"{work} is not empty and no work folder; name another one")
        check_new(work)
        return
    _check_same(file, {name: value for name, value in settings.items() if name not in undecided})
    _refuse_more(work, concepts, images)


def _check_same(file: Path, settings: Mapping[str, Any]) -> None:
    """`ValueError` naming the setting in which a work folder differs."""
    try:
        before = dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is damaged; name another work folder") from error
    changed = [name for name, value in settings.items() if before.get(name) != value]
    if changed:
        name = changed[0]
        raise ValueError(
            f"{file.parent} was drawn with {name} {before.get(name)!r}, not {settings[name]!r}; name another work "
            "folder"
        )


def _claim(work: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into a new work folder, or make sure that those of an old one are the same.

    Weights and versions are among them: they are known only once a model is loaded, after `check_work`."""
    if (work / SETTINGS).is_file():
        _check_same(work / SETTINGS, settings)
        return
    work.mkdir(parents=True, exist_ok=True)
    with whole_file(work / SETTINGS) as part:
        part.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _settings(suite: Suite, until: float | None) -> dict[str, Any]:
    """What a work folder keeps, as plain data: the file by its hash. A folder that lacks a setting has None for it."""
    file = sha256(suite.file) if suite.file else None
    return {**asdict(suite), "file": file, "until": until}


def _refuse_more(work: Path, concepts: Sequence[str], images: int) -> None:
    """`ValueError` if the work folder holds what is not asked for: all that it holds is read."""
    slugs = {_slug(concept): concept for concept in concepts}
    for part in sorted(path.parent for path in work.glob("*/result.json")):
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
    """Images of a finished part; an earlier call may have asked for fewer."""
    try:
        return int(json.loads((part / "result.json").read_text(encoding="utf-8"))["n"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{part} is damaged; remove it, and it is drawn anew") from error


def _count(part: Path, attributes: list[str] | None, counts: dict[str, dict[str, int]]) -> None:
    """Add what one part shows to `counts`, by attribute and group; "" is unknown."""
    for tally in read_run(part, scratch=part, attributes=attributes).study.tallies:
        shown = counts.setdefault(tally.attribute, {})
        for group, count in (*tally.counts.items(), ("", tally.unknown)):
            shown[group] = shown.get(group, 0) + count


def _totals(counts: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[list[int], int]]:
    """For each attribute the counts of its groups, and of all that was counted: a picture may count several times."""
    for shown in counts.values():
        yield [count for group, count in shown.items() if group], sum(shown.values())


def _slug(concept: str) -> str:
    """A file name for a concept: readable, and different for every concept."""
    plain = re.sub(r"[^a-z0-9]+", "-", concept.lower()).strip("-")[:40]
    return f"{plain}-{hashlib.sha256(concept.encode()).hexdigest()[:6]}"


def _of_yaml(spec: str, text: str) -> dict[str, str]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{spec} is no YAML: {str(error).splitlines()[0]}") from error
    fields = data if isinstance(data, dict) else {"": data}
    found: dict[str, str] = {}
    for heading, names in fields.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError(f"{spec} must say `field: [occupation, …]`; {heading!r} does not")
        for name in names:
            found.setdefault(" ".join(name.split()), str(heading))
    return found
