"""Pictures, runs and a perceiver that reads colours, so that what must come out is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.table import audit_rows
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.result import Record, Result
from fair_diffusion.runs.format import PNG_KEY

COLOURS = {"woman": (200, 20, 20), "man": (20, 20, 200), None: (20, 200, 20)}
"""Red pictures are read as women, blue ones as men, green ones not at all."""
_NUMBERS = count()
GROUPS = ["woman", "man", "androgynous"]
TARGET = [0.5, 0.5, 0.0]
CONFUSION = Confusion(attribute="gender", groups=["a", "b"], counts=[[3, 1, 0], [0, 4, 1]], measured_on="renders")
READ = replace(CONFUSION, sources=["plain", "instructed"])


class ByColour:
    """A perceiver of red and blue."""

    groups: Mapping[str, Sequence[str]] = {"gender": ("woman", "man")}

    def __init__(self) -> None:
        self.largest_batch = 0

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        self.largest_batch = max(self.largest_batch, len(images))
        found = []
        for image in images:
            pixel = image.resize((1, 1)).getpixel((0, 0))
            assert isinstance(pixel, tuple)
            r, g, b = pixel
            found.append(Reading(None if g == max(r, g, b) else "woman" if r > b else "man", 0.9))
        return {"gender": found}


def picture(group: str | None, ending: str = "PNG") -> bytes:
    """The bytes of a picture that `ByColour` reads as `group`; no two calls give the same picture."""
    file, number = BytesIO(), next(_NUMBERS)
    image = Image.new("RGB", (16, 16), COLOURS[group])
    image.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536))
    image.save(file, ending, **({"comment": str(number)} if ending == "JPEG" else {}))
    return file.getvalue()


def put(folder: Path, name: str, content: bytes | str = "") -> Path:
    """Write a file below `folder`, with the folders above it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def record(index: int, judged: str | None, **changes: Any) -> dict[str, Any]:
    """One image's record, as a run holds it before it becomes JSON."""
    return {
        "index": index,
        "prompt": "a photo of a nurse",
        "seed": index,
        "model": "pocket",
        "method": "semantic",
        "rule": "nurses",
        "steps": 25,
        "guidance": 4.0,
        "judged": {"gender": judged, "skin_tone": "dark", "occupation": "nurse"},
        "perceived": {"gender": "woman", "skin_tone": "dark", "occupation": "nurse"},
        "confidence": {"gender": 0.75, "skin_tone": 0.5, "occupation": 0.9},
        "evaluations": 100,
        "plain_evaluations": 50,
    } | changes


def write_run(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    *,
    twins: Sequence[Mapping[str, Any]] = (),
    target: Mapping[str, float] | None = None,
    attribute: str = "gender",
    knows: Mapping[str, str] | None = None,
) -> Path:
    """A run folder with these records, plain twins first, and a summary with a target and what the judge `knows`."""
    folder.mkdir(parents=True)
    rows = [
        {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}
        for row in (*twins, *records)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "records.parquet")

    def summary(own: Sequence[Mapping[str, Any]], shares: Mapping[str, float]) -> dict[str, Any]:
        audit = [{"attribute": attribute, "group": group, "target": share} for group, share in shares.items()]
        head = {key: own[0][key] for key in ("prompt", "model", "method", "control", "rule") if key in own[0]}
        told = {"occupations": dict(knows)} if knows else {}
        return {**head, "n": len(own), "audit": audit, "cost": {"seconds": 2.0}, "notes": ["a note"], **told}

    found = summary(records, target or {})
    if twins:
        found["plain"] = summary(twins, {})
    (folder / "result.json").write_text(json.dumps(found))
    for prefix, own in (("plain", twins), ("image", records)):
        for row in own:
            info = PngInfo()
            info.add_itxt(PNG_KEY, json.dumps(dict(row)))
            image = Image.new("RGB", (16, 16), COLOURS[row["judged"]["gender"]])
            image.save(folder / f"{prefix}-{row['index']:05d}.png", pnginfo=info)
    return folder


def result(labels: list[str | None], *, prompt: str = "a cook", instructed: bool = True, seed: int = 7) -> Result:
    """A result whose judge read these labels, with black images."""

    def record(k: int, label: str | None) -> Record:
        return Record(
            index=k,
            prompt=prompt,
            used_prompt=prompt,
            seed=seed + k,
            model="pocket",
            method="semantic" if instructed else "none",
            control="all",
            rule="cooks" if instructed else None,
            steps=10,
            guidance=2.0,
            assigned={},
            natural={},
            natural_confidence={},
            steered_to={},
            strength=0.0,
            repairs=0,
            reseeds=0,
            missed=False,
            judged={"gender": label, "occupation": "cook"},
            perceived={"gender": "man", "occupation": "cook"},
            confidence={"gender": 0.25 + k / 100, "occupation": 0.5},
            evaluations=40 if instructed else 20,
            plain_evaluations=20,
        )

    return Result(
        prompt=prompt,
        model="pocket",
        method="semantic" if instructed else "none",
        control="all",
        seed=seed,
        rule="cooks" if instructed else None,
        reason="because",
        images=[Image.new("RGB", (8, 8), (k, 100 if instructed else 0, 0)) for k in range(len(labels))],
        records=[record(k, label) for k, label in enumerate(labels)],
        audit=audit_rows(labels, attribute="gender", groups=GROUPS, target=TARGET, quota=[2, 2, 0]),
        perceived_audit=audit_rows(
            ["man"] * len(labels), attribute="gender", groups=GROUPS, target=TARGET, quota=[2, 2, 0]
        ),
        seconds=3.0,
        requested=len(labels) + 1,
        made_with={"weights": "sha256 ab", "policy": "cooks.yaml", "instruction": "rules:\n  - <b>cook</b>"},
        confusions=[CONFUSION],
        notes=[f"about {prompt}"],
    )


def both(prompt: str = "a cook") -> Result:
    """A result of four images with their plain twins."""
    plain = result(["man"] * 4, prompt=prompt, instructed=False)
    return replace(result(["woman", "man", None, "woman"], prompt=prompt), plain=plain)
