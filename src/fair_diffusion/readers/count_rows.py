"""The rows of a table of counts, in each of the forms in which people keep them:

prompt,attribute,group,count    one row per group; columns may go by other usual names ("occupation", "label", "n")
prompt,gender,count             the column of groups is named by their attribute
prompt,woman,man,unknown        one column per group, with or without a column `attribute`, and perhaps a total
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from fair_diffusion.audit.folder import FORMAT
from fair_diffusion.files.csv_rows import Row, chosen
from fair_diffusion.files.format_number import check_metadata
from fair_diffusion.files.tables import open_table
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.spelling import Pair, named
from fair_diffusion.policy.tokens import ready_with
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.figures import count

COLUMNS, OPTIONAL = ("prompt", "attribute", "group", "count"), ("source", "target")
ALSO = {
    "prompt": ("prompts", "concept", "occupation", "profession", "job", "term", "query", "keyword", "subject"),
    "attribute": ("dimension", "variable", "axis"),
    "group": ("label", "value", "category", "class", "level"),
    "count": ("counts", "n", "number", "images", "frequency", "freq", "num", "count_images", "n_images"),
    "source": ("sources", "model", "system", "generator"),
    "target": ("target_share", "asked", "wanted"),
    "share": ("percent", "percentage", "pct", "%", "proportion", "fraction"),
}
TOTALS = ("total", "sum", "all", "n", "images", "count", "n_images")
GROUPS = 100
"""The most groups of an attribute."""
SHARES = ("share", *ALSO["share"], "rate", "ratio", "prob", "probability")


def count_rows(path: Path, defined: Attributes | None = None) -> Iterator[Row]:
    """Yield the rows of a table of counts with the columns `COLUMNS` and `OPTIONAL`, as text; "share" too, if there.

    Args:
        path: the table.
        defined: the definitions whose names columns may have; the built-in ones if None.

    Raises:
        ValueError: the file is no such table; the message says what was seen.
    """

    def check(schema: pa.Schema) -> None:
        check_metadata(schema.metadata, FORMAT, path)

    defined = defined or built_in()
    header, rows = open_table(path, COLUMNS, ALSO, check)
    counts = [name for name in ALSO["count"] if name in header]
    if "count" not in header and len(counts) > 1 and _has(header, "group"):
        raise ValueError(
            f"{path} has the columns {counts[0]!r} and {counts[1]!r}, and either may be the counts of the groups; call "
            "that one count"
        )
    if not (_has(header, "group") and _has(header, "count")):
        inner = [name for name in header if _attribute(name, defined) is not None]
        if len(inner) == 1 and _has(header, "count"):
            for line, row in chosen(
                path, header, rows, required=("prompt", inner[0], "count"), optional=(*OPTIONAL, "share"), also=ALSO
            ):
                yield line, row | {"attribute": inner[0], "group": row[inner[0]]}
            return
        if groups := _columns_of_groups(path, header, defined):
            yield from _wide(path, header, rows, groups)
            return
        if shares := [name for name in header if name in SHARES]:
            raise ValueError(
                f"{path} has shares in the column {shares[0]!r} and no counts: an interval needs to know of how many "
                "images; write a column count"
            )
        if _has(header, "prompt") and not (_has(header, "attribute") or _has(header, "group")):
            raise ValueError(
                f"{path} lacks the column 'group'; write prompt,attribute,group,count, or one column of counts per "
                f"group, as in prompt,woman,man,unknown; its first line names {', '.join(header[:8])[:200]}"
                f"{_ready(header)}"
            )
    yield from chosen(path, header, rows, required=COLUMNS, optional=(*OPTIONAL, "share"), also=ALSO)


def is_count_table(header: Sequence[str]) -> bool:
    """Whether a table of these columns may hold counts."""
    return _has(header, "prompt") and not {"file", "file_name"} & {*header}


def _has(header: Sequence[str], column: str) -> bool:
    return any(name in header for name in (column, *ALSO[column]))


def _attribute(name: str, defined: Attributes) -> str | None:
    """The attribute that a name of a column means, if it is a known one."""
    found = named([(name, "unknown")], defined).names.get((name, "unknown"))
    return found[0] if found and found[0] in defined else None


def _ready(header: Sequence[str]) -> str:
    """A hint at the first ready definition that would make a column known; empty if none would."""
    found = next((ready for name in header if (ready := ready_with(phrase(name.replace("_", " "))))), None)
    return f"; --define {found} makes its groups known" if found else ""


def _columns_of_groups(path: Path, header: Sequence[str], defined: Attributes) -> dict[str, Pair]:
    """The columns that are groups, each with attribute and group; empty if there are none.

    With a column `attribute`, every column that is nothing else is a group of it.
    """
    others = {name for column in ("prompt", "attribute", *OPTIONAL) for name in (column, *ALSO[column])}
    rest = [name for name in header if name and name not in others and name not in TOTALS]
    if _has(header, "attribute"):
        return {name: ("", name) for name in rest} if len(rest) > 1 and not {*rest} & {*SHARES} else {}
    for attribute, each in defined.items():
        found = {name: named([(attribute, each.group_names[0]), (attribute, name)], defined) for name in rest}
        known = {name: one.names[attribute, name] for name, one in found.items() if not one.wrong}
        if sum(group != "unknown" for _, group in known.values()) < 2:
            continue
        if strange := [name for name in rest if name not in known]:
            raise ValueError(
                f"{path} has one column per group of {attribute}, and the column {strange[0][:40]!r}, which is none; "
                f"rename it or leave it out ({found[strange[0]].wrong[attribute, strange[0]]})"
            )
        return known
    return {}


def _wide(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], groups: dict[str, Pair]
) -> Iterator[Row]:
    """Yield one row for each group of a table with one column per group. A total must be the sum."""
    several: dict[Pair, str] = {}
    for name, pair in groups.items():
        if pair in several and pair[0]:
            raise ValueError(f"{path} has the columns {several[pair]!r} and {name!r}, which are one group; add them up")
        several[pair] = name
    if len(groups) > GROUPS:
        raise ValueError(f"{path} has {len(groups):,} columns of groups, more than {GROUPS}; leave the others out")
    total = next((name for name in TOTALS if name in header), None)
    optional = ("attribute", *OPTIONAL, *groups, *([total] if total else ()))
    for line, row in chosen(path, header, rows, required=("prompt",), optional=optional, also=ALSO):
        counts = [count(row[name] or "0") for name in groups]
        if total and row[total] and None not in counts and count(row[total]) != sum(map(int, filter(None, counts))):
            raise ValueError(
                f"{path}, line {line}: {total} is {row[total][:40]!r}, but the groups sum to "
                f"{sum(map(int, filter(None, counts)))}; add a column unknown, or leave {total} out"
            )
        shared = {name: row[name] for name in ("prompt", *OPTIONAL)}
        for name, (attribute, _) in groups.items():
            yield line, shared | {"attribute": attribute or row["attribute"], "group": name, "count": row[name] or "0"}
