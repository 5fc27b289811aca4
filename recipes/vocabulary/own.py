"""The lists of `own.yaml`: what the sources lack, or hold wrongly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def _lists() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("own.yaml").read_text(encoding="utf-8"))
    return data


def own(name: str) -> list[str]:
    """The list `name`."""
    return [str(entry) for entry in _lists()[name]]
