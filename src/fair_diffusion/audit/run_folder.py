"""A run as a study: what `fair-diffusion generate` wrote, one folder or a folder of one per prompt.

Its sources are "plain" and "instructed", counted by the judge; the perceiver's counts stand beside as `perceived`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.study import Confusion, Sample, Source, Study
from fair_diffusion.audit.table import JOINT
from fair_diffusion.audit.tally import Tally

SAMPLES = 12
SEED = 0

_LISTED = 4


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Images of one prompt from one source: the summary in result.json and their records; `prefix` of the PNGs."""

    folder: Path
    source: str
    prefix: str
    summary: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]


def is_run(folder: Path) -> bool:
    """Whether `folder` is a run, or holds runs in sub-folders."""
    return bool(_folders(folder))


def load_runs(folder: Path, *, samples: int = SAMPLES, seed: int = SEED) -> Study:
    """The run in `folder`, or all runs in its sub-folders, as one study.

    Args:
        folder: where `fair-diffusion generate` wrote.
        samples: images of the contact sheet for each source, drawn at random; the same seeds from every source.
        seed: of that draw.

    Raises:
        ValueError: a file is damaged, no image was finished, or one prompt was run twice.
        OSError: a file is missing or cannot be read.
    """
    try:
        return _load(folder, samples, seed)
    except (KeyError, TypeError, AttributeError, UnicodeError, json.JSONDecodeError, pa.ArrowException) as error:
        raise ValueError(f"{folder} is a damaged run ({type(error).__name__}: {error}); generate it anew") from error


def _load(folder: Path, samples: int, seed: int) -> Study:
    parts = [part for run in _folders(folder) for part in _parts(run)]
    tallies = [_tally(part, rows, "") for part in parts for rows in _by_attribute(part)]
    if not tallies:
        raise ValueError(f"{folder} holds no finished image: generate some first")
    seen: set[tuple[str, str]] = set()
    for part in parts:
        key = (part.source, part.summary["prompt"])
        if key in seen:
            raise ValueError(f"{folder} holds two runs of {key[1]!r}: give them one by one")
        seen.add(key)
    drawn = list(_drawn(parts, samples, seed))
    names = list(dict.fromkeys(part.source for part in parts))
    total = sum(len(part.records) for part in parts)
    return Study(
        title=parts[0].summary["prompt"] if len(seen) == len(names) else folder.resolve().name,
        sources=[
            _source(name, [part for part in parts if part.source == name]) for name in sorted(names, reverse=True)
        ],
        tallies=tallies,
        perceived=[_tally(part, rows, "perceiver_") for part in parts for rows in _by_attribute(part)],
        samples=drawn,
        drawn=f"{len(drawn)} of {total} images, drawn at random with seed {seed}; the same image seeds in every source",
        unit="prompt",
        confusions=[
            Confusion(**found)
            for found in parts[-1].summary.get("confusions", [])
            if any(found["attribute"] == tally.attribute for tally in tallies)
        ],
        notes=list(dict.fromkeys(note for part in parts for note in part.summary["notes"])),
    )


def _folders(folder: Path) -> list[Path]:
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [path for path in (folder, *inside) if (path / "result.json").is_file()]


def _parts(folder: Path) -> Iterator[_Part]:
    """The plain twins, where they differ from the run itself, and the run."""
    summary = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    records = pq.read_table(folder / "records.parquet").to_pylist()
    twins = summary.get("plain")
    split = twins["n"] if twins else 0
    instructed = summary["rule"] and summary["method"] != "none"
    if twins and instructed:
        yield _Part(folder=folder, source="plain", prefix="plain", summary=twins, records=records[:split])
    source = "instructed" if instructed else "plain"
    yield _Part(folder=folder, source=source, prefix="image", summary=summary, records=records[split:])


def _by_attribute(part: _Part) -> Iterable[list[Mapping[str, Any]]]:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in part.summary["audit"]:
        rows.setdefault(row["attribute"], []).append(row)
    return rows.values()


def _tally(part: _Part, rows: Sequence[Mapping[str, Any]], reader: str) -> Tally:
    targets = {row["group"]: row["target"] for row in rows if row["target"] is not None}
    return Tally(
        source=part.source,
        concept=part.summary["prompt"],
        attribute=rows[0]["attribute"],
        counts={row["group"]: row[f"{reader}count"] for row in rows},
        unknown=rows[0][f"{reader}unknown"],
        target=targets or None,
    )


def _source(name: str, parts: Sequence[_Part]) -> Source:
    cost = [part.summary["cost"] for part in parts]
    plain = sum(one["plain_evaluations"] for one in cost)
    values: dict[str, Iterable[Any]] = {
        "model": (part.summary["model"] for part in parts),
        "method": (part.summary["method"] for part in parts),
        "rule": (part.summary["rule"] or "none" for part in parts),
        "seeds": (f"{part.summary['seed']} to {part.summary['seed'] + part.summary['n'] - 1}" for part in parts),
        "steps": (record["steps"] for part in parts for record in part.records),
        "guidance scale": (record["guidance"] for part in parts for record in part.records),
        "images": [f"{sum(p.summary['n'] for p in parts)} of {sum(p.summary['requested'] for p in parts)} asked for"],
        "read by": ["the model's judge, which never steers"],
    }
    for key in ("weights", "policy", "versions"):
        if found := [part.summary["made_with"][key] for part in parts if key in part.summary.get("made_with", {})]:
            values[key] = found
    if name == "instructed":
        counts = [part.summary["images"] for part in parts if "images" in part.summary]
        values["what was done"] = [f"{sum(count[what] for count in counts)} {what}" for what in (counts or [{}])[0]]
    return Source(
        name=name,
        kind=name,
        facts={key: _listed(found) for key, found in values.items()},
        ratio=sum(one["evaluations"] for one in cost) / plain if plain else None,
        seconds=sum(one["seconds"] for one in cost),
    )


def _listed(values: Iterable[Any]) -> str:
    unique = list(dict.fromkeys(map(str, values)))
    more = f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
    return ", ".join(unique[:_LISTED]) + more


def _drawn(parts: Sequence[_Part], samples: int, seed: int) -> Iterator[Sample]:
    """Draw among the runs' own images; show these and their plain twins."""
    own = [(part.folder, record["index"]) for part in parts if part.prefix == "image" for record in part.records]
    chosen = set(random.Random(seed).sample(own, min(samples, len(own))))
    for part in parts:
        attributes = {name for row in part.summary["audit"] for name in row["attribute"].split(JOINT)}
        for record in part.records:
            if (part.folder, record["index"]) in chosen:
                labels, confidence = json.loads(record["judged"]), json.loads(record["confidence"])
                yield Sample(
                    image=part.folder / f"{part.prefix}-{record['index']:05d}.png",
                    source=part.source,
                    concept=part.summary["prompt"],
                    labels={name: label for name, label in labels.items() if name in attributes},
                    confidence={name: value for name, value in confidence.items() if name in attributes},
                )
