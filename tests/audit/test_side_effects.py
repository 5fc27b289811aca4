"""What steering changed that nobody asked to change."""

from __future__ import annotations

import pytest

from fair_diffusion.audit.side_effects import side_effect
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
