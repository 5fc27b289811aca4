"""Audit a folder of images. A table, the sub-folder or the file name says what each image shows:

a table `file,concept[,source]`     only the files that the table names
SOURCE/CONCEPT/…/name.png           the last two folders are source and concept
CONCEPT/name.png                    the folder is the concept; the source is the audited folder
construction_worker-012.png         the name without its number is the concept

Where no folder tells, the prompt in a picture or beside it goes before its name (`own_prompts`). Names and prompts that
are nearly all different name nothing: all such pictures are one concept, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.files.csv_rows import CsvErrors, inner_path
from fair_diffusion.files.guarded import InnerFile, refusal
from fair_diffusion.files.image_files import files_below, is_image
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.tables import FILE, read_table
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.readers.caption_text import CAPTIONS
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.named_files import Named
from fair_diffusion.readers.names import UNNAMED
from fair_diffusion.readers.perceive import Picture, drawn, name_of, perceive, samples_of
from fair_diffusion.readers.repeats import repeated_files
from fair_diffusion.runs.format import RECORDS, RESULT

Concepts = Mapping[str, tuple[str, str]]
"""Concept and source ("" if no source is given) of each file, by the file's path below the folder."""


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder.

    Attributes:
        pictures: the pictures in order of their names, not yet opened.
        broken: a line for each file that was left out, with the reason.
        notes: remarks for the study.
        rest: the files that are no pictures, and those that are left out as broken.
    """

    pictures: list[Picture]
    broken: list[str]
    notes: list[str]
    rest: list[InnerFile]


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
        raise ValueError(no_images(folder, listing))
    pictures, repeated = repeated_files(listing.pictures)
    read = perceive(pictures, perceiver, total=len(pictures), by=by, progress=progress)
    broken = [*listing.broken, *read.broken]
    if not len(read.rows):
        raise ValueError(f"none of {len(listing.pictures)} images in {folder} can be read; {broken[0]}")
    facts = {"images": folder.resolve().name or "/", "perceiver": by}
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
    also = {"file": FILE, "concept": ("occupation", "profession", "job", "class", "label", *CAPTIONS)}
    for line, row in read_table(path, required=("file", "concept"), optional=("source",), also=also):
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


def listed(folder: Path, concepts: Concepts | None = None, *, naming: bool = True) -> Listing:
    """List the pictures below `folder`. Links that lead out of the folder are listed as broken and not followed.

    Args:
        folder: where the pictures are.
        concepts: the concept and source of each file.
        naming: whether pictures get a concept by their folders, prompts or names where there is no table.
    """
    here, missing = printable(folder.resolve().name) or "images", dict(concepts or {})
    named = Named(folder) if concepts is None and naming else None
    pictures, broken, others, rest, unlisted = [], [], [], [], 0
    for file in files_below(folder):
        name = file.path
        if not is_image(file):
            others += [file] if file.name not in (RECORDS, RESULT) else []
        elif concepts is not None and name not in concepts:
            unlisted += 1
        elif why := refusal(file):
            broken.append(f"{printable(name)}: {why}")
            rest.append(file)
        else:
            concept, source = concepts[name] if concepts is not None else named.about(file) if named else ("", "")
            pictures.append(Picture(name, printable(source) or here, printable(concept), file))
        missing.pop(name, None)
    broken += [f"{printable(name)}: in the table, but not there" for name in sorted(missing)]
    notes = [f"{unlisted} images are not in the table and were left out"] if unlisted else []
    if named is not None:
        pictures = [replace(one, concept=UNNAMED) if one.name in named.nameless else one for one in pictures]
        notes += named.notes()
        others = [file for file in others if file.path not in named.used]
    if others:
        notes.append(f"files that are no pictures: {len(others):,}, such as {printable(others[0].path)}")
    return Listing(pictures, broken, notes, rest + others)


def no_images(folder: Path, listing: Listing) -> str:
    """What to say of a folder without images that can be read."""
    seen = [*listing.broken, *(printable(file.path) for file in listing.rest)]
    there = f"; it has {len(seen):,} other files, such as {seen[0]}" if seen else ""
    return f"no images in {folder}; it needs PNG, JPEG, WebP, AVIF, TIFF or other pictures{there}"
