"""The folder of a comparison: its settings, and where each cell lies. Exports `claim`, `changed` and
`cell_path`.

A cell's name holds a hash of all that makes its images beside the settings, so that a later call with more ways,
prompts or instructions draws what is new and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fair_diffusion.files.format_number import check_format
from fair_diffusion.files.whole_file import whole_file

FORMAT = 1
"""Format of the settings file."""
SETTINGS, CELLS = "settings.json", "cells"


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into a new or empty folder, or make sure that an old one has the same.

    `ValueError` naming the setting that differs, or if the folder is no comparison's or cannot be written."""
    file = folder / SETTINGS
    text = json.dumps({"format": FORMAT, **settings}, indent=2, sort_keys=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            if any(folder.iterdir()):
                raise ValueError(f"{folder} is not empty and holds no comparison; name another folder")
            with whole_file(file) as part:
                part.write_text(text, encoding="utf-8")
            return
        before = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise TypeError(f"{before!r} is no mapping")
    except OSError as error:
        raise ValueError(f"{folder} cannot be used ({error.strerror}); name a folder where you may write") from error
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{file} is damaged; name another folder") from error
    check_format(before.get("format"), FORMAT, file)
    now = json.loads(text)
    before["format"] = FORMAT
    if name := changed(before, now):
        raise ValueError(
            f"{folder} was drawn with {name} {before.get(name)!r}, not {now.get(name)!r}; ask for the same, or name "
            "another folder"
        )


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting that is not the same in both, if any; both as JSON gives them back."""
    return next((name for name in {**before, **now} if before.get(name) != now.get(name)), None)


def cell_path(folder: Path, way: str, prompt: str, identity: Mapping[str, Any]) -> Path:
    """Where the cell of one way and prompt lies. identity: all that makes its images, ready for JSON."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return folder / CELLS / f"{_slug(way)}-{_slug(prompt)}-{digest[:16]}.parquet"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
