"""The work folder of a comparison, and where each cell lies in it. Exports `work_folder` and `cell_path`.

A cell's name holds a hash of all that makes its images beside the settings, so that a later call with more ways,
prompts or instructions draws what is new and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fair_diffusion.runs.work import WorkFolder, slug

FORMAT = 1
"""Format of the settings file."""
SETTINGS, CELLS = "settings.json", "cells"


def work_folder(path: Path) -> WorkFolder:
    """A folder as the work folder of a comparison."""
    return WorkFolder(path=path, file=SETTINGS, format=FORMAT, kind="comparison")


def cell_path(folder: Path, way: str, prompt: str, identity: Mapping[str, Any]) -> Path:
    """The file of the cell of one way and prompt.

    Args:
        folder: the folder of the comparison.
        way: the name of the way.
        prompt: the prompt.
        identity: all that makes the images of the cell, as plain data.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return folder / CELLS / f"{slug(way)}-{slug(prompt)}-{digest[:16]}.parquet"
