"""What files that are written and read back must hold, as schemas of pydantic, and one error for all that do not.

Each kind of file has its schema beside the code that writes it. A schema is checked when a file is read. Types are
exact: no text is taken for a number. Numbers are finite. Keys that a schema does not name are kept where it says so,
and passed over elsewhere.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import pyarrow as pa
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fair_diffusion.files.format_number import NewerFormatError, check_format
from fair_diffusion.files.guarded import Readable, RefusedFile, content, why
from fair_diffusion.files.text import printable

T = TypeVar("T")

EXACT = ConfigDict(strict=True, allow_inf_nan=False)
"""Types are exact and numbers finite."""
OPEN = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")
"""The same, and keys that the schema does not name are kept."""
LARGEST = 64 * 2**20
"""The most bytes of a file of JSON."""
Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]
Share = Annotated[float, Field(ge=0, le=1)]
HEADS: TypeAdapter[dict[str, list[str]]] = TypeAdapter(dict[str, list[str]])
"""The groups of each attribute that the heads of a network read."""


class DamagedFile(ValueError):
    """A file that does not hold what it must. The message names file, field and what is wrong."""


_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def read_json(file: Readable, schema: TypeAdapter[T], known: int) -> T:
    """Read a file of JSON.

    Args:
        file: the file.
        schema: what it must hold.
        known: the newest format that this version reads.

    Raises:
        NewerFormatError: the file has a newer format.
        DamagedFile: it does not hold that.
    """
    try:
        data = content(file, LARGEST)
    except (OSError, RefusedFile) as error:
        raise DamagedFile(f"{file} cannot be read ({why(error)})") from error
    return parsed(data, schema, known, file)


def parsed(data: bytes | str, schema: TypeAdapter[T], known: int, what: object) -> T:
    """Read JSON that comes from `what`; as `read_json`."""
    data = data.removeprefix(codecs.BOM_UTF8) if isinstance(data, bytes) else data
    try:
        whole = _JSON.validate_json(data)
        check_format(whole.get("format") if isinstance(whole, dict) else None, known, what)
        return schema.validate_json(data, strict=True)
    except NewerFormatError:
        raise
    except ValidationError as error:
        raise DamagedFile(f"{what} is damaged: {wrong(error)}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile(str(error)) from error


def checked(value: Any, schema: TypeAdapter[T], what: object) -> T:
    """Check a value that comes from `what`.

    Raises:
        DamagedFile: it is not what the schema says.
    """
    try:
        return schema.validate_python(value, strict=True)
    except ValidationError as error:
        raise DamagedFile(f"{what} is damaged: {wrong(error)}") from error


def wrong(error: ValidationError) -> str:
    """The first thing that is wrong, in one printable line: its place, and what should be there."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"])
    return printable(f"{place}: {first['msg']}" if place else first["msg"])


@contextmanager
def arrow_errors(what: object) -> Iterator[None]:
    """Turn what goes wrong when Parquet is read from `what` into `DamagedFile`; errors of our own pass."""
    try:
        yield
    except (DamagedFile, NewerFormatError):
        raise
    except (pa.ArrowException, OSError, RefusedFile) as error:
        raise DamagedFile(f"{what} cannot be read: {printable(why(error))}") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}".split("\n")[0]
        raise DamagedFile(f"{what} cannot be read: {printable(said)}") from error
