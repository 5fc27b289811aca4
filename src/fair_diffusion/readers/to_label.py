"""The pictures of a folder or a run that people are to label, with what a reader said of them where records tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.files.image_files import image_files
from fair_diffusion.policy import Attribute
from fair_diffusion.readers.target import kind_of_target, read_target


@dataclass(frozen=True)
class ToLabel:
    """A picture that people are to label.

    Attributes:
        file: the picture.
        concept, source: what it was asked to show, and what made it; "" if that is not known.
        reading: the group that the judge of the run read; None if it was not read.
        confidence: the judge's confidence.
    """

    file: InnerFile
    concept: str = ""
    source: str = ""
    reading: str | None = None
    confidence: float | None = None


def pictures_to_label(target: Path, attribute: Attribute) -> list[ToLabel]:
    """The pictures of a folder, or of the runs in it, by the names that an audit gives them.

    Args:
        target: the folder.
        attribute: what raters are asked; a run's records tell what its judge read of it.

    Raises:
        ValueError: it is no folder of pictures or runs, or it holds none.
    """
    kind = kind_of_target(target)
    if not target.is_dir() or kind not in ("run", "folder"):
        raise ValueError(f"{target} is no folder of pictures; name one, or a run that `fair-diffusion generate` wrote")
    found = _of_run(target, attribute) if kind == "run" else [ToLabel(file) for file in image_files(target)]
    if not found:
        raise ValueError(f"{target} holds no pictures; name a folder that does")
    return found


def _of_run(target: Path, attribute: Attribute) -> list[ToLabel]:
    """The images of runs, as their records tell of them; plain twins are other images, and are left out."""
    with TemporaryDirectory() as scratch:
        images = read_target(target, scratch=Path(scratch)).images
    if images is None:
        return []
    names = ("file", "concept", "source")
    read = attribute.name in images.column_names
    columns = [*names, attribute.name, f"{attribute.name}_confidence"] if read else [*names]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(images[c].to_pylist() for c in columns), strict=True)]
    return [_row(target, row, attribute) for row in rows]


def _row(target: Path, row: dict[str, object], attribute: Attribute) -> ToLabel:
    reading, confidence = row.get(attribute.name), row.get(f"{attribute.name}_confidence")
    known = isinstance(reading, str) and reading in attribute.group_names
    return ToLabel(
        InnerFile(target, str(row["file"])),
        concept=str(row["concept"] or ""),
        source=str(row["source"] or ""),
        reading=str(reading) if known else None,
        confidence=float(confidence) if known and isinstance(confidence, float) else None,
    )
