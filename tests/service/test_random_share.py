"""The share in a random queue: its interval holds after every label, whatever the reader says of skipped pictures."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.service.random_share import Shown, random_share
from fair_diffusion.statistics.betting import anytime_share

RUNS, PICTURES, NOBODY, LABELS = 300, 1000, 300, 100


def world(rng: np.random.Generator, empty: str | None, wrong: float) -> list[Shown]:
    """Pictures in random order: 300 show nobody and are skipped, half of the others show women.

    Args:
        rng: draws the order, and where the reader errs.
        empty: what the reader says of pictures that show nobody; None: it cannot tell.
        wrong: how often it errs in the others.
    """
    groups = ("woman", "man")
    kinds = {(said, read): Shown(said, False, read) for said in groups for read in groups}
    other = {"woman": "man", "man": "woman"}
    seen = [kinds[said, other[said] if rng.random() < wrong else said] for said in groups for _ in range(350)]
    seen += [Shown(None, True, empty)] * NOBODY
    return [seen[k] for k in rng.permutation(PICTURES)]


def counted(pictures: list[Shown]) -> dict[str | None, int]:
    readings = [each.reading for each in pictures]
    return {name: readings.count(name) for name in (None, "woman", "man")}


@pytest.mark.parametrize("wrong", [0.0, 0.3])
@pytest.mark.parametrize("empty", [None, "man", "woman"])
def test_the_interval_holds_at_all_looks_where_pictures_are_skipped(empty: str | None, wrong: float) -> None:
    """No share that was ruled out comes back, so an interval that holds after the last label held after each one."""
    rng = np.random.default_rng(1)
    held, estimates = 0, []
    for _ in range(RUNS):
        pictures = world(rng, empty, wrong)
        share, (low, high) = random_share("woman", pictures[:LABELS], counted(pictures))
        held += low <= 0.5 <= high
        estimates.append(share)
    assert held / RUNS >= 0.93
    assert np.mean(estimates) == pytest.approx(0.5, abs=0.02)


def test_to_leave_skipped_pictures_out_of_the_labels_alone_is_wrong() -> None:
    """The reason for this module: the reader's share of all pictures is not that of those that can be labelled."""
    rng = np.random.default_rng(2)
    held, estimates = 0, []
    for _ in range(100):
        pictures = world(rng, None, 0.0)
        shown = [each for each in pictures[:LABELS] if not each.skipped]
        human = [each.shows("woman") for each in shown]
        machine = [float(each.reading == "woman") for each in shown]
        share, (low, high) = anytime_share(human, machine, 350, PICTURES - LABELS + len(shown))
        held += low <= 0.5 <= high
        estimates.append(share)
    assert held / 100 < 0.1
    assert np.mean(estimates) == pytest.approx(0.36, abs=0.01)


def test_a_right_reader_narrows_the_interval_where_it_cannot_tell_what_people_skip() -> None:
    rng = np.random.default_rng(3)
    pictures = world(rng, None, 0.0)
    blind = [Shown(each.said, each.skipped, None) for each in pictures]
    (low, high), (least, most) = (random_share("woman", own[:LABELS], counted(own))[1] for own in (pictures, blind))
    assert high - low < 0.6 * (most - least)


def test_without_skips_it_is_the_share_of_all_pictures() -> None:
    shown = [Shown("woman", False, "woman"), Shown(None, False, "man"), Shown("man", False, "man")]
    expected = anytime_share([1, 0, 0], [1, 0, 0], 4, 10)
    assert random_share("woman", shown, {"woman": 4, "man": 6}) == expected
