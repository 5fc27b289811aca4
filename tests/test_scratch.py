"""Pictures that lie in files while a request is drawn: memory does not grow with their number."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fair_diffusion.control import order
from fair_diffusion.files import picture_files
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import built_in
from fair_diffusion.request import Request
from fair_diffusion.result import Result

GROUPS = {"gender": built_in()["gender"].group_names}
N = 70  # more than are open at the same time


class Live:
    """How many pictures are in memory at the same time, at most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def add(self, picture: Image.Image) -> Image.Image:
        self.now, self.most = self.now + 1, max(self.most, self.now + 1)
        weakref.finalize(picture, self.gone)
        return picture

    def gone(self) -> None:
        self.now -= 1


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    """Counts every picture that is drawn, or opened again."""
    live, drawn, opened = Live(), from_pixels, picture_files.taken_out

    def taken_out(one: Image.Image | Path) -> Image.Image:
        return one if isinstance(one, Image.Image) else live.add(opened(one))

    monkeypatch.setattr(order, "from_pixels", lambda pixels: [live.add(one) for one in drawn(pixels)])
    for module in ("fair_diffusion.control.results", "fair_diffusion.control.order"):
        monkeypatch.setattr(f"{module}.taken_out", taken_out)
    return live


class Nobody:
    """Reads nothing, and asks for no more than one batch of pictures at a time."""

    groups = GROUPS

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        assert all(image.size for image in images)
        return {name: [Reading(None, 0.5)] * len(images) for name in GROUPS}


@pytest.mark.parametrize("method", ["none", "prompt", "rejection", "semantic"])
def test_memory_does_not_grow_with_the_number_of_images(method: str, tiny_sd: Any, live: Live, tmp_path: Path) -> None:
    pipe = FairPipeline(tiny_sd, name="tiny", perceiver=Nobody(), judge=Nobody())
    most = []
    for n in (N, 2 * N):
        folder = tmp_path / f"scratch-{n}"
        folder.mkdir()
        live.most = live.now
        asked = Request(prompt="a doctor", n=n, steps=1, method=method, instruct="doctor: half women", repair_budget=0)

        def keep(_: int, result: Result, n: int = n) -> None:
            result.save(tmp_path / f"run-{n}")

        pipe.many([asked], scratch=folder, keep=keep)
        gc.collect()
        most.append(live.most)
        assert live.now == 0
        assert len(list((tmp_path / f"run-{n}").glob("image-*.png"))) == n
    assert most[0] == most[1] < N


def test_a_call_keeps_its_images_in_memory(tiny_sd: Any, live: Live) -> None:
    pipe = FairPipeline(tiny_sd, name="tiny", perceiver=Nobody(), judge=Nobody())
    result = pipe("a doctor", n=3, steps=1)
    assert all(isinstance(image, Image.Image) for image in result.images)
    assert live.now == 3


def test_results_are_those_of_pictures_in_memory(tiny_sd: Any, tmp_path: Path) -> None:
    heads = {name: built_in()[name].group_names for name in ("gender", "skin_tone")}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        readers = pocket.build(heads).eval(), judge.build(heads).eval()
    pipe = FairPipeline(tiny_sd, name="tiny", perceiver=readers[0], judge=readers[1])
    asked = [Request(prompt=f"a {who}", n=5, steps=2, instruct=f"{who}: half women") for who in ("doctor", "nurse")]
    here = pipe.many(asked, compare_plain=True)
    there = pipe.many(asked, compare_plain=True, scratch=tmp_path)
    for one, other in zip(here, there, strict=True):
        assert one.records == other.records
        assert one.twins == other.twins
        assert [image.tobytes() for image in one.images] == [image.tobytes() for image in other.images]
        assert one.contact_sheet().tobytes() == other.contact_sheet().tobytes()
