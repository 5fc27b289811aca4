"""Fixtures for tests of the studio: one Chromium for all of them, a studio for each, and a look at a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # tests of other parts do not wait for what these need
    from browsing import Studio
    from playwright.sync_api import Browser, Page

    from fair_diffusion.pipeline import FairPipeline


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from browsing import chromium

    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def pocket() -> FairPipeline:
    """The pocket model with few usual steps: the pages show rough pictures as they show others."""
    from fair_diffusion.pipeline import FairPipeline

    pipe = FairPipeline.from_pretrained("pocket")
    pipe.card = replace(pipe.card, steps=8)
    return pipe


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Studio]:
    """A studio that draws nothing."""
    from browsing import studio

    with studio(tmp_path / "data") as found:
        yield found


@pytest.fixture
def drawing(tmp_path: Path, pocket: FairPipeline) -> Iterator[Studio]:
    """A studio that draws with the pocket model."""
    from browsing import studio

    with studio(tmp_path / "data", pipe=pocket) as found:
        yield found


@pytest.fixture
def look() -> Callable[[Page, str], None]:
    """Checks a page at both widths, light and dark. STUDIO_PICTURES names a folder that keeps pictures of it."""
    from browsing import looks

    kept = os.environ.get("STUDIO_PICTURES")
    return lambda page, name: looks(page, name, Path(kept) if kept else None)
