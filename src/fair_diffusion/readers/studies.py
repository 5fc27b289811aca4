"""Find the studies below a folder."""

from __future__ import annotations

from pathlib import Path

from fair_diffusion.files.image_files import STUDY, is_study


def studies_in(folder: Path) -> list[Path]:
    """The folders of studies directly below `folder` or one level deeper, in order of their names."""
    inner = (path.parent for depth in ("[!.]*", "[!.]*/[!.]*") for path in folder.glob(f"{depth}/{STUDY}"))
    return sorted(path for path in inner if not path.is_symlink() and is_study(path))
