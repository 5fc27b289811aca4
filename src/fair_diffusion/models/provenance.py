"""The provenance of a result: versions of the libraries, the hash of the weights, and the policy in words."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fair_diffusion.files.guarded import Readable, opened

if TYPE_CHECKING:
    from fair_diffusion.policy import Match

INSTRUCTION = "instruction"
"""The fact with the instruction or policy as its author wrote it, complete and with its lines."""
LIBRARIES = ("fair-diffusion", "torch", "diffusers", "transformers")


def made_with(weights: str, card: str, matched: Match, file: Path | None = None) -> dict[str, str]:
    """Facts for the reader of a result, name to text.

    Args:
        weights: their hash; empty if it is not known.
        card: the card with the usual settings.
        matched: the match of the prompt.
        file: what the method learnt beforehand.
    """
    rule = matched.rule
    facts = {"weights": weights} if weights else {}
    if rule is not None:
        facts["policy"] = f"{rule.name}: {'; '.join(map(str, rule.targets))}"
    if file is not None:
        facts["learnt"] = f"{file.name}, sha256 {sha256(file)}"
    facts |= {"usual settings": card, "versions": ", ".join(map(" ".join, versions().items()))}
    return facts | ({INSTRUCTION: matched.said} if matched.said else {})


def versions() -> dict[str, str]:
    """The version of each of `LIBRARIES`."""
    return dict(zip(LIBRARIES, _versions(), strict=True))


@cache
def _versions() -> list[str]:
    """They are read from files, which takes as long as much of a small request."""
    return [version(name) for name in LIBRARIES]


def sha256(path: Readable) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
