"""Find the studies below a folder."""

from __future__ import annotations

from pathlib import Path

from fair_diffusion.files.image_files import STUDY


def studies_in(folder: Path) -> list[Path]:
    """The folders of studies directly below `folder` or one level deeper, in order of their names."""
    folders = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{STUDY}") if path.is_file()]
    return sorted(path for path in folders if not any(part.startswith(".") for part in path.relative_to(folder).parts))
