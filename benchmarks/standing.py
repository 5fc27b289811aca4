"""The lines of the standing table, which grow from run to run, as one Parquet file. Exports `Standing`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.compare import Facts, Line, Way
from fair_diffusion.compare.page import made
from fair_diffusion.whole_file import whole_file

_FACTS = b"standing table"


@dataclass
class Standing:
    """What is measured so far.

    settings: plain data that all lines share. made: how each way is made, in words, by name. lines: of each way, one
    per target.
    """

    settings: Mapping[str, Any]
    made: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, Any]) -> Standing:
        """The lines in `path`, none if there is no such file. `ValueError` if they were measured otherwise."""
        found = cls(json.loads(json.dumps(settings)))
        if not path.is_file():
            return found
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[_FACTS])
        for name, now in found.settings.items():
            if (before := facts["settings"].get(name)) != now:
                raise ValueError(
                    f"{path.name} was measured with {name} {before!r}, not {now!r}; delete it to measure every way anew"
                )
        found.made = facts["made"]
        for line in map(_line, table.to_pylist()):
            found.lines.setdefault(line.way, []).append(line)
        return found

    def save(self, path: Path) -> None:
        """Write all lines to `path`, whole or not at all."""
        facts = json.dumps({"settings": self.settings, "made": self.made})
        table = pa.Table.from_pylist([asdict(line) for own in self.lines.values() for line in own])
        with whole_file(path) as part:
            pq.write_table(table.replace_schema_metadata({_FACTS: facts}), part)

    def add(self, ways: Sequence[Way], drawn: Sequence[Line]) -> None:
        """Take in the lines of `ways`, over what was there of them."""
        for way in ways:
            self.made[way.name] = made(way)
            self.lines[way.name] = [line for line in drawn if line.way == way.name]

    def table(self, order: Sequence[str]) -> list[Line]:
        """Target by target the lines of all ways, in `order`, others after them."""
        ways = sorted(self.lines, key=lambda way: order.index(way) if way in order else len(order))
        return [line for target in zip(*(self.lines[way] for way in ways), strict=True) for line in target]


def _line(row: dict[str, Any]) -> Line:
    judge, perceiver, facts = (row[name] for name in ("judge", "perceiver", "facts"))
    return Line(
        **row
        | {"judge": judge and Deviation(**judge), "perceiver": perceiver and Deviation(**perceiver)}
        | {"facts": facts and Facts(**facts | {"notes": tuple(facts["notes"])})}
    )
