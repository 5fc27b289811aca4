"""What `fair-diffusion generate` wrote: a run, a folder of several, or their records alone.

Labels are the judge's, as the records hold them, and targets those of `result.json`; the perceiver's counts, if the
records hold them, stand beside as `perceived`. With a perceiver the images are read anew, and the records only say what
they are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from heapq import nsmallest
from pathlib import Path
from typing import Any

from fair_diffusion.audit.combine import joined
from fair_diffusion.audit.study import Sample, Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.files.pictures import BrokenPicture, open_picture
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.models.provenance import INSTRUCTION
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import OCCUPATION, Perceiver
from fair_diffusion.policy import ATTRIBUTES
from fair_diffusion.readers.counts import ordered
from fair_diffusion.readers.fidelity import Fidelity
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.folder import image_files
from fair_diffusion.readers.image_rows import ImageRows, Targets
from fair_diffusion.readers.names import concept_of
from fair_diffusion.readers.perceive import SAMPLES, Picture, drawn, perceive, samples_of
from fair_diffusion.result import SHEET
from fair_diffusion.runs.records import Run, runs_in, stopped_at, title

Kind = tuple[str, str, str]
"""What parts images into sources: title, model and method."""
Naming = Callable[[str], str]
"""The concept of a prompt."""

_LISTED = 4
"""A fact that differs between runs names so many values."""
_TWIN = re.compile(r"(?:image|plain)-(?=\d+\.png$)")
"""What parts the file of an image from that of its plain twin."""


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
    """Audit the runs in the folder `target`, or the records in the Parquet file `target`.

    A prompt's concept is the one in `concepts`, or what is left of it without its frame ("a photo of a …"); the unit is
    the prompt, unless several prompts have one concept.
    `ValueError` if there are none, or if runs contradict each other."""
    runs = runs_in(target) if target.is_dir() else [Run(target.parent, table=target)]
    folder = target if target.is_dir() else target.parent
    scanned = _Scanned.of(runs)
    concept = lru_cache(maxsize=4096)(lambda prompt: printable((concepts or {}).get(prompt) or concept_of(prompt)))
    if not scanned.facts:
        raise ValueError(f"{target} holds no records of images; name a folder that `fair-diffusion generate` wrote")
    second, several = ImageRows({}), list[str]()
    if perceiver is None:
        rows, second, fidelity = _recorded(runs, scanned, concept, progress)
        samples, broken = _samples(rows, folder)
        how = f"{drawn(samples, len(rows))}; images and their plain twins together" if samples else ""
    else:
        pictures = _pictures(runs, scanned, concept, folder)
        by = perceiver_name or "the perceiver"
        found = perceive(pictures, perceiver, total=scanned.total, by=by, progress=progress)
        rows, fidelity, samples, broken = found.rows, found.fidelity, samples_of(found, scratch), found.broken
        several = found.notes
        how = drawn(samples, len(rows))
    if not len(rows):
        raise ValueError(f"none of the images in {target} can be read; {broken[0]}")
    targets = _targets(runs, scanned.names(), concept)
    joint = dict.fromkeys(
        name for *_, name in targets if JOINT in name and rows.groups.keys() >= set(name.split(JOINT))
    )
    wanted = attributes or [*rows.groups, *joint]
    prompts = list(scanned.prompts)
    by_prompt = not concepts and len({concept(prompt) for prompt in prompts}) == len(prompts)
    study = Study(
        title=printable(prompts[0]) if len(prompts) == 1 else f"Audit of {target.resolve().name}",
        sources=[
            replace(source, stopped=stopped_at(folder), quality=fidelity.quality(source.name))
            for source in scanned.sources(perceiver_name or "the model's judge, which never steers; as recorded", runs)
        ],
        tallies=rows.tallies(wanted, targets),
        perceived=second.tallies(wanted, targets) if second.groups else (),
        samples=samples,
        drawn=how,
        unit="prompt" if by_prompt else "concept",
        confusions=_confusions(runs, wanted, scanned.names()) if perceiver is None else (),
        broken=broken,
        notes=[
            *dict.fromkeys(note for run in runs for part in run.parts for note in part.get("notes", ())),
            *several,
            *(_unmatched(scanned.files, target) if target.is_dir() else ()),
            *_unmeasured(rows, targets, attributes, perceiver_name or "the judge"),
            *fidelity.notes(),
        ],
    )
    return Findings(study, rows.table())


@dataclass
class _Scanned:
    """What one look at all records tells: kinds of images with their settings, prompts, and groups that came up."""

    facts: dict[Kind, dict[str, set[Any]]] = field(default_factory=dict)
    evaluations: dict[Kind, list[int]] = field(default_factory=dict)
    labels: dict[str, dict[str, None]] = field(default_factory=dict)
    prompts: dict[str, None] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    total: int = 0

    @classmethod
    def of(cls, runs: Iterable[Run]) -> _Scanned:
        found = cls()
        for record in (record for run in runs for record in run.records()):
            found.total += 1
            found.files.add(record["file"])
            found.prompts[record["prompt"]] = None
            kind = _kind(record)
            facts = found.facts.setdefault(kind, {name: set() for name in ("seed", "steps", "guidance", "rule")})
            for name, values in facts.items():
                values.add(record.get(name))
            spent = found.evaluations.setdefault(kind, [0, 0])
            spent[0] += record.get("evaluations") or 0
            spent[1] += record.get("plain_evaluations") or 0
            for attribute, label in record["judged"].items():
                seen = found.labels.setdefault(attribute, {})
                seen.update(
                    {found_label: None for found_label in (label, record["perceived"].get(attribute)) if found_label}
                )
        return found

    def groups(self) -> dict[str, Sequence[str]]:
        """The groups of every attribute that the judge read: those of the attribute, or those that came up."""
        return {
            name: ATTRIBUTES[name].group_names if name in ATTRIBUTES else ordered(name, seen)
            for name, seen in self.labels.items()
            if name != OCCUPATION
        }

    def names(self) -> dict[Kind, str]:
        """A source's name for each kind: its title, with model and method only where several share the title."""
        names = {}
        for kind in self.facts:
            rivals = [other for other in self.facts if other[0] == kind[0]]
            telling = [kind[k] for k in (1, 2) if len({rival[k] for rival in rivals}) > 1]
            names[kind] = printable(", ".join([kind[0], *telling]))
        return names

    def sources(self, perceiver: str, runs: Sequence[Run]) -> list[Source]:
        parts: dict[Kind, list[Mapping[str, Any]]] = {kind: [] for kind in self.facts}
        for part in (part for run in runs for part in run.parts if _kind(part) in parts):
            parts[_kind(part)].append(part)
        return [
            Source(
                name=name,
                kind=kind[0],
                facts={"model": kind[1], "method": kind[2], **_facts(self.facts[kind]), **_summed(parts[kind])}
                | {"perceiver": perceiver},
                ratio=self.evaluations[kind][0] / self.evaluations[kind][1] if self.evaluations[kind][1] else None,
                seconds=sum(part.get("cost", {}).get("seconds", 0.0) for part in parts[kind]) if parts[kind] else None,
            )
            for kind, name in self.names().items()
        ]


def _kind(record: Mapping[str, Any]) -> Kind:
    return title(record), record["model"], record["method"]


def _facts(values: Mapping[str, set[Any]]) -> dict[str, str]:
    """Settings in words: a range for seeds, the values for the others."""
    seeds = [seed for seed in values["seed"] if seed is not None]
    facts = {"seeds": f"{min(seeds)} to {max(seeds)}"} if seeds else {}
    for name in ("steps", "guidance", "rule"):
        said = sorted(str(value) for value in values[name] if value is not None)
        if said:
            facts[name] = _listed(said)
    return facts


def _summed(parts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the summaries of one kind say: the seeds asked for, how many images came, what made them, what was done."""
    facts: dict[str, str] = {}
    if parts and all(part.keys() >= {"n", "requested", "seed"} for part in parts):
        facts["seeds"] = _listed(f"{part['seed']} to {part['seed'] + part['n'] - 1}" for part in parts if part["n"])
        asked = sum(part["requested"] for part in parts)
        facts["images"] = f"{sum(part['n'] for part in parts)} of {asked} asked for"
    made = [part.get("made_with", {}) for part in parts]
    for name in dict.fromkeys(name for one in made for name in one):
        said = [one[name] for one in made if name in one]
        facts[name] = _texts(said) if name == INSTRUCTION else _listed(said)
    done: dict[str, int] = {}
    for what, count in (pair for part in parts for pair in part.get("images", {}).items()):
        done[what] = done.get(what, 0) + count
    if done and title(parts[0]) == "instructed":
        facts["what was done"] = printable(", ".join(f"{count} {what}" for what, count in done.items()))
    return facts


def _texts(values: Iterable[Any]) -> str:
    """Different texts one below the other, each whole and with its lines."""
    return "\n\n".join("\n".join(map(printable, text.splitlines())) for text in dict.fromkeys(map(str, values)))


def _listed(values: Iterable[Any]) -> str:
    unique = list(dict.fromkeys(map(str, values)))
    more = f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
    return printable(", ".join(unique[:_LISTED]) + more)


def _recorded(
    runs: Iterable[Run], scanned: _Scanned, concept: Naming, progress: Progress
) -> tuple[ImageRows, ImageRows, Fidelity]:
    """Rows by the judge, and by the perceiver, which is empty where the records do not hold its word; and how many
    images show the occupation that they were asked for."""
    told = (part.get("occupations", {}) for run in runs for part in run.parts)
    fidelity = Fidelity({name: shown for known in told for name, shown in known.items()}, by="judge")
    names, groups = scanned.names(), scanned.groups()
    judged, perceived = ImageRows(groups), ImageRows(groups)
    for record in (record for run in runs for record in run.records()):
        about = (printable(record["file"]), names[_kind(record)], concept(record["prompt"]))
        judged.add(*about, record["judged"], record["confidence"], record["asked_seed"])
        if OCCUPATION in record["judged"]:
            fidelity.add(*about[1:], record["judged"][OCCUPATION])
        if record["perceived"]:
            perceived.add(*about, record["perceived"], {})
        if len(judged) % 4096 == 0:
            progress(len(judged), scanned.total)
    return judged, perceived if len(perceived) == len(judged) else ImageRows({}), fidelity


def _pictures(runs: Iterable[Run], scanned: _Scanned, concept: Naming, folder: Path) -> Iterator[Picture]:
    names = scanned.names()
    for record in (record for run in runs for record in run.records()):
        about = (record["file"], names[_kind(record)], concept(record["prompt"]))
        yield Picture(*about, folder / record["file"], record["asked_seed"])


def _samples(rows: ImageRows, folder: Path) -> tuple[list[Sample], list[str]]:
    """Up to `SAMPLES` images of each source, drawn at random, and those of them that cannot be opened, with why.

    Those whose file is gone are left out.

    Every image has a random number, twins the same one, and the lowest are shown: so twins are shown together."""
    draw = random.Random(0)
    numbers: dict[str, float] = {}
    members: dict[str, list[tuple[float, int]]] = {}
    for row, (source, _) in enumerate(rows.keys):
        number = numbers.setdefault(_TWIN.sub("", rows.files[row]), draw.random())
        members.setdefault(source, []).append((number, row))
    chosen = [row for those in members.values() for row in sorted(row for _, row in nsmallest(SAMPLES, those))]
    samples, broken = [], []
    for row in (row for row in chosen if (folder / rows.files[row]).is_file()):
        try:
            open_picture(folder / rows.files[row])
        except BrokenPicture as error:
            broken.append(printable(f"{rows.files[row]}: {error}; not shown, its record counts"))
            continue
        sample = Sample(
            image=folder / rows.files[row],
            source=rows.keys[row][0],
            concept=rows.keys[row][1],
            labels={name: column[row] for name, column in rows.labels.items()},
            confidence={name: column[row] or 0.0 for name, column in rows.confidence.items()},
        )
        samples.append(sample)
    return samples, broken


def _unmatched(recorded: set[str], folder: Path) -> list[str]:
    """How many records have lost their image, and how many images have no record; plain twins of plain runs have."""
    there = {name for name, path in image_files(folder) if path.name != SHEET}
    known = {_TWIN.sub("", name) for name in recorded}
    gone, strange = recorded - there, sorted(name for name in there if _TWIN.sub("", name) not in known)
    notes = []
    if gone:
        notes.append(f"{len(gone)} of {len(recorded)} recorded images are not there, such as {min(gone)}")
    if strange:
        notes.append(f"images without a record were left out: {len(strange)}, such as {strange[0]}")
    return [printable(note) for note in notes]


def _unmeasured(rows: ImageRows, targets: Targets, attributes: Sequence[str] | None, reader: str) -> list[str]:
    """Which targets stand in no tally because `reader` does not tell what they ask for; not those left out by wish."""
    lost: dict[tuple[str, str, str], dict[str, None]] = {}
    for (source, about, attribute), groups in rows.unfit(targets).items():
        if attributes is None or attribute in attributes:
            lost.setdefault((source, attribute, groups), {})[about] = None
    return [
        printable(
            f"{source}: the target of {attribute} for {_listed(about)} is not measured: {reader} reads no {groups}"
        )
        for (source, attribute, groups), about in lost.items()
    ]


def _confusions(runs: Iterable[Run], attributes: Sequence[str], names: Mapping[Kind, str]) -> list[Confusion]:
    """How the judge of each model errs, as the runs note it, on the sources of that model; each matrix once."""
    noted = {part["model"]: part.get("confusions", []) for run in runs for part in run.parts[:1]}
    sources = {model: [name for kind, name in names.items() if kind[1] == model] for model in noted}
    return joined(
        Confusion(**one | {"sources": sources[model]})
        for model, those in noted.items()
        for one in those
        if one["attribute"] in attributes
    )


def _targets(
    runs: Iterable[Run], names: Mapping[Kind, str], concept: Naming
) -> dict[tuple[str, str, str], dict[str, float]]:
    """Shares asked for by source, concept and attribute. `ValueError` if two runs of one concept ask for others."""
    targets: dict[tuple[str, str, str], dict[str, float]] = {}
    for run in runs:
        for part in (part for part in run.parts if _kind(part) in names):
            asked: dict[str, dict[str, float]] = {}
            for row in part.get("audit", ()):
                if row["target"] is not None:
                    asked.setdefault(row["attribute"], {})[row["group"]] = row["target"]
            about = concept(part["prompt"])
            for attribute, shares in asked.items():
                if targets.setdefault((names[_kind(part)], about, attribute), shares) != shares:
                    raise ValueError(f"{run.folder} asks other shares of {about!r} than another run; audit them apart")
    return targets
