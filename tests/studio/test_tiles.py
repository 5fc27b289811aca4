"""What a tile says of its image: "missed" means what records mean by it, and the judge's word stands beside it."""

from __future__ import annotations

import pytest

from fair_diffusion.studio.drawings import Tile


@pytest.mark.parametrize(
    ("missed", "judged", "said"),
    [
        (False, "woman", (False, False)),
        (False, "man", (False, True)),
        (False, None, (False, False)),
        (True, "man", (True, False)),
    ],
)
def test_a_miss_is_the_perceivers_and_another_word_is_the_judges(
    missed: bool, judged: str | None, said: tuple[bool, bool]
) -> None:
    image = {"missed": missed, "assigned": {"gender": "woman"}, "judged": {"gender": judged}}
    tile = Tile(place=0, image=image, plain=None, again=None, first=image)
    assert (tile.missed, tile.otherwise) == said
