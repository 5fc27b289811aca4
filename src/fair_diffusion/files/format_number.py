"""Format numbers: every file that is written and read back says which version of its format it has.

Each kind of file has a constant `FORMAT` beside the code that writes it. A file without a number was written before
there were numbers, and has format 1. JSON files hold the number under the key "format"; Parquet and safetensors files
hold it in their metadata under `KEY`, because other programs use the key "format" there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "fair-diffusion format"


class NewerFormatError(ValueError):
    """A file was written by a newer version of fair-diffusion."""


def check_format(number: object, known: int, what: object) -> None:
    """Check that a file can be read.

    Args:
        number: the format number in the file; None if the file has none.
        known: the newest format that this version reads.
        what: the file, for the message.

    Raises:
        NewerFormatError: the file has a newer format.
        ValueError: `number` is not a format number.
    """
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{what} has the format {number!r}, which is not a number from 1 on; write the file again")
    if number > known:
        raise NewerFormatError(
            f"{what} was written by a newer version of fair-diffusion (format {number}; this version reads up to "
            f"{known}); update fair-diffusion"
        )


def check_metadata(metadata: Mapping[str, str] | Mapping[bytes, bytes] | None, known: int, what: object) -> None:
    """Do what `check_format` does, for the metadata of a Parquet or safetensors file (None: there is no metadata)."""
    told = {_text(key): _text(value) for key, value in (metadata or {}).items()}
    number = told.get(KEY)
    check_format(int(number) if number is not None and number.isdecimal() else number, known, what)


def file_metadata(number: int) -> dict[str, str]:
    """The metadata of a safetensors file of this format."""
    return {KEY: str(number)}


def numbered(table: pa.Table, number: int) -> pa.Table:
    """The table with the format number in its metadata; rows and other metadata stay as they are."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **file_metadata(number)})


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
