"""The lines of the standing table, which grow from run to run, as one Parquet file. Exports `Standing`.

A way is measured under one instruction after the other, and each goes into the table by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.compare import Facts, Outcome, Way
from fair_diffusion.compare.page import made
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.runs.work import changed

_FACTS = b"standing table"


@dataclass
class Standing:
    """What is measured so far.

    settings: plain data that all lines share. made: by instruction and way, the way's identity and the same in words.
    lines: likewise, one per attribute.
    """

    settings: Mapping[str, Any]
    made: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    lines: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, Any]) -> Standing:
        """The lines in `path`, none if there is no such file. `ValueError` if they were measured otherwise, or the file
        is damaged."""
        found = cls(_plain(settings))
        if not path.is_file():
            return found
        try:
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[_FACTS])
            before, found.made = facts["settings"], facts["made"]
            for line in map(_line, table.to_pylist()):
                found.lines.setdefault(line.instruction, {}).setdefault(line.way, []).append(line)
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}); take an earlier one") from error
        if name := changed(before, found.settings):
            raise ValueError(
                f"{path.name} was measured with {name} {before.get(name)!r}, not {found.settings.get(name)!r}; use the "
                "same, or delete it to measure every way anew"
            )
        return found

    def holds(self, way: Way, instruction: str) -> bool:
        """Whether `way` is measured, as it is now, under this instruction."""
        kept = self.made.get(instruction, {}).get(way.name, {}).get("identity") == _plain(way.identity)
        return kept and not any(line.failed for line in self.lines[instruction][way.name])

    def save(self, path: Path) -> None:
        """Write all lines to `path`, whole or not at all."""
        facts = json.dumps({"settings": self.settings, "made": self.made})
        every = [line for ways in self.lines.values() for own in ways.values() for line in own]
        rows = [asdict(line) for line in every]
        for row in rows:  # as pairs: not every line has a definition, and not every way moves every attribute
            row["definitions"] = [[name, digest] for name, digest in row["definitions"].items()]
            if row["facts"]:
                row["facts"]["moved"] = [[name, str(share)] for name, share in row["facts"]["moved"].items()]
        table = pa.Table.from_pylist(rows)
        with whole_file(path) as part:
            pq.write_table(table.replace_schema_metadata({_FACTS: facts}), part)

    def add(self, way: Way, instruction: str, drawn: Sequence[Outcome]) -> None:
        """Take in the lines of `way` under one instruction, over what was there of it; a failure never stands over what
        was measured."""
        own = [line for line in drawn if line.way == way.name]
        if self.holds(way, instruction) and any(line.failed for line in own):
            return
        self.made.setdefault(instruction, {})[way.name] = {"identity": _plain(way.identity), "words": made(way)}
        self.lines.setdefault(instruction, {})[way.name] = own

    def table(self, order: Sequence[str]) -> list[Outcome]:
        """Target by target the lines of all ways, in `order`, others after them."""
        found = []
        for ways in (self.lines[name] for name in self.settings["instructions"] if name in self.lines):
            own = sorted(ways, key=lambda way: order.index(way) if way in order else len(order))
            found += [line for target in zip(*(ways[way] for way in own), strict=True) for line in target]
        return found


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON gives them back."""
    found: dict[str, Any] = json.loads(json.dumps(facts))
    return found


def _line(row: dict[str, Any]) -> Outcome:
    judge, perceiver, facts = (row[name] for name in ("judge", "perceiver", "facts"))
    moved = {name: float(share) for name, share in (facts or {}).get("moved") or []}
    return Outcome(
        **row
        | {"definitions": dict(row.get("definitions") or [])}
        | {"judge": judge and Deviation(**judge), "perceiver": perceiver and Deviation(**perceiver)}
        | {"facts": facts and Facts(**facts | {"notes": tuple(facts["notes"]), "moved": moved})}
    )
