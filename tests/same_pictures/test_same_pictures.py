"""Pictures and records stay as they were recorded, method by method: a guard for changes of structure.

On the machine of the recording pixels are equal to the last bit; on others they are within 1/255 of the recorded
pictures, or nearly all are where a threshold makes rounding jump. All plain data are equal everywhere. Where a change
is meant, see `record.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from PIL import Image
from recording import PICTURES, RECORDED, differences, drawn, machine, pixel_hash, strip, without_pixels

from fair_diffusion.methods import METHODS
from fair_diffusion.steering.inversion import INVERSIONS

RECORDING: dict[str, Any] = json.loads(RECORDED.read_text())
OF = RECORDING["cases"]
NAMES = [case.name for case in CASES]


def images(name: str) -> list[dict[str, Any]]:
    return [image for result in OF[name]["results"] for image in result["images"]]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_same_pictures(case: Case, tmp_path: Path) -> None:
    now, pictures = drawn(case, tmp_path)
    recorded, same = OF[case.name], RECORDING["machine"] == machine()
    found = differences(now, recorded) if same else differences(without_pixels(now), without_pixels(recorded))
    assert not found, f"case {case.name!r} is not as recorded:\n" + "\n".join(found)
    if not same:
        with Image.open(PICTURES / f"{case.name}.png") as kept:
            away = np.abs(np.asarray(strip(pictures)).astype(int) - np.asarray(kept.convert("RGB")).astype(int))
        told = f"case {case.name!r}: pixels are up to {away.max()}/255 from the recorded pictures"
        if any(result["method"] == "semantic" for result in recorded["results"]):
            # Its threshold turns rounding into a jump: an element of the latents is edited, or not.
            assert (away > 1).mean() <= 0.01, told
            assert away.max() <= 8, told
        else:
            assert away.max() <= 1, told


@pytest.mark.parametrize("name", NAMES)
def test_recorded_pictures_are_those_of_the_hashes(name: str) -> None:
    with Image.open(PICTURES / f"{name}.png") as kept:
        width = kept.width // len(images(name))
        tiles = [kept.crop((x, 0, x + width, kept.height)) for x in range(0, kept.width, width)]
    assert [pixel_hash(tile) for tile in tiles] == [image["pixels"] for image in images(name)]


def test_every_method_control_and_way_has_a_case() -> None:
    results = [result for case in OF.values() for result in case["results"]]
    assert {result["method"] for result in results} == set(METHODS)
    assert {result["control"] for result in results} == {"none", "all", "natural-first", "rebalance"}
    assert {image.get("way") for result in results for image in result["images"]} >= set(INVERSIONS)
    assert any(image["repairs"] > image["reseeds"] for image in images("repairs"))
    assert any(image["reseeds"] for image in images("new-seed"))
    assert list(OF) == NAMES


@pytest.mark.parametrize("name", [name for name in METHODS if name != "latents"])
def test_steered_images_differ_from_plain_ones_and_others_do_not(name: str) -> None:
    plain = {image["seed"]: image["pixels"] for image in images("none")}
    shared = [image for image in images(name) if image["seed"] in plain]
    assert shared
    assert all((image["pixels"] != plain[image["seed"]]) == (image["strength"] > 0) for image in shared)
