"""Audit a table of counts, `prompt,attribute,group,count[,source][,target]`, such as somebody else published.

"unknown" is a group like others. A group without a row counts zero. `target` is the share that was asked for. The
files tallies.csv and tallies.parquet of a study have these columns; `count_rows` reads other forms. Prompts, sources,
attributes and groups are the same if they are spelt so as `policy.spelling` compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.csv_rows import CsvErrors
from fair_diffusion.files.text import printable
from fair_diffusion.policy.attributes import Attributes, ordered_groups
from fair_diffusion.policy.spelling import UNKNOWN, named, plain
from fair_diffusion.policy.vocabulary import typo
from fair_diffusion.policy.words import phrase
from fair_diffusion.readers.count_rows import GROUPS, count_rows
from fair_diffusion.readers.figures import MOST, count, said_share, share
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.spellings import SHOWN, Spellings

ROUNDING = 1e-3
"""Targets may differ from a sum of 1 by this much; they are scaled to 1."""
ROWS, TALLIES, SOURCES, LONGEST = 200_000, 20_000, 100, 4_000
"""The most rows, prompts times attributes and sources, sources, and letters of a name."""

NEAR = 0.011
"""Shares that a table says beside its counts are rounded: they, and their sum, may be wrong by this much."""
TOTALS = frozenset({"total", "sum", "all", "overall", "grand total", "all prompt", "all occupation", "all profession"})
"""Prompts that sum up the others, as `policy.spelling.plain` gives them."""

Key = tuple[str, str, str]
"""Source, prompt, attribute."""
Cells = dict[Key, dict[str, tuple[int, float | None]]]
"""Count and target of each group."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: its line, the names as they are written, its count, its target, and the share that it says."""

    line: int
    source: str
    prompt: str
    attribute: str
    group: str
    count: int
    target: float | None
    share: float | None


def read_counts(path: Path, defined: Attributes | None = None) -> Findings:
    """Read a table of counts as a study.

    Args:
        path: the table.
        defined: the definitions of the attributes that it may name; the built-in ones if None.

    Raises:
        ValueError: the file cannot be read; or lines are wrong, and the message names each of them.
    """
    errors = CsvErrors(path)
    rows = list(_rows(path, errors, defined))
    names = named(((row.attribute, row.group) for row in rows), defined)
    prompts, sources = Spellings(), Spellings()
    cells: Cells = {}
    said: dict[Key, dict[str, float]] = {}
    first: dict[tuple[Key, str], int] = {}
    spelt: dict[Key, set[str]] = {}
    for row in rows:
        pair = (row.attribute, row.group)
        if pair in names.wrong:
            errors.add(row.line, names.wrong[pair])
            continue
        attribute, group = names.names[pair]
        key = (sources.one(row.source), prompts.one(row.prompt), attribute)
        cell = (row.count, row.target)
        if (key, group) in first and group == UNKNOWN and row.group not in spelt[key]:  # "no face" and "unclear"
            cell = (cells[key][group][0] + row.count, cells[key][group][1] or row.target)
        elif (key, group) in first:
            line = first[key, group]
            errors.add(row.line, f"the same prompt, attribute and group as in line {line}; add them up")
        first[key, group] = row.line
        cells.setdefault(key, {})[group] = cell
        if row.share is not None:
            said.setdefault(key, {})[group] = row.share
        if group == UNKNOWN:
            spelt.setdefault(key, set()).add(row.group)
    errors.check()
    _check_shares(path, cells, said)
    _check_totals(path, cells)
    tallies = _tallies(path, cells, defined)
    if not tallies:
        raise ValueError(f"{path} holds no counts; give one line per prompt and group")
    facts = {"counts": path.name}
    study = Study(
        title=f"Audit of {path.name}",
        sources=[
            Source(name=name, kind=kind_of(name), facts=facts)
            for name in dict.fromkeys(tally.source for tally in tallies)
        ],
        tallies=tallies,
        notes=[*names.notes, *prompts.notes("prompts"), *sources.notes("sources"), *_misspelt(cells)],
    )
    return Findings(study)


def _rows(path: Path, errors: CsvErrors, defined: Attributes | None) -> Iterator[_Row]:
    """Yield the rows whose numbers can be read; the others are added to `errors`."""
    for number, (line, row) in enumerate(count_rows(path, defined)):
        if number >= ROWS:
            raise ValueError(f"{path} has more than {ROWS:,} rows of counts; split it")
        if long := next((column for column, text in row.items() if len(text) > LONGEST and column != "count"), None):
            raise ValueError(f"{path}, line {line}: {long} has {len(row[long]):,} letters, more than {LONGEST:,}")
        row = {column: text if column == "count" else printable(text) for column, text in row.items()}
        empty = next((name for name in ("prompt", "attribute", "group") if not row[name]), None)
        if empty:
            errors.add(line, f"{empty} is empty; every row needs one")
        elif (found := count(row["count"])) is None:
            mend = "write how many images; a share does not tell" if "%" in row["count"] else ""
            mend = mend or f"write a whole number from 0 to {MOST}"
            errors.add(line, f"count is {row['count'][:40]!r}; {mend}")
        elif (target := share(row["target"])) is not None and not 0 <= target <= 1:
            errors.add(line, f"target is {row['target'][:40]!r}; write a share as in 0.5 or 50%, or nothing")
        else:
            source, said = row["source"] or path.stem, said_share(row.get("share", ""))
            yield _Row(line, source, row["prompt"], row["attribute"], row["group"], found, target, said)


def _check_shares(path: Path, cells: Cells, said: dict[Key, dict[str, float]]) -> None:
    """Check that the shares which a table says beside its counts are those of the counts: "n" may be the same total in
    each row."""
    for key, shares in said.items():
        if abs(sum(shares.values()) - 1) > NEAR or set(shares) != set(cells[key]):
            continue  # no shares of these groups
        whole = sum(count for count, _ in cells[key].values())
        for group, stated in shares.items():
            if whole and abs(cells[key][group][0] / whole - stated) > NEAR:
                raise ValueError(
                    f"{path} says that {stated:.4g} of {key[1][:40]!r} are {group[:40]!r}, and its counts say "
                    f"{cells[key][group][0] / whole:.4g}; write in count how many images show the group"
                )


def _check_totals(path: Path, cells: Cells) -> None:
    """Check that no row holds the sums of the others: it would count as a prompt."""
    for source, prompt, attribute in [key for key in cells if plain(key[1]) in TOTALS]:
        others = [row for key, row in cells.items() if key[::2] == (source, attribute) and key[1] != prompt]
        sums: Counter[str] = Counter()
        for row in others:
            sums.update({group: count for group, (count, _) in row.items()})
        if others and all(count == sums[group] for group, (count, _) in cells[source, prompt, attribute].items()):
            raise ValueError(f"{path} sums up the others as prompt {prompt[:40]!r}; leave these rows out")


def _misspelt(keys: Iterable[Key]) -> list[str]:
    """A note on prompts that look like a misspelt occupation; they count as they stand."""
    prompts = list(dict.fromkeys(prompt for _, prompt, _ in keys))[:1_000]
    meant = {prompt: [right for word in phrase(prompt[:200]) if (right := typo(word))] for prompt in prompts}
    found = [f"{prompt[:40]!r} (did you mean {right[0]!r}?)" for prompt, right in meant.items() if right]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"prompts that no known occupation is spelt like: {', '.join(found[:SHOWN])}{more}"] if found else []


def kind_of(source: str) -> str:
    """The kind of a source, as in `Source.kind`, by its name."""
    return source.lower() if source.lower() in ("data", "plain", "instructed") else "other"


def _tallies(path: Path, cells: Cells, defined: Attributes | None) -> list[Tally]:
    """The tallies of a table's cells; rows without any count are left out."""
    seen: dict[str, list[str]] = {}
    for (_, _, attribute), row in cells.items():
        seen.setdefault(attribute, []).extend(row)
    groups = {
        attribute: ordered_groups(attribute, (name for name in names if name != UNKNOWN), defined)
        for attribute, names in seen.items()
    }
    if many := [attribute for attribute, names in groups.items() if len(names) > GROUPS]:
        raise ValueError(
            f"{path} has {len(groups[many[0]]):,} groups of {many[0][:40]!r}, more than {GROUPS}; a group is what a "
            "picture shows, such as a gender, and the prompt what was asked for"
        )
    if (sources := len({source for source, _, _ in cells})) > SOURCES:
        raise ValueError(
            f"{path} has {sources:,} sources, more than {SOURCES}; a source is a model or a set of images, and "
            "the prompt what was asked for"
        )
    if len(cells) > TALLIES:
        raise ValueError(
            f"{path} counts {len(cells):,} prompts by source and attribute, more than {TALLIES:,}; split it"
        )
    tallies = []
    for (source, prompt, attribute), row in cells.items():
        targets = {group: share for group, (_, share) in row.items() if share is not None and group != UNKNOWN}
        whole = sum(targets.values())
        if targets and abs(whole - 1) > ROUNDING:
            raise ValueError(f"{path}: the targets of {prompt!r} sum to {whole:g}; make them sum to 1")
        tally = Tally(
            source=source,
            concept=prompt,
            attribute=attribute,
            counts={group: row[group][0] if group in row else 0 for group in groups[attribute]},
            unknown=row[UNKNOWN][0] if UNKNOWN in row else 0,
            target={group: targets.get(group, 0.0) / whole for group in groups[attribute]} if targets else None,
        )
        if tally.n and tally.counts:
            tallies.append(tally)
    return tallies
