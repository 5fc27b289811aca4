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
from fair_diffusion.compare.folder import changed
from fair_diffusion.compare.page import made
from fair_diffusion.whole_file import whole_file

MACHINE = ("device", "versions")
"""Settings that each way has for itself: with the same model, seeds and steps they change images by rounding alone, and
a table that takes days may grow on more than one machine. Seconds and memory are to be read with them."""

_FACTS = b"standing table"


@dataclass
class Standing:
    """What is measured so far.

    settings: plain data of what is drawn now, which all lines share but for `MACHINE`. made: of each way, by name, its
    identity, the same in words, and the machine. lines: of each way, one per target.
    """

    settings: Mapping[str, Any]
    made: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)

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
                found.lines.setdefault(line.way, []).append(line)
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}); take an earlier one") from error
        if name := changed(before, _shared(found.settings)):
            raise ValueError(
                f"{path.name} was measured with {name} {before.get(name)!r}, not {found.settings.get(name)!r}; use the "
                "same, or delete it to measure every way anew"
            )
        return found

    def holds(self, way: Way) -> bool:
        """Whether `way` is measured, as it is now, under every target."""
        kept = self.made.get(way.name, {}).get("identity") == _plain(way.identity)
        return kept and not any(line.failed for line in self.lines[way.name])

    def save(self, path: Path) -> None:
        """Write all lines to `path`, whole or not at all."""
        facts = json.dumps({"settings": _shared(self.settings), "made": self.made})
        table = pa.Table.from_pylist([asdict(line) for own in self.lines.values() for line in own])
        with whole_file(path) as part:
            pq.write_table(table.replace_schema_metadata({_FACTS: facts}), part)

    def add(self, way: Way, drawn: Sequence[Line]) -> None:
        """Take in the lines of `way`, over what was there of it; a failure never stands over what was measured."""
        own = [line for line in drawn if line.way == way.name]
        if self.holds(way) and any(line.failed for line in own):
            return
        machine = {name: self.settings.get(name) for name in MACHINE}
        self.made[way.name] = {"identity": _plain(way.identity), "words": made(way), **machine}
        self.lines[way.name] = own

    def table(self, order: Sequence[str]) -> list[Line]:
        """Target by target the lines of all ways, in `order`, others after them."""
        ways = sorted(self.lines, key=lambda way: order.index(way) if way in order else len(order))
        return [line for target in zip(*(self.lines[way] for way in ways), strict=True) for line in target]


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON gives them back."""
    found: dict[str, Any] = json.loads(json.dumps(facts))
    return found


def _shared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those of a machine."""
    return {name: value for name, value in settings.items() if name not in MACHINE}


def _line(row: dict[str, Any]) -> Line:
    judge, perceiver, facts = (row[name] for name in ("judge", "perceiver", "facts"))
    return Line(
        **row
        | {"judge": judge and Deviation(**judge), "perceiver": perceiver and Deviation(**perceiver)}
        | {"facts": facts and Facts(**facts | {"notes": tuple(facts["notes"])})}
    )
