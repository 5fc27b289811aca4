"""The studies that lie below a folder: what is audited beside them leaves them out."""

from __future__ import annotations

from pathlib import Path

from fair_diffusion.files.image_files import STUDY


def studies_in(folder: Path) -> list[Path]:
    """The studies in `folder`, or one folder deeper, in order of their names."""
    found = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{STUDY}") if path.is_file()]
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
