"""What is recorded of a case, where it is kept, and how what is drawn now differs from it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import Case
from PIL import Image

from fair_diffusion.result import Result

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
PICTURES = HERE / "pictures"
IMAGE_FIELDS = (
    "used_prompt",
    "seed",
    "strength",
    "evaluations",
    "assigned",
    "steered_to",
    "natural",
    "missed",
    "repairs",
    "reseeds",
)
MOVED_FIELDS = ("way", "depth", "put_back")
"""Further fields of an image of a rebalancing."""

Pictures = list[Image.Image]


@contextmanager
def one_thread() -> Iterator[None]:
    """Draw on one thread, so that pictures do not depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine() -> str:
    """A hash of what rounding depends on: the processor with its flags, what PyTorch uses of it, and PyTorch itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    processor = [next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags")]
    used = torch.backends.cpu.get_cpu_capability()
    parts = [*(processor if any(processor) else [platform.processor()]), used, torch.__version__]
    with one_thread():
        parts.append(str(torch.get_num_threads()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def drawn(case: Case, folder: Path) -> tuple[dict[str, Any], Pictures]:
    """Draw a case on one thread: its fingerprint, and its pictures in the order of the fingerprint."""
    with one_thread():
        results = [each for result in case.draw(folder) for each in (result, result.plain) if each is not None]
        pictures = [image.convert("RGB") for result in results for image in result.images]
    found = [_fingerprint(result) for result in results]
    if case.steers and not any(image["strength"] for result in found for image in result["images"]):
        raise AssertionError(f"case {case.name!r} steers no image; choose another prompt or seed for it")
    fingerprint: dict[str, Any] = json.loads(json.dumps({"results": found}))
    return fingerprint, pictures


def pixel_hash(image: Image.Image) -> str:
    """The hash of an image's RGB pixels."""
    return hashlib.sha256(np.asarray(image.convert("RGB")).tobytes()).hexdigest()


def strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one size, side by side."""
    return Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures], axis=1))


def without_pixels(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """A fingerprint without the hashes of pixels."""
    return {
        "results": [
            result | {"images": [{k: v for k, v in image.items() if k != "pixels"} for image in result["images"]]}
            for result in fingerprint["results"]
        ]
    }


def differences(now: Any, recorded: Any, at: str = "") -> list[str]:
    """Every field in which plain data differ, one line each."""
    if isinstance(now, dict) and isinstance(recorded, dict):
        keys = list(dict.fromkeys([*recorded, *now]))
        pairs = [(f"{at}.{key}".lstrip("."), now.get(key), recorded.get(key)) for key in keys]
    elif isinstance(now, list) and isinstance(recorded, list) and len(now) == len(recorded):
        pairs = [(f"{at}[{i}]", *pair) for i, pair in enumerate(zip(now, recorded, strict=True))]
    else:
        return [] if now == recorded else [f"{at} is {now!r}, recorded as {recorded!r}"]
    return [line for place, one, other in pairs for line in differences(one, other, place)]


def _fingerprint(result: Result) -> dict[str, Any]:
    return {
        "title": result.title,
        "method": result.method,
        "control": result.control,
        "rule": result.rule,
        "reason": result.reason,
        "requested": result.requested,
        "stopped": result.stopped,
        "notes": list(result.notes),
        "quotas": [[row.attribute, row.group, row.target, row.quota] for row in result.audit if row.target is not None],
        "plain_evaluations": sorted({record.plain_evaluations for record in result.records}),
        "images": [
            {"pixels": pixel_hash(image)}
            | {name: getattr(record, name) for name in IMAGE_FIELDS}
            | {name: getattr(record, name) for name in MOVED_FIELDS if hasattr(record, name)}
            for image, record in zip(result.images, result.records, strict=True)
        ],
    }
