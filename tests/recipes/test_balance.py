"""What filtering keeps and retraining draws is balanced, whatever the pairs show."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recipes.pocket.balance import tables
from recipes.pocket.captions import Caption
from recipes.pocket.data import TONES, Drawing
from recipes.pocket.filtering import balanced, keep
from recipes.pocket.retraining import even, resample

COUNTS = arrays(np.int64, st.tuples(st.integers(1, 2), st.integers(1, 5)), elements=st.integers(0, 40))


def margins(shares: np.ndarray) -> list[np.ndarray]:
    return [shares.sum(axis=axis) for axis in (0, 1)]


@given(COUNTS)
def test_what_is_kept_is_even_and_not_less_than_the_rarest_cell_allows(have: np.ndarray) -> None:
    kept = balanced(have)
    assert (kept >= 0).all()
    assert (kept <= have).all()
    assert all(len(set(margin.tolist())) == 1 for margin in margins(kept))
    assert kept.sum() >= have.min() * have.size


@given(arrays(np.int64, (2, 2), elements=st.integers(0, 4)))
def test_no_more_can_be_kept(have: np.ndarray) -> None:
    """Two by two, even margins leave equal diagonals: the most are the lesser count of each."""
    assert balanced(have).sum() == 2 * (min(have[0, 0], have[1, 1]) + min(have[0, 1], have[1, 0]))


@given(arrays(np.int64, st.tuples(st.integers(1, 2), st.integers(1, 5)), elements=st.integers(1, 40)))
def test_what_is_drawn_again_is_even(have: np.ndarray) -> None:
    for margin in margins(even(have)):
        assert margin == pytest.approx(1 / len(margin), abs=1e-6)


def test_groups_that_no_pair_shows_are_not_drawn() -> None:
    shares = even(np.array([[0, 0, 0], [5, 1, 0]]))
    assert shares == pytest.approx(np.array([[0, 0, 0], [0.5, 0.5, 0]]))


def biased() -> tuple[list[Caption], torch.Tensor, list[Drawing]]:
    """Two hundred farmers, a fifth of them women, most of them light; every fourth caption says that it is a woman."""
    drawings = [
        Drawing(f"{gender}-{tone}", "font", "farmer", gender, tone, 1) for gender in ("woman", "man") for tone in TONES
    ]
    captions, drawn = list[Caption](), list[int]()
    for i in range(200):
        named = "woman" if i % 4 == 0 else None
        woman, tone = bool(named) or i % 5 == 1, (0, 0, 0, 1, 1, 2, 3, 4)[(i // 2) % 8]
        captions.append(Caption("a farmer", "farmer", named))
        drawn.append(tone if woman else 5 + tone)
    return captions, torch.tensor(drawn), drawings


def test_pairs_are_told_apart_by_what_their_captions_leave_open() -> None:
    captions, drawn, drawings = biased()
    found = tables(captions, drawn, drawings)
    assert [len(table) for table in found] == [1, 2]
    for table, named in zip(found, ("woman", None), strict=True):
        for gender, row in zip(("woman", "man"), table, strict=False):
            for tone, cell in zip(TONES, row, strict=True):
                assert all(captions[pair].gender == named for pair in cell)
                assert all(drawings[int(drawn[pair])].gender == gender for pair in cell)
                assert all(drawings[int(drawn[pair])].tone == tone for pair in cell)
    assert sorted(pair for table in found for row in table for cell in row for pair in cell) == list(range(200))


def test_filtering_keeps_a_balanced_part_of_the_pairs() -> None:
    captions, drawn, drawings = biased()
    left = keep(tables(captions, drawn, drawings)).tolist()
    assert 0 < len(left) == len(set(left)) < 200
    open_to_all = [drawings[int(drawn[pair])] for pair in left if captions[pair].gender is None]
    genders = Counter(drawing.gender for drawing in open_to_all)
    tones = Counter(drawing.tone for drawing in open_to_all)
    assert genders["woman"] == genders["man"] > 0
    assert len({tones[tone] for tone in TONES}) == 1


def test_retraining_draws_as_many_pairs_and_evenly() -> None:
    captions, drawn, drawings = biased()
    again = resample(tables(captions * 20, drawn.repeat(20), drawings))
    assert len(again) == 4000
    shown = [drawings[int(drawn[pair % 200])] for pair in again.tolist() if captions[pair % 200].gender is None]
    women = np.mean([drawing.gender == "woman" for drawing in shown])
    assert women == pytest.approx(0.5, abs=0.04)  # three standard errors of 3000 draws
    for tone in TONES:
        assert np.mean([drawing.tone == tone for drawing in shown]) == pytest.approx(0.2, abs=0.03)
