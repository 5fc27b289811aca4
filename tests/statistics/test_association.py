import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from fair_diffusion.statistics.association import association

Array = NDArray[np.float64]


def caliskan(x: Array, y: Array, a: Array, b: Array) -> tuple[float, float]:
    """Effect size and p of all partitions, word by word as Caliskan et al. (2017) write them."""

    def cosine(u: Array, v: Array) -> float:
        dot = sum(float(p) * float(q) for p, q in zip(u, v, strict=True))
        return dot / math.sqrt(sum(float(p) ** 2 for p in u)) / math.sqrt(sum(float(q) ** 2 for q in v))

    def s(w: Array) -> float:
        return sum(cosine(w, v) for v in a) / len(a) - sum(cosine(w, v) for v in b) / len(b)

    words = [s(w) for w in (*x, *y)]
    size = len(x)
    mean = sum(words) / len(words)
    spread = math.sqrt(sum((value - mean) ** 2 for value in words) / (len(words) - 1))
    effect = (sum(words[:size]) / size - sum(words[size:]) / size) / spread
    observed = sum(words[:size]) - sum(words[size:])
    larger, total = 0, 0
    for chosen in itertools.combinations(range(len(words)), size):
        rest = [k for k in range(len(words)) if k not in chosen]
        statistic = sum(words[k] for k in chosen) - sum(words[k] for k in rest)
        larger += statistic >= observed - 1e-12
        total += 1
    return effect, larger / total


@given(st.integers(2, 5), st.integers(2, 4), st.integers(2, 4), st.integers(0, 10_000))
def test_it_is_the_published_test(targets: int, first: int, second: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, a, b = (rng.normal(size=(n, 6)) for n in (targets, targets, first, second))
    found = association(x, y, a, b)
    assert (found.effect, found.p) == pytest.approx(caliskan(x, y, a, b))
    assert found.exact
    assert found.partitions == math.comb(2 * targets, targets)


def test_a_toy_by_hand() -> None:
    # A points along the first axis and B along the second; X lies on A, Y on B. s is +1, +1, −1, −1:
    # its mean differs by 2 and its standard deviation is √(4/3), and no other of the 6 partitions does better.
    right, up = [1.0, 0.0], [0.0, 1.0]
    found = association([right, right], [up, up], [right, right], [up, up])
    assert found.effect == pytest.approx(2 / math.sqrt(4 / 3))
    assert found.p == pytest.approx(1 / 6)
    assert found.associations_x == pytest.approx((1, 1))
    assert found.associations_y == pytest.approx((-1, -1))
    back = association([up, up], [right, right], [right, right], [up, up])
    assert back.effect == pytest.approx(-found.effect)
    assert back.p == 1


def test_a_published_example() -> None:
    # AllenNLP's example (its tests/fairness/bias_metrics_test.py with test_fixtures/fairness/bias_embeddings.json,
    # Apache-2.0; word vectors of 50 numbers, here to 6 decimals) publishes 1.872. Its standard deviation has ddof = 0,
    # ours 1 as in the field's code: with four targets that is a factor of √(4/3).
    rows = csv.reader((Path(__file__).parent / "weat_example.csv").read_text(encoding="utf-8").splitlines())
    vectors = {word: [float(number) for number in numbers] for word, *numbers in rows}
    sets = (("he", "him"), ("she", "her"), ("engineer", "banker"), ("nurse", "receptionist"))
    found = association(*([vectors[word] for word in words] for words in sets))
    assert found.effect * math.sqrt(4 / 3) == pytest.approx(1.872, rel=1e-4)
    assert found.p == pytest.approx(
        1 / 6
    )  # he and him are nearest to engineer and banker: no other partition is as far
    assert found.exact
    assert min(found.associations_x) > max(found.associations_y)


def test_only_directions_count() -> None:
    rng = np.random.default_rng(0)
    x, y, a, b = (rng.normal(size=(4, 8)) for _ in range(4))
    stretched = association(x * rng.uniform(0.1, 9, (4, 1)), 3 * y, a * 0.2, b)
    assert stretched.effect == pytest.approx(association(x, y, a, b).effect)
    assert stretched.p == association(x, y, a, b).p


def test_swapping_the_attributes_turns_the_effect() -> None:
    rng = np.random.default_rng(1)
    x, y, a, b = (rng.normal(size=(5, 8)) for _ in range(4))
    there, back = association(x, y, a, b), association(x, y, b, a)
    assert back.effect == pytest.approx(-there.effect)
    # The observed partition is counted both ways.
    assert there.p + back.p == pytest.approx(1 + 1 / there.partitions)


def test_p_is_uniform_where_nothing_is_associated() -> None:
    rng = np.random.default_rng(0)
    p = [association(*(rng.normal(size=(6, 10)) for _ in range(4))).p for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.05
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_many_members_are_tested_by_drawn_partitions() -> None:
    rng = np.random.default_rng(2)
    x, y, a, b = (rng.normal(size=(12, 8)) for _ in range(4))
    found = association(x, y, a, b)
    assert (found.exact, found.partitions) == (False, 10_001)
    assert found == association(x, y, a, b)
    # The sum over a random half is nearly normal.
    s = np.array([*found.associations_x, *found.associations_y])
    error = s.std(ddof=1) * math.sqrt(12 / 2)
    normal = float(stats.norm.sf((s[:12].sum() - s.sum() / 2) / error))
    assert found.p == pytest.approx(normal, abs=0.02)
    assert association(x, y, a, b, seed=1).p == pytest.approx(found.p, abs=0.02)


def test_mistakes_are_named() -> None:
    two, three = np.eye(4)[:2], np.eye(4)[:3]
    with pytest.raises(ValueError, match="X has 2 members and Y 3: the test needs as many in both"):
        association(two, three, two, two)
    with pytest.raises(ValueError, match="A has 1 members: the test needs at least 2"):
        association(two, two, two[:1], two)
    with pytest.raises(ValueError, match="B has shape"):
        association(two, two, two, [1.0, 2.0])
    with pytest.raises(ValueError, match="embeddings have widths"):
        association(two, two, two, np.eye(3)[:2])
    with pytest.raises(ValueError, match="Y holds embeddings that are not finite"):
        association(two, two * np.nan, two, two)
    with pytest.raises(ValueError, match="X holds an embedding that is zero"):
        association(two * 0, two, two, two)
    with pytest.raises(ValueError, match="no effect to measure"):
        association(two, two, two, two)
