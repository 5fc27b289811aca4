"""Audit a folder of images. A table, the sub-folder or the file name says what each image shows:

a table `file,concept[,source]`     only the files that the table names
SOURCE/CONCEPT/…/name.png           the last two folders are source and concept
CONCEPT/name.png                    the folder is the concept; the source is the audited folder
construction_worker-012.png         the name without its number is the concept
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.files.csv_rows import CsvErrors, inner_path, read_csv
from fair_diffusion.files.guarded import refusal
from fair_diffusion.files.image_files import image_files
from fair_diffusion.files.pictures import ENDINGS
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.names import concept_of, concept_of_file
from fair_diffusion.readers.perceive import Picture, drawn, name_of, perceive, samples_of
from fair_diffusion.readers.repeats import repeated_files

Concepts = Mapping[str, tuple[str, str]]
"""Concept and source ("" if no source is given) of each file, by the file's path below the folder."""


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder.

    Attributes:
        pictures: the pictures in order of their names, not yet opened.
        broken: a line for each file that was left out, with the reason.
        notes: remarks for the study.
    """

    pictures: list[Picture]
    broken: list[str]
    notes: list[str]


def read_folder(
    folder: Path,
    perceiver: Perceiver,
    *,
    perceiver_name: str | None = None,
    scratch: Path,
    concepts: Concepts | None = None,
    attributes: list[str] | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit the images below a folder.

    Args:
        folder: where the images are.
        perceiver: reads the images.
        perceiver_name: its name in the study. Default: its own name.
        scratch: an empty folder for samples that have no file of their own.
        concepts: the concept and source of each file. Default: folders and file names tell.
        attributes: what to count. Default: every attribute that is read.
        progress: called as images are read.

    Raises:
        ValueError: there are no images, or none can be read.
    """
    listing, by = listed(folder, concepts), perceiver_name or name_of(perceiver)
    if not listing.pictures:
        raise ValueError(f"no images in {folder}; it needs files that end in {', '.join(sorted(ENDINGS))}")
    pictures, repeated = repeated_files(listing.pictures)
    read = perceive(pictures, perceiver, total=len(pictures), by=by, progress=progress)
    broken = [*listing.broken, *read.broken]
    if not len(read.rows):
        raise ValueError(f"none of {len(listing.pictures)} images in {folder} can be read; {broken[0]}")
    facts = {"images": str(folder), "perceiver": by}
    names = dict.fromkeys(source for source, _ in read.rows.keys)
    samples = samples_of(read, scratch)
    study = Study(
        title=f"Audit of {folder.resolve().name}",
        sources=[Source(name=name, facts=facts, quality=read.fidelity.quality(name)) for name in names],
        tallies=read.rows.tallies(attributes),
        samples=samples,
        drawn=drawn(samples, len(read.rows)),
        broken=broken,
        notes=[*listing.notes, *repeated, *read.notes, *read.fidelity.notes()],
    )
    return Findings(study, read.rows.table())


def read_concepts(path: Path) -> Concepts:
    """Read a table `file,concept[,source]`.

    Raises:
        ValueError: the message names every line that is wrong.
    """
    concepts: dict[str, tuple[str, str]] = {}
    errors = CsvErrors(path)
    for line, row in read_csv(path, required=("file", "concept"), optional=("source",)):
        try:
            name = inner_path(row["file"])
        except ValueError as error:
            errors.add(line, str(error))
            continue
        if not row["concept"]:
            errors.add(line, f"{name!r} has no concept; write what the image shows")
        elif name in concepts:
            errors.add(line, f"{name!r} stands there twice; keep one line")
        concepts[name] = (row["concept"], row["source"])
    errors.check()
    if not concepts:
        raise ValueError(f"{path} names no files; give one line per image")
    return concepts


def listed(folder: Path, concepts: Concepts | None = None) -> Listing:
    """List the pictures below `folder`. Links that lead out of the folder are listed as broken and not followed."""
    here, missing = printable(folder.resolve().name) or "images", dict(concepts or {})
    pictures, broken, unlisted = [], [], 0
    for file in image_files(folder):
        name = file.path
        if concepts is not None and name not in concepts:
            unlisted += 1
        elif why := refusal(file):
            broken.append(f"{printable(name)}: {why}")
        else:
            concept, source = concepts[name] if concepts is not None else _about(name)
            pictures.append(Picture(name, printable(source) or here, printable(concept), file))
        missing.pop(name, None)
    broken += [f"{printable(name)}: in the table, but not there" for name in sorted(missing)]
    notes = [f"{unlisted} images are not in the table and were left out"] if unlisted else []
    return Listing(pictures, broken, notes)


def _about(name: str) -> tuple[str, str]:
    """Concept and source of a file by its path."""
    *folders, file = PurePosixPath(name).parts
    if not folders:
        return concept_of_file(file), ""
    return concept_of(folders[-1].replace("_", " ")), folders[-2] if len(folders) > 1 else ""
