"""A cell: the images of one way and prompt, as one Parquet file that is written whole or not at all.

    seed … evaluations       one row per image: how it was made and what it cost
    judged.A, perceived.A    the group of attribute A that judge and perceiver read; null: unknown
    assigned.A               the group that it is to show; null: none
    pixels, features         its distances to the plain image of the same seed; null: there is no such image
    vector                   the judge's features, if it has any
    picture                  PNG of the first `SHOWN` images, and of all plain images

Exports `Drawn`, `save` and `load`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from fair_diffusion.files.format_number import check_metadata, numbered
from fair_diffusion.files.guarded import opened
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.files.schema import EXACT, Count, DamagedFile, Number, arrow_errors, parsed
from fair_diffusion.files.whole_file import whole_file

FORMAT = 1
"""Format of the file of a cell."""
SHOWN = 8
"""How many images of a cell a page shows. They are the first ones, so that those of two ways have the same seeds."""

_FACTS = b"fair-diffusion cell"
_TYPES = {
    "index": pa.int64(),
    "seed": pa.int64(),
    "steered": pa.bool_(),
    "repairs": pa.int64(),
    "reseeds": pa.int64(),
    "missed": pa.bool_(),
    "evaluations": pa.int64(),
    "plain_evaluations": pa.int64(),
    "pixels": pa.float64(),
    "features": pa.float64(),
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The images of one way and prompt.

    Attributes:
        images: one row per image, with the columns above except the last two.
        vectors: the judge's features, (images, d); None if it has none.
        pictures: PNGs of the first images.
        seconds: wall-clock time, with reading and without learning.
        memory: peak memory in bytes, see `memory.MEMORY`.
        notes: remarks of the pipeline.
        learnt: seconds that learning took once, by what was learnt.
    """

    images: pa.Table
    vectors: NDArray[np.float32] | None
    pictures: Sequence[bytes]
    seconds: float
    memory: int
    notes: Sequence[str]
    learnt: Mapping[str, float] = field(default_factory=dict)

    def column(self, name: str) -> list[Any]:
        """The values of one column. `DamagedFile` if there is none of that name."""
        if name not in self.images.column_names:
            raise DamagedFile(f"a cell of the comparison lacks the column {name!r}; delete it, it is drawn anew")
        values: list[Any] = self.images[name].to_pylist()
        return values

    def labels(self, reader: str) -> dict[str, list[str | None]]:
        """The groups of all images by attribute; reader: "judged", "perceived" or "assigned"."""
        prefix = f"{reader}."
        names = [name for name in self.images.column_names if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.column(name) for name in names}


def image_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as the table of `Drawn.images`; columns of groups are text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.Table.from_pylist(list(rows), pa.schema([(name, _TYPES.get(name, pa.string())) for name in names]))


def save(cell: Drawn, path: Path) -> None:
    """Write a cell to a file, whole or not at all; missing folders are made."""
    table = cell.images
    if cell.vectors is not None:
        width = cell.vectors.shape[1]
        flat = pa.array(cell.vectors.astype(np.float32).reshape(-1))
        table = table.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, width))
    pictures = [*cell.pictures, *[None] * (table.num_rows - len(cell.pictures))]
    table = table.append_column("picture", pa.array(pictures, pa.binary()))
    facts = {"seconds": cell.seconds, "memory": cell.memory, "notes": list(cell.notes), "learnt": dict(cell.learnt)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        pq.write_table(numbered(table.replace_schema_metadata({_FACTS: json.dumps(facts)}), FORMAT), part)


def load(path: Path, *, pictures: bool = False) -> Drawn:
    """Read a cell.

    Args:
        path: the file.
        pictures: whether to read the pictures too.

    Raises:
        ValueError: the file is damaged or has a newer format.
    """
    try:
        with arrow_errors(path):
            with opened(path) as file:
                schema = pq.read_schema(file)
            check_metadata(schema.metadata, FORMAT, path)
            names = schema.names
            with opened(path) as file:
                table = pq.read_table(file, columns=[name for name in names if pictures or name != "picture"])
            table.validate(full=True)
            facts = parsed((schema.metadata or {})[_FACTS], _SCHEMA, FORMAT, path)
            vectors = None
            if "vector" in names:
                flat = table["vector"].combine_chunks().flatten().to_numpy()
                vectors = np.asarray(flat, dtype=np.float32).reshape(table.num_rows, -1)
            shown = [png for png in table["picture"].to_pylist() if png is not None] if pictures else []
            rows = table.select([name for name in table.column_names if name not in ("vector", "picture")])
            for png in shown:
                open_picture(png)
        _check_columns(rows, path)
        return Drawn(
            images=rows.replace_schema_metadata(),
            vectors=vectors,
            pictures=shown,
            seconds=facts["seconds"],
            memory=facts["memory"],
            notes=facts["notes"],
            learnt=facts.get("learnt", {}),
        )
    except DamagedFile as error:
        raise DamagedFile(f"{path} is damaged ({error}); delete it, it is drawn anew") from error


def _check_columns(rows: pa.Table, path: Path) -> None:
    """`DamagedFile` if a column of images is twice there, or of another type."""
    names = rows.column_names
    for name, kind in _TYPES.items():
        if names.count(name) > 1:
            raise DamagedFile(f"{path} has two columns {name!r}")
        if name in names and not (
            rows.schema.field(name).type.equals(kind) or rows.schema.field(name).type == pa.null()
        ):
            raise DamagedFile(f"the column {name!r} of {path} does not hold what it must")
    for name in names:
        if names.count(name) > 1 or (
            name not in _TYPES and rows.schema.field(name).type not in (pa.string(), pa.null())
        ):
            raise DamagedFile(f"the column {name!r} of {path} does not hold what it must")
    for name in ("index", "seed", "steered", "repairs", "reseeds", "evaluations", "plain_evaluations"):
        if name in names and rows[name].null_count:
            raise DamagedFile(f"the column {name!r} of {path} has rows that are empty")


class _Facts(TypedDict):
    """What a cell tells of all its images."""

    __pydantic_config__ = EXACT  # type: ignore[misc]
    seconds: Number
    memory: Count
    notes: Sequence[str]
    learnt: NotRequired[Mapping[str, Number]]


_SCHEMA: TypeAdapter[_Facts] = TypeAdapter(_Facts)
