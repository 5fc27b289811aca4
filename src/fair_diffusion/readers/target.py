"""Audit any target: the content of a folder or file decides which reader takes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from fair_diffusion.audit.folder import load_images, load_study
from fair_diffusion.audit.study_file import check_complete
from fair_diffusion.files.csv_rows import column_name
from fair_diffusion.files.guarded import RefusedFile, opened, why
from fair_diffusion.files.image_files import image_files, is_study, linked_folders
from fair_diffusion.files.new_folder import is_unfinished
from fair_diffusion.files.picture_kinds import kind_of_picture
from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.files.tables import PACKED, TABLES, is_parquet, open_table
from fair_diffusion.files.text import printable, public
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.label_rows import ALSO as ALSO_LABELS
from fair_diffusion.perception.label_rows import COLUMNS as LABELS
from fair_diffusion.perception.label_rows import is_label_table
from fair_diffusion.perception.opening import NAMES, open_perceiver
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.policy import Attributes
from fair_diffusion.readers.archive import is_archive
from fair_diffusion.readers.caption_text import caption_column
from fair_diffusion.readers.count_rows import ALSO as ALSO_COUNTS
from fair_diffusion.readers.count_rows import COLUMNS as COUNTS
from fair_diffusion.readers.count_rows import is_count_table
from fair_diffusion.readers.counts import read_counts
from fair_diffusion.readers.dataset import ARCHIVES, read_dataset, shards_in
from fair_diffusion.readers.findings import Findings, only
from fair_diffusion.readers.folder import Concepts, read_concepts, read_folder
from fair_diffusion.readers.human_labels import about_raters
from fair_diffusion.readers.image_table import is_image_table, read_image_table, read_label_table
from fair_diffusion.readers.run import read_run
from fair_diffusion.readers.studies import studies_in
from fair_diffusion.runs.format import NEEDED
from fair_diffusion.runs.records import Run, runs_in, schema_of

TARGETS = (
    "a run, a study or a folder of images, a table of counts or labels, or a dataset with captions (Parquet or tar)"
)
PICKLES = frozenset([".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".joblib"])

Kind = Literal["counts", "study", "run", "images", "dataset", "folder"]


def read_target(
    target: Path,
    *,
    scratch: Path,
    perceiver: str | None = None,
    reader: Perceiver | None = None,
    concepts: Path | None = None,
    attributes: list[str] | None = None,
    defined: Attributes | None = None,
    progress: Progress = silent,
) -> Findings:
    """Audit `target`.

    Args:
        target: a folder or a file, see `TARGETS`.
        scratch: an empty folder for pictures that have no file of their own; keep it until the study is saved.
        perceiver: the perceiver that reads the images, as `open_perceiver` takes it. A folder of images needs one;
            records, counts and captions are counted as they are without one.
        reader: the perceiver itself, if it is open already. Without `perceiver`, the study calls it by its own name.
        concepts: a table `file,concept[,source]` for a folder of images.
        attributes: what to count, joint attributes as "gender × skin_tone". Default: everything that is read.
        defined: the definitions of the attributes that tables, labels and captions may name; the built-in ones if None.
        progress: called as images are read.

    Raises:
        ValueError: the target cannot be audited, or not with these arguments; the message says what can.
    """
    named = read_concepts(concepts) if concepts else None
    reads = perceiver is not None or reader is not None
    kind = kind_of_target(target, named=named is not None, reads=reads, defined=defined)
    if named is not None and kind != "folder":
        raise ValueError(f"{target} is no folder of images; leave out the table of concepts")
    if kind in ("counts", "study", "images"):
        if reads:
            raise ValueError(f"{target} holds counts or labels and no images; leave out the perceiver")
        return _counted(target, kind, attributes, defined)
    reader = reader or (open_perceiver(perceiver) if perceiver else None)
    findings = _read(target, kind, reader, perceiver, named, scratch, attributes, defined, progress)
    if target.is_dir():
        notes = [*findings.study.notes, *map(printable, _passed_over(target, kind))]
        findings = replace(findings, study=replace(findings.study, notes=notes))
    return about_reader(findings, reader)


def _passed_over(target: Path, kind: Kind) -> Iterator[str]:
    """Notes on what lies in a folder and is not audited."""
    shards = [path for path in shards_in(target) if not is_study(path.parent)] if kind == "folder" else []
    if shards:
        first = shards[0].relative_to(target)
        yield f"tables or archives inside were left out: {len(shards)}, such as {first}; audit them by name"
    if kind == "dataset" and (pictures := sum(1 for _ in image_files(target))):
        yield f"pictures beside the dataset were left out: {pictures}"
    if studies := studies_in(target):
        yield f"studies inside were left out: {len(studies)}, such as {studies[0].relative_to(target)}"
    if links := linked_folders(target):
        yield f"links to folders were not followed: {len(links)}, such as {links[0]}"


def about_reader(findings: Findings, reader: Perceiver | None) -> Findings:
    """Add what is known of the reader's errors to the findings: confusion matrices, or the agreement of raters."""
    study = findings.study
    counted = {tally.attribute for tally in study.tallies}
    read = [] if findings.images is None else findings.images["source"].unique().to_pylist()
    known = [replace(one, sources=read) for one in getattr(reader, "confusions", ()) if one.attribute in counted]
    study = replace(study, confusions=[*study.confusions, *known])
    if isinstance(reader, HumanLabels):
        study = replace(study, notes=[*study.notes, *about_raters(reader)])
    return replace(findings, study=study)


def _read(
    target: Path,
    kind: Kind,
    reader: Perceiver | None,
    perceiver: str | None,
    named: Concepts | None,
    scratch: Path,
    attributes: list[str] | None,
    defined: Attributes | None,
    progress: Progress,
) -> Findings:
    """Audit a target that may hold images."""
    if kind == "folder":
        if reader is None:
            raise ValueError(f"{target} holds images that nobody has read; name a perceiver: {', '.join(NAMES)}")
        return read_folder(
            target,
            reader,
            perceiver_name=perceiver and public(perceiver),
            concepts=named,
            scratch=scratch,
            attributes=attributes,
            progress=progress,
        )
    read = read_run if kind == "run" else partial(read_dataset, defined=defined)
    by = perceiver and public(perceiver)
    return read(target, reader, perceiver_name=by, scratch=scratch, attributes=attributes, progress=progress)


def kind_of_target(
    target: Path, *, named: bool = False, reads: bool = False, defined: Attributes | None = None
) -> Kind:
    """The kind of a target.

    Args:
        target: a folder or a file.
        named: whether a table names the images in the folder; such a folder is a folder of images or a study.
        reads: whether a perceiver reads the images. A folder in which pictures that were copied out of runs lie beside
            others is then a folder of images.
        defined: the definitions of the attributes that columns may name; the built-in ones if None.

    Raises:
        ValueError: the target cannot be audited.
    """
    if not target.exists():
        raise ValueError(f"{target} is not there; name {TARGETS}")
    if target.is_dir():
        if is_unfinished(target):
            raise ValueError(f"{target} is not finished: what wrote it was killed; remove it, and make it again")
        if is_study(target):
            return "study"
        if named:
            return "folder"
        if (runs := runs_in(target)) and not (reads and _are_copies(target, runs)):
            return "run"
        if _is_dataset(target):
            return "dataset"
        if (studies := studies_in(target)) and not any(image_files(target)):
            shown = " ".join(shlex.quote(printable(str(study))) for study in studies[:3])
            more = " …" if len(studies) > 3 else ""
            raise ValueError(f"{target} holds studies and no images; `fair-diffusion report {shown}{more}` shows them")
        return "folder"
    return _kind_of_file(target, defined)


def _are_copies(target: Path, runs: list[Run]) -> bool:
    """Whether runs are but copies of their pictures, in a folder that holds other pictures as well."""
    if any(run.table is not None or run.summary is not None for run in runs):
        return False
    folders = {run.folder for run in runs}
    return any((target / image.path).parent not in folders for image in image_files(target))


def _is_dataset(folder: Path) -> bool:
    """Whether shards are what a folder holds: there are as many as pictures, or more, and each has captions."""
    shards = shards_in(folder)
    pictures = sum(1 for _ in islice(image_files(folder), len(shards) + 1)) if shards else 0
    return bool(shards) and (not pictures or (pictures <= len(shards) and all(map(_has_captions, shards))))


def _has_captions(shard: Path) -> bool:
    try:
        return not is_parquet(shard) or caption_column(schema_of(shard).names) is not None
    except (OSError, ValueError):
        return False


def _kind_of_file(target: Path, defined: Attributes | None) -> Kind:
    """The kind of a file, by what it holds."""
    ending = target.suffix.lower()
    if ending in PICKLES:
        raise ValueError(f"{target} could run code when it is opened, and is refused; name {TARGETS}")
    try:
        with opened(target) as file:
            start = file.read(512)
    except (OSError, RefusedFile) as error:
        raise ValueError(f"{target} cannot be read ({why(error)}); name {TARGETS}") from error
    if ending == ".parquet" or start.startswith(b"PAR1"):
        return _kind_of_table(target, defined)
    if target.name.lower().endswith(ARCHIVES) or is_archive(start):
        return "dataset"
    if kind_of_picture(start):
        raise ValueError(f"{target} is one picture; name the folder that holds it")
    try:
        header, _ = open_table(target, [*COUNTS, *LABELS], ALSO_COUNTS | ALSO_LABELS)
    except ValueError:
        if ending in TABLES or start.startswith(PACKED):
            raise
        header = []
    if is_label_table(header, defined):
        return "images"
    if ending in TABLES or is_count_table(header):
        if caption_column(header) and not is_count_table(header):
            return "dataset"
        return "counts"
    raise ValueError(f"{target} cannot be audited; name {TARGETS}")


def _kind_of_table(table: Path, defined: Attributes | None) -> Kind:
    """The kind of a Parquet file, by its columns."""
    columns = schema_of(table).names
    if set(columns) >= NEEDED:
        return "run"
    if is_image_table(columns):
        return "images"
    names = [column_name(name) for name in columns]
    if {*names} >= {*COUNTS}:
        return "counts"
    if is_label_table(names, defined):
        return "images"
    if caption_column(columns) and not {*ALSO_COUNTS["count"], "count"} & {*names}:
        return "dataset"
    if is_count_table(names):
        return "counts"
    shown = ", ".join(columns[:8])
    raise ValueError(f"{table} has neither records nor captions, only the columns {shown}; name {TARGETS}")


def _studied(target: Path) -> Findings:
    """A study with the rows of its images."""
    return Findings(load_study(target), check_complete(load_images(target), target))


def _counted(target: Path, kind: Kind, attributes: list[str] | None, defined: Attributes | None) -> Findings:
    """Audit a target whose images somebody has read or counted already."""
    if kind == "images":
        labels = not is_parquet(target) or not is_image_table(schema_of(target).names)
        return (read_label_table if labels else read_image_table)(target, attributes=attributes, defined=defined)
    counted = read_counts(target, defined) if kind == "counts" else _studied(target)
    return only(counted, attributes)
