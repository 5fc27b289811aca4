"""Agreement of raters, against the package `krippendorff`, and a table of its author worked by hand."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.statistics.rater_agreement import krippendorff_alpha, pairs_that_agree


def test_the_example_of_krippendorff() -> None:
    """Four observers, twelve units, missing values: alpha is 0.743 for nominal data (Krippendorff 2011, example C)."""
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    assert krippendorff_alpha(_counts(data)) == pytest.approx(0.743, abs=5e-4)


@given(
    st.lists(
        st.lists(st.integers(0, 3) | st.none(), min_size=4, max_size=4),
        min_size=2,
        max_size=12,
    )
)
def test_it_is_that_of_the_package(by_picture: list[list[int | None]]) -> None:
    by_rater = np.array([[np.nan if each is None else each for each in row] for row in by_picture]).T
    counts = np.array([[sum(each == group for each in row) for group in range(4)] for row in by_picture])
    ours = krippendorff_alpha(counts)
    paired = counts[counts.sum(axis=1) >= 2]
    if (paired.sum(axis=0) > 0).sum() < 2:
        assert ours is None
        return
    theirs = krippendorff.alpha(reliability_data=by_rater, level_of_measurement="nominal")
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_picture_is_the_unit() -> None:
    """A picture that many raters labelled counts no more than one that two did."""
    assert pairs_that_agree([[2, 0], [1, 1], [50, 50], [1, 0]]) == pytest.approx((1 + 0 + 49 / 99, 3))


@pytest.mark.parametrize(("counts", "said"), [([1, 2], "one row for each"), ([[1, -1]], "negative")])
def test_what_is_no_table_is_refused(counts: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        krippendorff_alpha(counts)  # type: ignore[arg-type]


def _counts(by_rater: list[list[int | None]]) -> list[list[int]]:
    groups = sorted({each for row in by_rater for each in row if each is not None})
    return [[sum(row[k] == group for row in by_rater) for group in groups] for k in range(len(by_rater[0]))]
