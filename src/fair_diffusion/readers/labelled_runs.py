"""People's labels of the images of runs, beside what the readers of the run recorded: what a calibration is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fair_diffusion.files.text import printable
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.kept_chances import kept_chances, silence
from fair_diffusion.perception.label_rows import LabelRows, read_labels
from fair_diffusion.perception.labelled_image import JUDGE, PERCEIVER, LabelledImage
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
    records, fingerprints = dict[str, Record](), dict[str, Mapping[str, str]]()
    for folder in runs:
        for run in runs_in(folder):
            _check_definitions(run, rows, defined)
            told: Mapping[str, str] = next((part["readers"] for part in run.parts if part.get("readers")), {})
            for record in run.records():
                file = f"{folder.resolve().name}/{record['file']}" if len(runs) > 1 else record["file"]
                records[file], fingerprints[file] = record, told
    kept = _kept(records)
    for file, record in records.items():
        found += _labels(record, file, people, rows, defined, kept, fingerprints[file])
    if not found:
        raise ValueError(_nothing(table, runs, people, records))
    known = {one.attribute for one in found}
    unread = [name for name, files in rows.votes.items() if name not in known and records.keys() & files.keys()]
    notes = [printable(note) for note in rows.notes]
    if unread:
        notes.append(f"labels of {printable(', '.join(unread))} were left out: no reader of these images read it")
    if unmet := sorted(people.files - records.keys()):
        notes.append(f"{len(unmet)} of {len(people.files)} labelled files were not met, such as {printable(unmet[0])}")
    if silent := sum(one.probability == 0 for one in found):
        of = sum(one.reader == PERCEIVER for one in found)
        notes.append(silence(silent, of))
    counted = [one for one in found if one.probability]
    if not counted:
        raise ValueError(f"no label of {table.name} tells of a reader: {notes[-1]}")
    return counted, notes


def _nothing(table: Path, runs: Sequence[Path], people: HumanLabels, records: Mapping[str, Record]) -> str:
    """Why no label counts, with the mend."""
    if not (met := [records[file] for file in people.files if file in records]):
        named = (
            f"; name files as the runs do, such as {next(iter(records))!r}"
            if records
            else "; no run is there: give what generate wrote"
        )
        first = next(iter(people.votes[next(iter(people.votes))]))
        return f"no file in {table.name} is in {', '.join(map(str, runs))}, such as {first!r}{named}"
    read = sorted({name for record in met for column in RECORDED.values() for name in record.get(column) or ()})
    return (
        f"{table.name} labels {', '.join(people.votes)}, which no reader of these images read; label what they read: "
        f"{', '.join(read) or 'nothing'}"
    )


Kept = Mapping[tuple[str, str], float]
"""By attribute and file, the probability with which the image was kept for what the perceiver read."""


def _kept(records: Mapping[str, Record]) -> Kept:
    """Only natural-first control looks, and chooses. The images of one prompt of one model are counted together.

    Where a calibration chose, nothing is told."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    found: dict[tuple[str, str], float] = {}
    for file, record in records.items():
        for attribute in record.get("natural") or ():
            if record.get("calibration"):
                found[attribute, file] = 0.0
            else:
                alike.setdefault((attribute, record["model"], record["prompt"]), []).append(file)
    for (attribute, _, _), files in alike.items():
        looks = [records[file]["natural"][attribute] for file in files]
        chances = kept_chances(looks, [(records[file].get("strength") or 0) > 0 for file in files])
        found |= {(attribute, file): chance for file, chance in zip(files, chances, strict=True)}
    return found


def _labels(
    record: Record,
    file: str,
    people: HumanLabels,
    rows: LabelRows,
    defined: Attributes,
    kept: Kept,
    told: Mapping[str, str],
) -> Iterator[LabelledImage]:
    """The labels of one image, for each reader that its record knows; `told` has the readers' fingerprints.

    The judge had no say in which images were made again, so its labels all count. Those with the probability 0 tell
    nothing."""
    for attribute, files in people.votes.items():
        if file not in files or attribute not in defined:
            continue
        for reader, column in RECORDED.items():
            read = record.get(column) or {}
            if attribute in read:
                chance = kept.get((attribute, file), 1.0) if reader == PERCEIVER else 1.0
                yield LabelledImage(
                    reader=reader,
                    model=record["model"],
                    attribute=attribute,
                    people=people.label(attribute, file).label,
                    read=read[attribute],
                    concept=concept_of(record["prompt"]),
                    probability=rows.chances.get((attribute, file), 1.0) * chance,
                    guideline=_guideline(rows, attribute, file),
                    fingerprint=told.get(reader, ""),
                )


def _guideline(rows: LabelRows, attribute: str, file: str) -> str:
    """The version of the guideline of the picture's last label that names one; "" if none does."""
    told = [rows.guidelines.get((attribute, file, rater), "") for rater in rows.votes[attribute][file]]
    return next(filter(None, reversed(told)), "")


def _check_definitions(run: Run, rows: LabelRows, defined: Attributes) -> None:
    """Whoever changes what a group means has another attribute: labels of one tell nothing of the other."""
    for part in run.parts:
        for name, own in part.get("definitions", {}).items():
            if name in rows.votes and name in defined and own.get("digest") != defined[name].digest:
                raise ValueError(f"{run.folder} knows {name} by another definition; give that one with --define FILE")
