"""Each figure is held out once, in all that its artist drew of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.pocket import unseen_figures
from recipes.pocket.data import Drawing, figure
from recipes.pocket.unseen_figures import PARTS, parts

DRAWINGS = [
    Drawing(f"{occupation}-{gender}", font, occupation, gender, "light", 1)
    for font in ("noto", "twemoji", "fluent-emoji", "fluent-emoji-flat")
    for occupation in ("cook", "farmer", "guard", "person")
    for gender in ("woman", "man")
] + [Drawing("cat", "noto", None, None, None, 1)]


@pytest.fixture(autouse=True)
def _drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen_figures, "load", lambda work: (None, DRAWINGS))


def test_each_figure_of_an_occupation_is_in_one_part() -> None:
    found = [one for part in parts(Path()) for one in part]
    assert sorted(found) == sorted({figure(d) for d in DRAWINGS if d.occupation not in (None, "person")})
    assert len(parts(Path())) == PARTS


def test_both_fluent_fonts_are_held_out_together() -> None:
    assert figure(Drawing("a", "fluent-emoji", "cook", "man", "dark", 1)) == figure(
        Drawing("b", "fluent-emoji-flat", "cook", "woman", "light", 2)
    )
