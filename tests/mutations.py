"""Single mutations of files, with fixed seeds: what a bad disk, another program or a mean person does to a file."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, -(10**30), 2**63, float("nan"), float("inf"), "", "x", "1", "\x1b[31m\u202e\n"),
    *([], {}, [[]], {"": None}, [None], "/etc/passwd", "../x", "9999-99-99"),
)
"""What a value of a JSON text is replaced by."""
DEEP = 5000


def json_mutations(text: str, seed: int, most: int) -> Iterator[tuple[str, str]]:
    """Name and text of up to `most` mutations of a JSON text, drawn at random, and of some that are always there."""
    whole = json.loads(text)
    yield "empty", ""
    yield "deep", "[" * DEEP + "]" * DEEP
    yield "deep values", text.rstrip()[:-1] + ', "notes": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}"
    yield "surrogate", text.replace('"', '"\\ud800', 1)
    yield "twice", text.rstrip()[:-1] + "," + text.strip()[1:]
    yield "not UTF-8", "\xff" + text
    for value in VALUES:
        yield f"all {value!r}", json.dumps(value)
    rng = random.Random(seed)
    places = list(_places(whole, ()))
    made = [(place, how) for place in places for how in ("delete", "twice", *range(len(VALUES)))]
    for place, how in rng.sample(made, min(most, len(made))):
        changed = _changed(deepcopy(whole), place, how)
        yield f"{'.'.join(map(str, place))} {how if isinstance(how, str) else repr(VALUES[how])}", json.dumps(changed)
    for _ in range(most // 10):
        cut = rng.randrange(len(text))
        yield f"cut at {cut}", text[:cut]
        at, byte = rng.randrange(len(text)), rng.randrange(1, 128)
        yield f"flip {byte} at {at}", text[:at] + chr(ord(text[at]) ^ byte) + text[at + 1 :]


def byte_mutations(data: bytes, seed: int, most: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of mutations of a file of any kind: cut off, a byte flipped, a stretch twice or gone."""
    rng = random.Random(seed)
    yield "empty", b""
    for _ in range(most):
        at, n = rng.randrange(len(data)), rng.randrange(1, 64)
        how = rng.choice(["cut", "flip", "flip", "flip", "twice", "gone", "zeros"])
        changed = {
            "cut": data[:at],
            "flip": data[:at] + bytes([data[at] ^ n]) + data[at + 1 :],
            "twice": data[: at + n] + data[at:],
            "gone": data[:at] + data[at + n :],
            "zeros": data[:at] + bytes(n) + data[at + n :],
        }
        yield f"{how} {n} at {at}", changed[how]


def table_mutations(table: pa.Table, path: Path) -> Iterator[str]:
    """Write mutations of a Parquet table to a file, one after another: yields the name of each."""
    n = table.num_rows
    others: dict[str, pa.Array] = {
        "null": pa.nulls(n),
        "nulls of its type": pa.nulls(n, pa.string()),
        "text": pa.array(["x"] * n),
        "empty": pa.array([""] * n),
        "bytes": pa.array([b"\xff\xfe"] * n),
        "huge": pa.array([2**63 - 1] * n),
        "huge unsigned": pa.array([2**64 - 1] * n, pa.uint64()),
        "negative": pa.array([-1] * n),
        "nan": pa.array([float("nan")] * n),
        "inf": pa.array([float("inf")] * n),
        "true": pa.array([True] * n),
        "dates out of range": pa.array([2**62] * n, pa.timestamp("us")),
        "lists": pa.array([[1, 2]] * n),
        "structs": pa.array([{"gender": 1}] * n),
        "escapes": pa.array(["\x1b[31m\u202e"] * n),
        "list text": pa.array(["[1]"] * n),
        "deep text": pa.array(["[" * DEEP] * n),
        "odd map": pa.array(['{"gender": 1}'] * n),
        "outside": pa.array(["../../etc/passwd"] * n),
    }

    def write(changed: pa.Table, name: str) -> str:
        pq.write_table(changed, path)
        return name

    for k, column in enumerate(table.column_names):
        kept = table.schema.metadata
        yield write(table.remove_column(k), f"{column} gone")
        twice = pa.Table.from_arrays([*table.columns, table.column(k)], [*table.column_names, column])
        yield write(twice.replace_schema_metadata(kept), f"{column} twice")
        for name, values in others.items():
            yield write(table.set_column(k, column, values), f"{column} {name}")
    yield write(table.slice(0, 0), "no rows")
    yield write(pa.table({}), "no columns")


def _places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*place, key)
        yield from _places(each, (*place, key))


def _changed(whole: Any, place: tuple[Any, ...], how: str | int) -> Any:
    holder = whole
    for key in place[:-1]:
        holder = holder[key]
    if isinstance(how, int):
        holder[place[-1]] = VALUES[how]
    elif how == "delete":
        del holder[place[-1]]
    elif isinstance(holder, list):
        holder.append(holder[place[-1]])
    else:
        holder[f"{place[-1]} again"] = holder[place[-1]]
    return whole
