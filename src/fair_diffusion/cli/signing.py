"""The option --c2pa: with which certificate images are signed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from fair_diffusion.files.signature import Signature, named

VARIABLE = "FAIR_DIFFUSION_C2PA"
"""The environment variable with both files, and a space between."""
C2pa = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--c2pa", help="certificate and key (PEM) that sign every image (extra c2pa)", metavar="CERT KEY"),
]


def signature(given: tuple[Path, Path] | None) -> Signature | None:
    """The signature that the option or the environment names. `ValueError` if it cannot sign."""
    told = given or os.environ.get(VARIABLE)
    return Signature.of(*named(told)) if told else None
