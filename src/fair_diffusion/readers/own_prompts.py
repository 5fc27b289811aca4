"""What a picture says of its prompt itself, or what lies beside it says:

metadata.csv, metadata.jsonl    rows `file_name` and `text`, `caption` or `prompt`, as Hugging Face's image folders have
NAME.txt, NAME.caption          a caption beside the picture NAME.png
in the picture                  what AUTOMATIC1111, ComfyUI, InvokeAI, NovelAI, Fooocus and fair-diffusion write into it
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import ExifTags, Image

from fair_diffusion.files.csv_rows import inner_path
from fair_diffusion.files.guarded import InnerFile, Readable, RefusedFile, content, opened
from fair_diffusion.files.image_files import files_below
from fair_diffusion.files.picture_kinds import START, is_crowded, kind_of_picture
from fair_diffusion.files.tables import FILE, read_table
from fair_diffusion.readers.caption_text import CAPTION_BYTES, CAPTIONS
from fair_diffusion.runs.format import PNG_KEY

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
CAPTION_ENDINGS = (".txt", ".caption")
LONGEST = 4_000
"""The most letters of a prompt that are kept."""
_SETTINGS = re.compile(r"\n(?:Negative prompt:|Steps: \d)")
_NODES = 10_000


def prompts_beside(folder: Path) -> tuple[dict[str, str], set[str]]:
    """The prompts in tables that lie in a folder or below it, by the pictures' paths below the folder, and the tables'.

    Of several tables in one folder the first of `TABLES` counts that has prompts.

    Raises:
        ValueError: a table is damaged; the message names it.
    """
    prompts: dict[str, str] = {}
    used: set[str] = set()
    tables = [PurePosixPath(file.path) for file in files_below(folder) if file.name in TABLES and file.is_file()]
    for table in sorted(tables, key=lambda path: TABLES.index(path.name)):
        if not any(path.parent == table.parent for path in map(PurePosixPath, used)):
            with suppress(_NoPrompts):
                prompts |= dict(_rows(folder, table))
                used.add(table.as_posix())
    return prompts, used


class _NoPrompts(ValueError):
    """A table of other things."""


def _rows(folder: Path, table: PurePosixPath) -> Iterator[tuple[str, str]]:
    also = {"file": FILE, "text": CAPTIONS}
    try:
        for _, row in read_table(folder / table, required=("file", "text"), also=also):
            with suppress(ValueError):
                yield (table.parent / inner_path(row["file"])).as_posix(), row["text"][:LONGEST]
    except ValueError as error:
        if "lacks the column" in str(error):
            raise _NoPrompts(str(error)) from error
        raise


def own_prompt(file: InnerFile) -> str:
    """The prompt in a picture, or in the caption beside it; "" if there is none."""
    for ending in CAPTION_ENDINGS:
        beside = file.beside(PurePosixPath(file.path).with_suffix(ending).name)
        with suppress(OSError, RefusedFile, ValueError):
            if text := content(beside, CAPTION_BYTES).decode("utf-8-sig").strip():
                return text[:LONGEST]
    return written_prompt(file)


def written_prompt(file: Readable) -> str:
    """The prompt that a program has written into a picture; "" if there is none that is understood."""
    try:
        notes = dict(_notes(file))
        said = next((text for read in _READERS if (text := read(notes))), "")
    except Exception:  # what is written there has no end of forms, and a picture without prompt is as good as any
        return ""
    return said.strip()[:LONGEST]


def _notes(file: Readable) -> Iterator[tuple[str, str]]:
    """Yield the texts in a picture by their keys. Only its header is read."""
    with opened(file) as source:
        kind = kind_of_picture(source.read(START))
        source.seek(0)
        if kind not in ("PNG", "JPEG", "WEBP") or (kind == "PNG" and is_crowded(source)):
            return
        with Image.open(source, formats=[kind]) as image:
            yield from ((str(key), value) for key, value in image.info.items() if isinstance(value, str))
            exif = image.getexif()
            said = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(
                ExifTags.Base.ImageDescription
            )
    if isinstance(said, bytes):
        wide = said.startswith(b"UNICODE\0")
        order = "utf-16-le" if wide and said[9:10] == b"\0" else "utf-16-be"
        said = said[8:].decode(order if wide else "utf-8", "replace")
    if isinstance(said, str) and said.strip():
        yield "parameters", said


def _ours(notes: Mapping[str, str]) -> str:
    record = _json(notes.get(PNG_KEY))
    return _text(record.get("prompt"))


def _automatic(notes: Mapping[str, str]) -> str:
    """AUTOMATIC1111, Forge, SD.Next, Fooocus: the prompt, "Negative prompt: …", "Steps: …"."""
    text = notes.get("parameters", "")
    if record := _json(text):
        return _text(record.get("prompt") or record.get("sui_image_params", {}).get("prompt"))
    found = _SETTINGS.search(f"\n{text}")
    return f"\n{text}"[: found.start()].strip() if found else text


def _comfy(notes: Mapping[str, str]) -> str:
    """ComfyUI: the graph of nodes; the text that leads to what a sampler calls "positive"."""
    nodes = _json(notes.get("prompt"))
    nodes = {key: node for key, node in list(nodes.items())[:_NODES] if isinstance(node, dict)}
    for node in nodes.values():
        inputs = node.get("inputs")
        if (
            isinstance(inputs, dict)
            and isinstance(inputs.get("positive"), list)
            and (text := _led_to(nodes, inputs["positive"]))
        ):
            return text
    texts = [_text(node["inputs"].get("text")) for node in nodes.values() if isinstance(node.get("inputs"), dict)]
    return texts[0] if len(texts) == 1 else ""


def _led_to(nodes: Mapping[str, Any], link: Any) -> str:
    """The text at the end of a link of a graph, of which circles are possible."""
    waiting, seen = [link], set[str]()
    while waiting and len(seen) < _NODES:
        link = waiting.pop()
        if not (isinstance(link, list) and link) or str(link[0]) in seen:
            continue
        seen.add(str(link[0]))
        inputs = nodes.get(str(link[0]), {}).get("inputs", {})
        for key in ("text", "text_g", "prompt", "string", "value", "positive"):
            if isinstance(inputs.get(key), str) and inputs[key].strip():
                return str(inputs[key])
        waiting += [value for value in inputs.values() if isinstance(value, list)]
    return ""


def _invoke(notes: Mapping[str, str]) -> str:
    """InvokeAI, in its newer and older forms."""
    record = _json(notes.get("invokeai_metadata"))
    if record:
        return _text(record.get("positive_prompt"))
    image = _json(notes.get("sd-metadata")).get("image", {})
    prompt = image.get("prompt") if isinstance(image, dict) else None
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        prompt = prompt[0].get("prompt")
    return _text(prompt) or re.sub(r'^"|"(?: -\w.*)?$', "", notes.get("Dream", ""))


def _novel(notes: Mapping[str, str]) -> str:
    """NovelAI: a description, and a comment with all settings."""
    if "Comment" not in notes and notes.get("Software") != "NovelAI":
        return ""
    return _text(_json(notes.get("Comment")).get("prompt")) or notes.get("Description", "")


_READERS = (_ours, _automatic, _invoke, _comfy, _novel)


def _json(text: str | None) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    if not text or not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
