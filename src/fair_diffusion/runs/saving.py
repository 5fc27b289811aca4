"""Writing a run: images with their records inside, the table of records, the summary and the contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.files.format_number import numbered
from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.files.signature import Signature
from fair_diffusion.runs.format import FORMAT, PNG_KEY, RECORDS, RESULT, SHEET, image_name

if TYPE_CHECKING:
    from fair_diffusion.result import Record, Result


def save(result: Result, folder: Path, signature: Signature | None = None) -> None:
    """Write a result and its plain twins to a new folder, whole or not at all; signed, where a signature is given.

    Raises:
        ValueError: the folder is not new or cannot be written.
    """
    with new_folder(folder) as part:
        for images, is_twin in ((result, False), (result.plain, True)):
            for image, record in zip(images.images, images.records, strict=True) if images else ():
                write_image(image, record, part / image_name(record.index, twin=is_twin), signature)
        write_records([*(result.plain.records if result.plain else ()), *result.records], part)
        (part / RESULT).write_text(json.dumps(result.summary(), indent=2) + "\n")
        if result.images:
            result.contact_sheet(part / SHEET)


def write_image(image: Image.Image, record: Record, path: Path, signature: Signature | None = None) -> None:
    """Write a PNG with its record inside."""
    info = PngInfo()
    info.add_itxt(PNG_KEY, json.dumps({"format": FORMAT, **asdict(record)}))
    image.save(path, "PNG", pnginfo=info)
    if signature is not None:
        path.write_bytes(signature.signed(path.read_bytes(), "image/png", model=record.model))


def write_records(records: Sequence[Record], folder: Path) -> None:
    """Write the table of records to `folder`. Mappings from attributes are written as JSON text."""
    rows = [
        {key: json.dumps(value) if isinstance(value, dict) else value for key, value in asdict(record).items()}
        for record in records
    ]
    pq.write_table(numbered(pa.Table.from_pylist(rows), FORMAT), folder / RECORDS)
