"""Shares to compare with: somebody's counts, a study, a run; one source of it joins a study as its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.target import read_target


def read_reference(spec: str, *, scratch: Path) -> list[Tally]:
    """The tallies of one source of the target that `spec` names, as PATH or PATH:SOURCE.

    `ValueError` if it cannot be read, or holds several sources and none is named."""
    ends = [len(spec), *(k for k, character in enumerate(spec) if character == ":")]
    end = next((k for k in ends if Path(spec[:k]).exists()), len(spec))
    path, source = Path(spec[:end]), spec[end + 1 :]
    tallies = read_target(path, scratch=scratch).study.tallies
    sources = list(dict.fromkeys(tally.source for tally in tallies))
    if source and source not in sources:
        raise ValueError(f"{path} has no source {source!r}; it has {', '.join(sources)}")
    if not source and len(sources) > 1:
        raise ValueError(f"{path} has several sources ({', '.join(sources)}); name one, as in {path}:{sources[0]}")
    return [tally for tally in tallies if not source or tally.source == source]


def with_reference(study: Study, reference: Sequence[Tally]) -> tuple[Study, str]:
    """`study` with the reference as a source of kind "data", and that source's name.

    Only what the study counts too is kept. `ValueError` if nothing is."""
    kept = aligned(reference, study.tallies)
    if not kept:
        shown = ", ".join(list(dict.fromkeys(tally.concept for tally in study.tallies))[:5])
        raise ValueError(f"the reference counts nothing that is audited here ({shown}, …); name concepts alike")
    name = kept[0].source
    own = {tally.source for tally in study.tallies}
    if name in own and all(tally in study.tallies for tally in kept):
        return study, name
    while name in own:
        name = f"reference {name}"
    added = [replace(tally, source=name, target=None) for tally in kept]
    source = Source(name=name, kind="data", facts={"concepts compared": str(len({tally.concept for tally in kept}))})
    return replace(study, sources=[source, *study.sources], tallies=[*added, *study.tallies]), name


def aligned(reference: Sequence[Tally], tallies: Sequence[Tally]) -> list[Tally]:
    """The part of `reference` that `tallies` count too, its concepts named as there: "Nurses" becomes "nurse".

    Where it has the very name, its other spellings of that name are left out."""
    names = {(phrase(tally.concept), tally.attribute): tally.concept for tally in tallies}
    found: dict[tuple[str, str], tuple[bool, Tally]] = {}
    for tally in reference:
        name = names.get((phrase(tally.concept), tally.attribute))
        if name is None:
            continue
        exact = name == tally.concept
        before = found.get((name, tally.attribute))
        if before is None or (exact and not before[0]):
            found[name, tally.attribute] = (exact, replace(tally, concept=name))
    return [tally for _, tally in found.values()]
