"""Several studies combined into one, so that a report shows them side by side: before and after, or two models.

Exports `combine`, `combined_images` and `joined`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from fair_diffusion.audit.study import Confusion, Study


def combine(named: Sequence[tuple[str, Study]], *, title: str | None = None) -> Study:
    """One study with the sources of several studies, in their order.

    If two studies have a source of the same name, each is called "STUDY: SOURCE".

    Args:
        named: each study with a short name, such as the name of its folder.
        title: title of the combined study; by default the titles of the studies, joined.

    Raises:
        ValueError: no study, or two studies of the same name.
    """
    if not named:
        raise ValueError("there is nothing to report: give at least one study")
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise ValueError(f"two studies are called {twice[0]!r}: give each a name of its own")
    if len(named) == 1:
        return replace(named[0][1], title=title or named[0][1].title)
    renamed = [_renamed(study, new) for (_, study), new in zip(named, _renamings(named), strict=True)]
    units = {study.unit for study in renamed}
    return Study(
        title=title or " and ".join(dict.fromkeys(study.title for study in renamed)),
        sources=[source for study in renamed for source in study.sources],
        tallies=[tally for study in renamed for tally in study.tallies],
        perceived=[tally for study in renamed for tally in study.perceived],
        quotas=[one for study in renamed for one in study.quotas],
        disputed=[one for study in renamed for one in study.disputed],
        samples=[sample for study in renamed for sample in study.samples],
        drawn="; ".join(f"{name}: {study.drawn}" for name, study in named if study.drawn),
        unit=units.pop() if len(units) == 1 else "concept",
        confusions=joined(confusion for study in renamed for confusion in study.confusions),
        perceived_confusions=joined(confusion for study in renamed for confusion in study.perceived_confusions),
        labelled=[one for study in renamed for one in study.labelled],
        broken=[f"{name}: {broken}" for name, study in named for broken in study.broken],
        notes=[f"{name}: {note}" for name, study in named for note in study.notes],
        fields={concept: field for study in reversed(renamed) for concept, field in study.fields.items()},
        audited=", ".join(dict.fromkeys(study.audited for study in renamed if study.audited)),
    )


def combined_images(named: Sequence[tuple[str, Study]], tables: Sequence[pa.Table | None]) -> pa.Table | None:
    """The image rows of several studies, with their sources named as by `combine`; None if no study has rows.

    Args:
        named: the studies, as for `combine`.
        tables: the image rows of each study, or None.
    """
    if len(named) == 1:
        return tables[0]
    renamed = []
    for new, table in zip(_renamings(named), tables, strict=True):
        if table is not None and "source" in table.column_names:
            sources = pa.array([new(source) for source in table["source"].to_pylist()], pa.string())
            renamed.append(table.set_column(table.column_names.index("source"), "source", sources))
    return pa.concat_tables(renamed, promote_options="permissive") if renamed else None


def _renamings(named: Sequence[tuple[str, Study]]) -> list[Callable[[str], str]]:
    """For each study, a function from the old to the new name of a source."""
    times = Counter(source for _, study in named for source in _sources(study))
    return [_names(name, study, times) for name, study in named]


def _sources(study: Study) -> list[str]:
    """The names of all sources; described sources come first."""
    return list(dict.fromkeys([*(s.name for s in study.sources), *(t.source for t in study.tallies)]))


def _names(name: str, study: Study, times: Counter[str]) -> Callable[[str], str]:
    new = {source: f"{name}: {source}" if times[source] > 1 else source for source in _sources(study)}
    return lambda source: new.get(source, source)


def _renamed(study: Study, new: Callable[[str], str]) -> Study:
    return replace(
        study,
        sources=[replace(source, name=new(source.name)) for source in study.sources],
        tallies=[replace(tally, source=new(tally.source)) for tally in study.tallies],
        perceived=[replace(tally, source=new(tally.source)) for tally in study.perceived],
        samples=[replace(sample, source=new(sample.source)) for sample in study.samples],
        quotas=[replace(one, source=new(one.source)) for one in study.quotas],
        disputed=[replace(one, source=new(one.source)) for one in study.disputed],
        labelled=[replace(one, source=new(one.source)) for one in study.labelled],
        confusions=[_of_sources(one, new) for one in study.confusions],
        perceived_confusions=[_of_sources(one, new) for one in study.perceived_confusions],
    )


def _of_sources(confusion: Confusion, new: Callable[[str], str]) -> Confusion:
    return replace(confusion, sources=[new(source) for source in confusion.sources])


def joined(confusions: Iterable[Confusion]) -> list[Confusion]:
    """Each confusion matrix once, with all sources that its reader read: runs with the same reader share it."""
    kept: list[tuple[Confusion, list[str]]] = []
    for one in confusions:
        bare = replace(one, sources=())
        for other, sources in kept:
            if other == bare:
                sources.extend(source for source in one.sources if source not in sources)
                break
        else:
            kept.append((bare, list(one.sources)))
    return [replace(bare, sources=sources) for bare, sources in kept]
