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
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from fair_diffusion.control.step_progress import step_progress
from fair_diffusion.files.format_number import NewerFormatError, check_format
from fair_diffusion.files.new_folder import check_new
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.provenance import versions
from fair_diffusion.request import check_prompt, check_seed
from fair_diffusion.runs.format import FORMAT, RESULT, SETTINGS
from fair_diffusion.runs.label_counts import LabelCounts, label_counts
from fair_diffusion.runs.records import run_at
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

    `policy` is the text of the instruction or policy ("" for none); `method` and `guidance` None leave it to the
    pipeline; `loaded` is what else the model was loaded with and images depend on, such as its judge or a LoRA.
    """

    model: str
    prompt: str = PROMPT
    policy: str = ""
    method: str | None = None
    steps: int = 25
    guidance: float | None = None
    seed: int = 0
    loaded: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        check_seed(self.seed)
        if self.prompt.count("{}") != 1:
            raise ValueError(f"the prompt is {self.prompt!r}; mark the place of the occupation with one {{}}")

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
    _claim(work, _settings(suite, until) | {"weights": getattr(pipe, "weights", ""), "versions": versions()})
    uncertain, whole = [], len(concepts) * images
    left = {"method": suite.method, "guidance": suite.guidance}
    arguments: dict[str, Any] = {name: value for name, value in left.items() if value is not None}
    arguments |= {"steps": suite.steps, **(options or {})}
    for k, concept in enumerate(concepts):
        counts: dict[str, Counter[str | None]] = {}
        done, settled = 0, False
        while done < images and not settled:
            size = min(PART, images - done)
            part = work / f"{_slug(concept)}-{done:05d}"
            if not (part / RESULT).is_file():
                shutil.rmtree(part, ignore_errors=True)  # what a killed process left
                moved = step_progress(progress, k * images + done, whole, n=size, steps=suite.steps)
                result = pipe(suite.prompt_for(concept), n=size, seed=suite.seed + done, on_step=moved, **arguments)
                if result.interrupted:
                    raise KeyboardInterrupt
                result.save(part)
            done += _size(part)
            if until is not None:
                _add(counts, label_counts(run_at(part), attributes))
                settled = all(_precise(shown, until) for shown in counts.values())
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
        check_format(before.get("format"), FORMAT, file)
    except NewerFormatError:
        raise
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
        part.write_text(json.dumps({"format": FORMAT, **settings}, indent=2) + "\n", encoding="utf-8")


def _settings(suite: Suite, until: float | None) -> dict[str, Any]:
    return {**asdict(suite), "until": until}


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
        summary = json.loads((part / RESULT).read_text(encoding="utf-8"))
        check_format(summary.get("format"), FORMAT, part / RESULT)
        return int(summary["n"])
    except NewerFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{part} is damaged; remove it, and it is drawn anew") from error


def _add(counts: dict[str, Counter[str | None]], more: LabelCounts) -> None:
    """Add the counts of one part to those of its concept. Groups that count zero are kept."""
    for attribute, shown in more.items():
        counts.setdefault(attribute, Counter()).update(shown)


def _precise(shown: Mapping[str | None, int], until: float) -> bool:
    """Whether the intervals of all groups of one attribute are narrow enough."""
    return enough([count for group, count in shown.items() if group], sum(shown.values()), until)


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
