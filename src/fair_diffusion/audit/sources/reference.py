"""Shares to compare with: somebody's counts, a study, a run; one source of it, its concepts named as the audit's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fair_diffusion.audit.sources.target import read_target
from fair_diffusion.audit.tally import Tally
from fair_diffusion.policy.words import phrase


def read_reference(spec: str, *, scratch: Path) -> list[Tally]:
    """The tallies of one source of the target that `spec` names, as PATH or PATH:SOURCE.

    `ValueError` if it cannot be read, or holds several sources and none is named."""
    path, source = Path(spec), ""
    if not path.exists() and ":" in spec:
        before, _, source = spec.rpartition(":")
        path = Path(before)
    tallies = read_target(path, scratch=scratch).study.tallies
    sources = list(dict.fromkeys(tally.source for tally in tallies))
    if source and source not in sources:
        raise ValueError(f"{path} has no source {source!r}; it has {', '.join(sources)}")
    if not source and len(sources) > 1:
        raise ValueError(f"{path} has several sources; name one, as in {path}:{sources[0]} ({', '.join(sources)})")
    return [tally for tally in tallies if not source or tally.source == source]


def aligned(reference: Sequence[Tally], tallies: Sequence[Tally]) -> list[Tally]:
    """The part of `reference` that is about concepts of `tallies`, renamed as these: "Nurses" becomes "nurse"."""
    names = {(phrase(tally.concept), tally.attribute): tally.concept for tally in tallies}
    renamed = [
        replace(tally, concept=names[phrase(tally.concept), tally.attribute])
        for tally in reference
        if (phrase(tally.concept), tally.attribute) in names
    ]
    exact = {(tally.concept, tally.attribute) for tally in reference}
    # Where the reference has the very name, its other spellings of it are left out.
    first: dict[tuple[str, str], Tally] = {}
    for old, new in zip((t for t in reference if (phrase(t.concept), t.attribute) in names), renamed, strict=True):
        key = (new.concept, new.attribute)
        if old.concept == new.concept or (key not in exact and key not in first):
            first[key] = new
    return list(first.values())
