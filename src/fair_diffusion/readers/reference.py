"""Shares to compare with: a table of counts, a study or a run, or a source of the audited target itself.

One source of the reference joins the study as a source of kind "data".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.tables import TABLES
from fair_diffusion.policy import Attributes
from fair_diffusion.policy.concepts import canonical
from fair_diffusion.policy.spelling import plain
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.target import read_target

_FILES = frozenset(TABLES)
"""Endings of files that hold counts: a name with such an ending is never the name of a source."""


def find_reference(
    spec: str, *, scratch: Path, own_sources: bool, defined: Attributes | None = None
) -> Sequence[Tally] | str:
    """Find what `--reference` names, before the target is read.

    Args:
        spec: PATH, PATH:SOURCE or, for a target that has sources of its own, SOURCE.
        scratch: an empty folder.
        own_sources: whether SOURCE may name a source of the audited target.
        defined: the definitions of the attributes that tables may name; the built-in ones if None.

    Returns:
        The tallies in PATH, or SOURCE itself where no such path exists: `with_reference` looks it up in the study.

    Raises:
        ValueError: as `read_reference`.
    """
    named = own_sources and Path(spec).suffix.lower() not in _FILES and not _path_and_source(spec)[0].exists()
    return spec if named else read_reference(spec, scratch=scratch, defined=defined)


def read_reference(spec: str, *, scratch: Path, defined: Attributes | None = None) -> list[Tally]:
    """The tallies of one source in a file or folder.

    Args:
        spec: PATH or PATH:SOURCE.
        scratch: an empty folder.
        defined: the definitions of the attributes that tables may name; the built-in ones if None.

    Raises:
        ValueError: PATH cannot be read, has no such source, or has several sources and none is named.
    """
    path, source = _path_and_source(spec)
    tallies = read_target(path, scratch=scratch, defined=defined).study.tallies
    sources = list(dict.fromkeys(tally.source for tally in tallies))
    if source:
        source = _of_that_name(source, sources) or source
    if source and source not in sources:
        raise ValueError(f"{path} has no source {source!r}; it has {', '.join(sources)}")
    if not source and len(sources) > 1:
        raise ValueError(f"{path} has several sources ({', '.join(sources)}); name one, as in {path}:{sources[0]}")
    return [tally for tally in tallies if not source or tally.source == source]


def with_reference(study: Study, reference: Sequence[Tally] | str) -> tuple[Study, str]:
    """Add the reference to a study.

    Args:
        study: what is audited.
        reference: tallies, or the name of one of the study's own sources.

    Returns:
        The study with the reference as a source of kind "data", and the name of that source. Only concepts and
        attributes that the study counts too are added. A source of the study itself is not added again.

    Raises:
        ValueError: the study has no source of that name, or counts nothing that the reference counts.
    """
    own = list(dict.fromkeys(tally.source for tally in study.tallies))
    if isinstance(reference, str):
        reference = _of_that_name(reference, own) or reference
        if reference not in own:
            raise ValueError(
                f"{reference!r} is not there, and the audited target has no source of that name; "
                f"name a file, a folder or one of its sources: {', '.join(own)}"
            )
        return study, reference
    kept = aligned(reference, study.tallies)
    if not kept:
        shown = ", ".join(list(dict.fromkeys(tally.concept for tally in study.tallies))[:5])
        raise ValueError(f"the reference counts nothing that is audited here ({shown}, …); use the same concepts")
    name = kept[0].source
    if name in own and all(tally in study.tallies for tally in kept):
        return study, name
    while name in own:
        name = f"reference {name}"
    added = [replace(tally, source=name, target=None) for tally in kept]
    source = Source(name=name, kind="data", facts={"concepts compared": str(len({tally.concept for tally in kept}))})
    return replace(study, sources=[source, *study.sources], tallies=[*added, *study.tallies]), name


def aligned(reference: Sequence[Tally], tallies: Sequence[Tally]) -> list[Tally]:
    """The tallies of `reference` whose concept and attribute `tallies` count too, with the concept spelt as there.

    "Nurses" matches "nurse", and "physician" matches "doctor" where nothing is nearer. If the reference has several
    spellings, the nearest is taken."""
    forms: tuple[Callable[[str], object], ...] = (str, phrase, canonical)
    names = [{(form(tally.concept), tally.attribute): tally.concept for tally in tallies} for form in forms]
    matched: dict[tuple[str, str], tuple[int, Tally]] = {}
    for tally in reference:
        for far, (form, known) in enumerate(zip(forms, names, strict=True)):
            name = known.get((form(tally.concept), tally.attribute))
            if name is None:
                continue
            before = matched.get((name, tally.attribute))
            if before is None or far < before[0]:
                matched[name, tally.attribute] = (far, replace(tally, concept=name))
            break
    return [tally for _, tally in matched.values()]


def _of_that_name(name: str, sources: Sequence[str]) -> str | None:
    """The source that is called `name`, whatever its capitals."""
    alike = [source for source in sources if plain(source) == plain(name)]
    return name if name in sources else alike[0] if len(alike) == 1 else None


def _path_and_source(spec: str) -> tuple[Path, str]:
    """PATH:SOURCE in two; the first split whose PATH exists is taken, because both parts may hold colons."""
    ends = [len(spec), *(k for k, character in enumerate(spec) if character == ":")]
    end = next((k for k in ends if Path(spec[:k]).exists()), len(spec))
    return Path(spec[:end]), spec[end + 1 :]
