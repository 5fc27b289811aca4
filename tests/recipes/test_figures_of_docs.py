"""Figures of the documentation are those that their commands make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from recipes.figures import faces, flow, verdicts

DOCS = Path(__file__).parents[2] / "docs"
RECIPES = Path(__file__).parents[2] / "recipes"


def test_verdicts_are_in_the_documentation(tmp_path: Path) -> None:
    verdicts.draw(tmp_path / "one.svg")
    verdicts.draw(tmp_path / "two.svg")
    made = (tmp_path / "one.svg").read_text()
    assert made == (tmp_path / "two.svg").read_text()
    kept = (DOCS / "pictures" / "verdicts.svg").read_text()
    for word in verdicts.LOOKS:
        assert made.count(f">{word}<") == kept.count(f">{word}<") > 0


def test_faces_are_in_the_documentation(tmp_path: Path) -> None:
    faces.figure(tmp_path / "faces.jpg")
    with Image.open(tmp_path / "faces.jpg") as made, Image.open(DOCS / "pictures" / "faces.jpg") as kept:
        assert made.size == kept.size
        apart = np.asarray(made.convert("RGB"), np.float64) - np.asarray(kept.convert("RGB"), np.float64)
    assert np.abs(apart).mean() < 2


def test_the_flow_is_in_the_documentation() -> None:
    assert (DOCS / "pictures" / "flow.svg").read_text(encoding="utf-8") == flow.picture()


def test_every_picture_is_small_made_by_a_command_and_shown() -> None:
    recipes = "".join(path.read_text(encoding="utf-8") for path in RECIPES.rglob("*.py"))
    pages = "".join(path.read_text(encoding="utf-8") for path in [DOCS.parent / "mkdocs.yml", *DOCS.rglob("*.md")])
    pictures = sorted((DOCS / "pictures").iterdir())
    assert len(pictures) > 6
    for picture in pictures:
        assert picture.stat().st_size < 450_000
        assert picture.name in pages
        made_as = picture.stem.partition("-")[0]  # a recipe may make several: studio-….png
        assert made_as in recipes or picture.name == "icon.svg"  # drawn by hand
