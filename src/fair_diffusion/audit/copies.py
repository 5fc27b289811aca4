"""Sources of several studies that hold the very same images: a copy of a run, or plain twins of the same seeds.

Exports `without_copies`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from fair_diffusion.audit.study import Confusion, Study

Content = frozenset[tuple[tuple[object, ...], int]]
"""What is known of the images of one source: how often each row is there."""


def without_copies(
    named: Sequence[tuple[str, Study]], tables: Sequence[pa.Table | None]
) -> tuple[list[tuple[str, Study]], list[pa.Table | None], list[str]]:
    """Leave out sources whose images are all those of a source of an earlier study.

    Images are the same if their rows are: concept, seed, labels and confidences. Where seeds are not known, the names
    of the files must be the same too. A study whose sources are all copies is left out.

    Args:
        named: each study with a short name.
        tables: the image rows of each study, or None.

    Returns:
        The studies and the image rows that are left, and a note for each source that was left out.
    """
    seen: dict[Content, str] = {}
    kept: list[tuple[str, Study]] = []
    rows: list[pa.Table | None] = []
    notes: list[str] = []
    for (name, study), table in zip(named, tables, strict=True):
        contents = _contents(table)
        copies = {source: seen[content] for source, content in contents.items() if content in seen}
        for source, content in contents.items():
            seen.setdefault(content, f"{name}: {source}")
        notes += [
            f"{name}: {source} holds the same images as {first}, counted once" for source, first in copies.items()
        ]
        left = {tally.source for tally in study.tallies} - copies.keys()
        if left:
            kept.append((name, _only(study, copies) if copies else study))
            rows.append(_rows(table, copies))
    return kept, rows, notes


def _contents(table: pa.Table | None) -> dict[str, Content]:
    """What is known of the images of each source."""
    if table is None or "source" not in table.column_names:
        return {}
    seeded = "seed" in table.column_names and not table["seed"].null_count
    columns = [name for name in table.column_names if name != "source" and (name != "file" or not seeded)]
    values = [table[name].to_pylist() for name in columns]
    if "file" in columns:
        place = columns.index("file")
        values[place] = [str(file).rpartition("/")[2] for file in values[place]]
    counted: dict[str, Counter[tuple[object, ...]]] = {}
    for source, row in zip(table["source"].to_pylist(), zip(*values, strict=True), strict=True):
        counted.setdefault(source, Counter())[row] += 1
    return {source: frozenset(counts.items()) for source, counts in counted.items()}


def _rows(table: pa.Table | None, copies: dict[str, str]) -> pa.Table | None:
    """The rows of the sources that are no copies."""
    if table is None or not copies:
        return table
    return table.filter(pc.invert(pc.is_in(table["source"], pa.array(list(copies), pa.string()))))


def _only(study: Study, copies: dict[str, str]) -> Study:
    """The study without its sources that are copies."""

    def those(confusions: Sequence[Confusion]) -> list[Confusion]:
        own = [replace(one, sources=[name for name in one.sources if name not in copies]) for one in confusions]
        return [one for one in own if one.sources]

    return replace(
        study,
        sources=[source for source in study.sources if source.name not in copies],
        tallies=[tally for tally in study.tallies if tally.source not in copies],
        perceived=[tally for tally in study.perceived if tally.source not in copies],
        quotas=[one for one in study.quotas if one.source not in copies],
        disputed=[one for one in study.disputed if one.source not in copies],
        samples=[sample for sample in study.samples if sample.source not in copies],
        labelled=[one for one in study.labelled if one.source not in copies],
        confusions=those(study.confusions),
        perceived_confusions=those(study.perceived_confusions),
    )
