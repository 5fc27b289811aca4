from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.allocation import least_change
from fair_diffusion.allocation.expected import shifted


def _assign(p: np.ndarray, natural: list[int | None]) -> partial[list[int]]:
    return partial(least_change, natural, p)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.data())
def test_certain_readings_shift_nothing(natural: list[int], data: st.DataObject) -> None:
    n = len(natural)
    first = data.draw(st.integers(0, n))
    quotas = [first, n - first, 0]
    p = np.eye(3)[natural]
    used, assigned = shifted(quotas, natural, p, _assign(p, list(natural)))
    assert used == quotas
    assert assigned == least_change(natural, p, quotas)


@given(st.integers(2, 25), st.integers(0, 10_000))
def test_quotas_stay_whole_and_expectations_are_no_farther(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(3, 0.4), n)
    natural = [int(row.argmax()) if row.max() >= 0.7 else None for row in p]
    asked = rng.multinomial(n, [1 / 3] * 3).tolist()

    def seen(assigned: list[int]) -> np.ndarray:
        rows = [p[i] if own == k else np.eye(3)[k] for i, (own, k) in enumerate(zip(natural, assigned, strict=True))]
        found: np.ndarray = np.array(rows).sum(axis=0)
        return found

    used, assigned = shifted(asked, natural, p, _assign(p, natural))
    assert sum(used) == n
    assert min(used) >= 0
    assert np.bincount(assigned, minlength=3).tolist() == used
    before = np.abs(seen(least_change(natural, p, asked)) - asked).sum()
    assert np.abs(seen(assigned) - asked).sum() <= before + 1e-9


def test_misread_women_among_the_men_are_made_up_for() -> None:
    # 40 images read as women; 60 as men, each of which shows people a woman with probability 0.2: 12 women among them.
    p = np.array([[1.0, 0.0]] * 40 + [[0.2, 0.8]] * 60)
    natural = [0] * 40 + [1] * 60
    used, assigned = shifted([50, 50], natural, p, _assign(p, list(natural)))
    left = np.array([p[i] if natural[i] == k else np.eye(2)[k] for i, k in enumerate(assigned)])
    assert left.sum(axis=0) == pytest.approx([50, 50], abs=1)
    assert used == [38, 62]


def test_images_that_nobody_can_read_are_changed() -> None:
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    used, assigned = shifted([1, 1], [None, 0], p, _assign(p, [None, 0]))
    assert assigned == [1, 0]
    assert used == [1, 1]
