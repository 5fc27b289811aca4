"""What steering changed that nobody asked to change."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fair_diffusion.audit.side_effects import side_effect, source_side_effects
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import wilson

TONES = ("light", "medium", "dark")


def test_changes_are_those_of_steered_images_that_can_be_read() -> None:
    before = ["light", "light", "dark", None, "medium", "light", "unheard of"]
    after = ["medium", "light", "dark", "dark", None, "dark", "dark"]
    found = side_effect("skin_tone", TONES, before, after, [True, True, True, True, True, False, True])
    assert (found.steered, found.changed, found.unread) == (3, 1, 3)
    assert (found.low, found.high) == wilson(1, 3)
    assert found.before == {"light": 3, "medium": 0, "dark": 1}
    assert found.after == {"light": 1, "medium": 1, "dark": 2}
    assert found.share == pytest.approx(1 / 3)
    assert found.distance == pytest.approx((2 + 1 + 1) / 8)


def test_a_shift_in_one_direction_is_seen_and_an_exchange_is_not() -> None:
    before = ["light"] * 20 + ["dark"] * 20
    shifted = side_effect("skin_tone", TONES, before, ["medium"] * 20 + ["dark"] * 20, [True] * 40)
    exchanged = side_effect("skin_tone", TONES, before, ["dark"] * 20 + ["light"] * 20, [True] * 40)
    assert shifted.p < 0.001 < 0.9 < exchanged.p
    assert (exchanged.changed, exchanged.distance) == (40, 0)


def test_without_steered_images_nothing_is_said() -> None:
    found = side_effect("skin_tone", TONES, ["light"], ["light"], [False])
    assert (found.steered, found.share, found.low, found.high, found.p) == (0, 0.0, 0.0, 1.0, 1.0)
    assert side_effect("skin_tone", TONES, [], [], []).distance == 0.0


def table(rows: list[tuple[str, str, int | None, str | None, bool | None]], steered: bool = True) -> pa.Table:
    """Image rows of source, concept, seed, skin tone and whether they were steered."""
    names = ("source", "concept", "seed", "skin_tone", "steered")
    found = pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    return found if steered else found.drop_columns("steered")


SOURCES = [Source(name="before", kind="plain"), Source(name="after", kind="instructed")]
ROWS: list[tuple[str, str, int | None, str | None, bool | None]] = [
    *[("before", "nurse", seed, "light", False) for seed in range(6)],
    ("after", "nurse", 0, "dark", True),
    ("after", "nurse", 1, "light", True),
    ("after", "nurse", 2, "dark", False),
    ("after", "nurse", 3, "dark", None),  # from a new seed
    ("after", "nurse", 4, None, True),
    ("after", "nurse", 99, "dark", True),  # no plain image has this seed
    ("after", "nurse", None, "dark", True),
    *[(source, "cook", 0, "dark", done) for source, done in (("before", False), ("after", True))],
    *[("after", "nurse", 5, "dark", True)] * 2,  # two images of one seed
]
TALLIES = [
    Tally(source=source, concept="nurse", attribute="skin_tone", counts=dict.fromkeys(TONES, 3), unknown=0)
    for source in ("before", "after")
]


def test_instructed_images_are_compared_with_the_plain_ones_of_their_seeds() -> None:
    (found,) = source_side_effects(SOURCES, TALLIES, table(ROWS), {("after", "nurse", "gender")})
    effect = found.effect
    assert (found.before, found.after, found.concepts, effect.attribute) == ("before", "after", 2, "skin_tone")
    assert (effect.steered, effect.changed, effect.unread) == (3, 1, 1)
    assert (effect.before["light"], effect.after["light"]) == (3, 1)


def test_what_was_asked_for_is_no_side_effect() -> None:
    (found,) = source_side_effects(SOURCES, TALLIES, table(ROWS), {("after", "nurse", "gender × skin_tone")})
    assert (found.concepts, found.effect.steered, found.effect.changed) == (1, 1, 0)  # of the cook nothing was asked
    asked = {("after", concept, "skin_tone") for concept in ("nurse", "cook")}
    assert source_side_effects(SOURCES, TALLIES, table(ROWS), asked) == []


def test_without_seeds_nothing_is_compared_and_without_knowing_all_were_steered() -> None:
    assert source_side_effects(SOURCES, TALLIES, None, ()) == []
    assert source_side_effects(SOURCES, TALLIES, table(ROWS).drop_columns("seed"), ()) == []
    (found,) = source_side_effects(SOURCES, TALLIES, table(ROWS, steered=False), ())
    assert (found.effect.steered, found.effect.changed) == (5, 3)
