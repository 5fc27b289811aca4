"""Audit what `fair-diffusion generate` wrote: a run, a folder of several runs, or a table of records.

Without a perceiver the labels are those of the judge in the records, and the perceiver's labels in the records are
counted beside them (`Study.perceived`). With a perceiver the images are read again, and the records only tell prompt,
model, method and seed. Targets are those of `result.json`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import nsmallest
from pathlib import Path
from typing import Any

from fair_diffusion.audit.combine import joined
from fair_diffusion.audit.study import Quota, Sample, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.files.guarded import InnerFile, why
from fair_diffusion.files.image_files import image_files
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import OCCUPATION, Perceiver
from fair_diffusion.readers.fidelity import Fidelity
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.image_rows import ImageRows, Targets
from fair_diffusion.readers.names import concept_of
from fair_diffusion.readers.perceive import SAMPLES, Picture, drawn, name_of, perceive, samples_of
from fair_diffusion.readers.repeats import Kind
from fair_diffusion.readers.run_sources import RunSources, kind_of, listed_values
from fair_diffusion.runs.format import SHEET, pair_name
from fair_diffusion.runs.records import Record, Run, runs_in, stopped_at

Naming = Callable[[str], str]
"""Gives the concept of a prompt."""


@dataclass(frozen=True)
class _Reading:
    """The labels of the images, whoever read them.

    Attributes:
        rows: one row per image.
        perceived: the same images as the perceiver of the run read them; empty if the records do not hold that.
        fidelity: how many images show the occupation that was asked for.
        samples: images to show.
        drawn: how the samples were drawn, in words.
        broken: images that cannot be opened.
        notes: remarks for the study.
    """

    rows: ImageRows
    perceived: ImageRows
    fidelity: Fidelity
    samples: Sequence[Sample]
    drawn: str
    broken: Sequence[str]
    notes: Sequence[str] = ()


def read_run(
    target: Path,
    perceiver: Perceiver | None = None,
    *,
    perceiver_name: str | None = None,
    scratch: Path,
    attributes: list[str] | None = None,
    concepts: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit the runs in a folder, or the records in a Parquet file.

    Args:
        target: the folder or the file.
        perceiver: reads the images again; without it the records tell what the judge read.
        perceiver_name: its name in the study. Default: its own name.
        scratch: an empty folder for samples that have no file of their own.
        attributes: what to count. Default: every attribute that was read, and every joint one that has a target.
        concepts: the concept of each prompt. A prompt that is missing here has its text without the frame "a photo
            of a …" as its concept.
        progress: called as images are read.

    Raises:
        ValueError: there are no records, no image can be read, or two runs of one concept have different targets.
    """
    runs = runs_in(target) if target.is_dir() else [Run(target.parent, table=target)]
    folder = target if target.is_dir() else target.parent
    scanned = RunSources.of(runs, folder)
    concept = lru_cache(maxsize=4096)(lambda prompt: printable((concepts or {}).get(prompt) or concept_of(prompt)))
    damaged = {file: line for run in runs for file, line in run.damaged.items()}
    if not scanned.total:
        first = f" that can be read; {next(iter(damaged.values()))}" if damaged else ""
        raise ValueError(
            f"{target} holds no records of images{first}; name a folder that `fair-diffusion generate` wrote"
        )
    records = scanned.records(runs)
    if perceiver is None:
        by, reading = "the judge", _recorded(runs, records, scanned, concept, folder, progress)
        source_by = "the model's judge, which never steers; as recorded"
    else:
        by = source_by = perceiver_name or name_of(perceiver)
        reading = _read_again(records, scanned, concept, folder, perceiver, by, scratch, progress)
    rows, fidelity = reading.rows, reading.fidelity
    if not len(rows):
        raise ValueError(f"none of the images in {target} can be read; {reading.broken[0]}")
    targets = _targets(runs, scanned.names(), concept)
    joint = dict.fromkeys(
        name for *_, name in targets if JOINT in name and rows.groups.keys() >= set(name.split(JOINT))
    )
    wanted = attributes or [*rows.groups, *joint]
    try:
        tallies = rows.tallies(wanted, targets)
        perceived = reading.perceived.tallies(wanted, targets) if reading.perceived.groups else ()
    except ValueError as error:
        raise ValueError(f"{target}: {printable(str(error))}") from error
    prompts = list(scanned.prompts)
    by_prompt = not concepts and len({concept(prompt) for prompt in prompts}) == len(prompts)
    study = Study(
        title=printable(prompts[0]) if len(prompts) == 1 else f"Audit of {target.resolve().name}",
        sources=[
            replace(source, stopped=stopped_at(folder), quality=fidelity.quality(source.name))
            for source in scanned.sources(source_by, runs)
        ],
        tallies=tallies,
        perceived=perceived,
        quotas=_quotas(scanned.parts(runs), rows, scanned.names(), concept, wanted),
        disputed=rows.disputed(reading.perceived, wanted),
        samples=reading.samples,
        drawn=reading.drawn,
        unit="prompt" if by_prompt else "concept",
        confusions=_confusions(runs, wanted, scanned.names(), "confusions") if perceiver is None else (),
        perceived_confusions=_confusions(runs, wanted, scanned.names(), "perceiver_confusions")
        if perceiver is None
        else (),
        broken=[*map(printable, damaged.values()), *reading.broken],
        notes=[
            *dict.fromkeys(note for run in runs for part in run.parts for note in part.get("notes", ())),
            *scanned.repeats.notes(scanned.names()),
            *scanned.miscounted(runs),
            *scanned.definitions(),
            *reading.notes,
            *(_unmatched(scanned.files, damaged, target) if target.is_dir() else ()),
            *_unmeasured(rows, targets, attributes, by),
            *fidelity.notes(),
        ],
    )
    return Findings(study, rows.table())


def _recorded(
    runs: Iterable[Run],
    records: Iterable[Record],
    scanned: RunSources,
    concept: Naming,
    folder: Path,
    progress: Progress,
) -> _Reading:
    """The labels that the records hold."""
    known = (part.get("occupations", {}) for run in runs for part in run.parts)
    fidelity = Fidelity({name: shown for one in known for name, shown in one.items()}, by="judge")
    names, groups = scanned.names(), scanned.groups()
    judged, perceived = ImageRows(groups), ImageRows(groups)
    for record in records:
        about = (printable(record["file"]), names[kind_of(record)], concept(record["prompt"]))
        judged.add(*about, record["judged"], record["confidence"], *_how(record))
        if OCCUPATION in record["judged"]:
            fidelity.add(*about[1:], record["judged"][OCCUPATION])
        if record["perceived"]:
            perceived.add(*about, record["perceived"], {})
        if len(judged) % 4096 == 0:
            progress(len(judged), scanned.total)
    samples, broken = _samples(judged, folder)
    how = f"{drawn(samples, len(judged))}; images and their plain twins together" if samples else ""
    every = perceived if len(perceived) == len(judged) else ImageRows({})
    return _Reading(judged, every, fidelity, samples, how, broken)


def _read_again(
    records: Iterable[Record],
    scanned: RunSources,
    concept: Naming,
    folder: Path,
    perceiver: Perceiver,
    by: str,
    scratch: Path,
    progress: Progress,
) -> _Reading:
    """The labels that a perceiver gives the images now."""
    pictures = _pictures(records, scanned.names(), concept, folder)
    read = perceive(pictures, perceiver, total=scanned.total, by=by, progress=progress)
    samples = samples_of(read, scratch)
    how = drawn(samples, len(read.rows))
    return _Reading(read.rows, ImageRows({}), read.fidelity, samples, how, read.broken, read.notes)


def _pictures(records: Iterable[Record], names: Mapping[Kind, str], concept: Naming, folder: Path) -> Iterator[Picture]:
    """Yield the image of each record, not yet opened."""
    for record in records:
        about = (record["file"], names[kind_of(record)], concept(record["prompt"]))
        yield Picture(*about, InnerFile(folder, record["file"]), *_how(record))


def _how(record: Record) -> tuple[int | None, str, bool | None]:
    """How an image was made: the seed that was asked for, the prompt, and whether it was steered.

    An image from a new seed is no other look of the image that was asked for, so nothing is said of it."""
    strength = None if record.get("reseeds") else record.get("strength")
    return record["asked_seed"], record["prompt"], None if strength is None else strength > 0


def _samples(rows: ImageRows, folder: Path) -> tuple[list[Sample], list[str]]:
    """Draw up to `SAMPLES` images of each source at random.

    An image and its plain twin have the same random number, and the lowest numbers are drawn: so they are shown
    together. Images without a file are left out.

    Returns:
        The samples, and a line for each drawn image that cannot be opened.
    """
    draw = random.Random(0)
    numbers: dict[str, float] = {}
    members: dict[str, list[tuple[float, int]]] = {}
    for row, (source, _) in enumerate(rows.keys):
        number = numbers.setdefault(pair_name(rows.files[row]), draw.random())
        members.setdefault(source, []).append((number, row))
    chosen = [row for own in members.values() for row in sorted(row for _, row in nsmallest(SAMPLES, own))]
    samples, broken = [], []
    for row in chosen:
        image = InnerFile(folder, rows.files[row])
        try:
            image.open().close()
            open_picture(image)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            broken.append(printable(f"{rows.files[row]}: {why(error)}; not shown, its record counts"))
        else:
            samples.append(rows.sample(row, image))
    return samples, broken


def _unmatched(recorded: set[str], damaged: Container[str], folder: Path) -> list[str]:
    """Notes on records without an image and images without a record. A plain twin needs no record of its own.

    Images whose record is damaged are named elsewhere."""
    there = {file.path for file in image_files(folder) if file.name != SHEET and file.path not in damaged}
    known = {pair_name(name) for name in recorded}
    gone, strange = recorded - there, sorted(name for name in there if pair_name(name) not in known)
    notes = []
    if gone:
        notes.append(f"{len(gone)} of {len(recorded)} recorded images are not there, such as {min(gone)}")
    if strange:
        notes.append(f"images without a record were left out: {len(strange)}, such as {strange[0]}")
    return [printable(note) for note in notes]


def _unmeasured(rows: ImageRows, targets: Targets, attributes: Sequence[str] | None, by: str) -> list[str]:
    """Notes on targets that stand in no tally because `by` does not read their groups."""
    lost: dict[tuple[str, str, str], dict[str, None]] = {}
    for (source, about, attribute), groups in rows.unfit(targets).items():
        if attributes is None or attribute in attributes:
            lost.setdefault((source, attribute, groups), {})[about] = None
    return [
        printable(
            f"{source}: the target of {attribute} for {listed_values(about)} is not measured: {by} reads no {groups}"
        )
        for (source, attribute, groups), about in lost.items()
    ]


def _confusions(runs: Iterable[Run], attributes: Sequence[str], names: Mapping[Kind, str], key: str) -> list[Confusion]:
    """The confusion matrices that the runs note under `key`, each once with the sources of its model."""
    noted = {part["model"]: part.get(key, []) for run in runs for part in run.parts[:1]}
    sources = {model: [name for kind, name in names.items() if kind[1] == model] for model in noted}
    return joined(
        replace(one, sources=sources[model])
        for model, matrices in noted.items()
        for one in matrices
        if one.attribute in attributes
    )


def _quotas(
    parts: Iterable[Mapping[str, Any]],
    rows: ImageRows,
    names: Mapping[Kind, str],
    concept: Naming,
    attributes: Sequence[str],
) -> list[Quota]:
    """The images asked for by group, of each tally whose images were all asked for so."""
    asked: dict[tuple[str, str, str], Counter[str]] = {}
    for part in parts:
        for row in part.get("audit", ()) if kind_of(part) in names else ():
            if row.get("quota") is not None and row["attribute"] in attributes:
                key = (names[kind_of(part)], concept(part["prompt"]), row["attribute"])
                asked.setdefault(key, Counter())[row["group"]] += row["quota"]
    counted = Counter(rows.keys)
    return [
        Quota(source=source, concept=about, attribute=attribute, counts=dict(counts))
        for (source, about, attribute), counts in asked.items()
        if sum(counts.values()) == counted[source, about]
    ]


def _targets(
    runs: Iterable[Run], names: Mapping[Kind, str], concept: Naming
) -> dict[tuple[str, str, str], dict[str, float]]:
    """The shares asked for, by source, concept and attribute.

    Raises:
        ValueError: two runs of one concept ask for different shares.
    """
    targets: dict[tuple[str, str, str], dict[str, float]] = {}
    for run in runs:
        for part in (part for part in run.parts if kind_of(part) in names):
            asked: dict[str, dict[str, float]] = {}
            for row in part.get("audit", ()):
                if row["target"] is not None:
                    asked.setdefault(row["attribute"], {})[row["group"]] = row["target"]
            about = concept(part["prompt"])
            for attribute, shares in asked.items():
                if targets.setdefault((names[kind_of(part)], about, attribute), shares) != shares:
                    raise ValueError(
                        f"{run.folder} asks other shares of {about!r} than another run; audit the two runs apart"
                    )
    return targets
