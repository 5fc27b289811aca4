"""People's labels of the images of runs, beside what the readers of the run recorded: what a calibration is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fair_diffusion.files.text import printable
from fair_diffusion.perception.calibration import JUDGE, PERCEIVER, LabelledImage
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.label_rows import LabelRows, read_labels
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.readers.names import concept_of
from fair_diffusion.runs.records import Record, Run, runs_in

RECORDED = {PERCEIVER: "perceived", JUDGE: "judged"}
"""Where a record has the word of each reader."""


def labelled_images(
    table: Path, runs: Sequence[Path], defined: Attributes | None = None
) -> tuple[list[LabelledImage], list[str]]:
    """The labels of a table of images that runs hold.

    Args:
        table: `file,attribute,group[,rater][,probability][,guideline]`. Files are named as below the run or folder of
            runs; with its name in front if there are several.
        runs: what `fair-diffusion generate` or `audit-suite` wrote.
        defined: the definitions of the attributes; the built-in ones if None.

    Returns:
        The labels, and notes on the table.

    Raises:
        ValueError: the table or a run cannot be read, no file of the table is in a run, two runs have one name, or a
            run knows an attribute by another definition.
    """
    defined = defined or built_in()
    names = Counter(folder.resolve().name for folder in runs)
    if twice := [name for name, times in names.items() if times > 1]:
        raise ValueError(
            f"{names[twice[0]]} runs are called {twice[0]!r}, so nobody knows whose files the table names; give each "
            "run once, or the folder that holds them"
        )
    rows = read_labels(table, defined)
    people, found = HumanLabels(rows.votes, rows.notes, defined), list[LabelledImage]()
    files = set[str]()
    for folder in runs:
        for run in runs_in(folder):
            _check_definitions(run, rows, defined)
            told: Mapping[str, str] = next((part["readers"] for part in run.parts if part.get("readers")), {})
            for record in run.records():
                file = f"{folder.resolve().name}/{record['file']}" if len(runs) > 1 else record["file"]
                found += _labels(record, file, people, rows, defined, told)
                files.add(file)
    if not found:
        first = next(iter(people.files))
        raise ValueError(f"no file in {table.name} is in {', '.join(map(str, runs))}, such as {first!r}")
    notes = [printable(note) for note in rows.notes]
    if unmet := sorted(people.files - files):
        notes.append(f"{len(unmet)} of {len(people.files)} labelled files were not met, such as {printable(unmet[0])}")
    return found, notes


def _labels(
    record: Record, file: str, people: HumanLabels, rows: LabelRows, defined: Attributes, told: Mapping[str, str]
) -> Iterator[LabelledImage]:
    """The labels of one image, for each reader that its record knows; `told` has the readers' fingerprints."""
    for attribute, files in people.votes.items():
        if file not in files or attribute not in defined:
            continue
        for reader, column in RECORDED.items():
            read = record.get(column) or {}
            if attribute in read:
                yield LabelledImage(
                    reader=reader,
                    model=record["model"],
                    attribute=attribute,
                    people=people.label(attribute, file).label,
                    read=read[attribute],
                    concept=concept_of(record["prompt"]),
                    probability=rows.chances.get((attribute, file), 1.0),
                    guideline=rows.guidelines.get((attribute, file), ""),
                    fingerprint=told.get(reader, ""),
                )


def _check_definitions(run: Run, rows: LabelRows, defined: Attributes) -> None:
    """Whoever changes what a group means has another attribute: labels of one tell nothing of the other."""
    for part in run.parts:
        for name, own in part.get("definitions", {}).items():
            if name in rows.votes and name in defined and own.get("digest") != defined[name].digest:
                raise ValueError(f"{run.folder} knows {name} by another definition; give that one with --define FILE")
