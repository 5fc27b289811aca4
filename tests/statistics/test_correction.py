import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.correction import correct

GROUPS = ["woman", "man"]


def tally(*counts: int, unknown: int = 0, groups: list[str] | None = None) -> Tally:
    named = dict(zip(groups or GROUPS, counts, strict=True))
    return Tally(source="plain", concept="doctor", attribute="gender", counts=named, unknown=unknown)


def confusion(*rows: list[int], groups: list[str] | None = None) -> Confusion:
    return Confusion(attribute="gender", groups=groups or GROUPS, counts=rows, measured_on="held-out images")


@given(
    positive=st.integers(0, 200),
    right_women=st.integers(60, 100),
    right_men=st.integers(60, 100),
)
def test_two_groups_without_unknown_are_rogan_and_gladen(positive: int, right_women: int, right_men: int) -> None:
    (woman, man) = correct(
        tally(positive, 200 - positive),
        confusion([right_women, 100 - right_women, 0], [100 - right_men, right_men, 0]),
    )
    sensitivity, specificity = right_women / 100, right_men / 100
    closed = (positive / 200 + specificity - 1) / (sensitivity + specificity - 1)
    assert woman.corrected == pytest.approx(min(1, max(0, closed)), abs=1e-6)
    assert woman.corrected + man.corrected == pytest.approx(1)
    assert woman.low <= woman.corrected <= woman.high
    assert woman.share == positive / 200


def test_exact_readings_give_back_the_truth() -> None:
    groups = ["a", "b", "c"]
    rates = np.array([[90, 5, 3, 2], [5, 85, 5, 5], [2, 8, 80, 10]])
    truth = np.array([0.5, 0.3, 0.2])
    readings = (truth @ (rates / 100) * 100_000).round().astype(int).tolist()
    found = correct(tally(*readings[:3], unknown=readings[3], groups=groups), confusion(*rates.tolist(), groups=groups))
    assert [line.corrected for line in found] == pytest.approx(truth, abs=1e-4)


def test_unknown_is_given_to_those_whom_it_hides() -> None:
    # Half of the women and none of the men go unread: 25 read women and 25 unread images are 50 women.
    (woman, man) = correct(tally(25, 50, unknown=25), confusion([50, 0, 50], [0, 100, 0]))
    assert woman.corrected == pytest.approx(0.5, abs=1e-6)
    assert (woman.count, woman.share, man.share) == (25, 0.25, 0.5)


def test_it_is_least_squares_over_distributions() -> None:
    groups = ["a", "b", "c"]
    rates = np.array([[70, 20, 5, 5], [15, 60, 15, 10], [5, 15, 70, 10]]) / 100
    # Fewer a's than even the other groups' errors explain: without the constraint its share would be negative.
    readings = np.array([4, 60, 120, 16]) / 200
    found = optimize.minimize(
        lambda p: float(((rates.T @ p - readings) ** 2).sum()),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 1000},
    ).x
    lines = correct(
        tally(4, 60, 120, unknown=16, groups=groups),
        confusion(*(rates * 100).round().astype(int).tolist(), groups=groups),
    )
    assert lines[0].corrected == pytest.approx(0, abs=1e-6)
    assert [line.corrected for line in lines] == pytest.approx(found, abs=1e-4)


def test_the_order_of_groups_does_not_matter() -> None:
    matrix = confusion([8, 80, 2], [90, 6, 4], groups=["man", "woman"])
    swapped = confusion([6, 90, 4], [80, 8, 2])
    first = {line.group: line.corrected for line in correct(tally(30, 60, unknown=10), matrix)}
    second = {line.group: line.corrected for line in correct(tally(30, 60, unknown=10), swapped)}
    assert first == pytest.approx(second)


def test_fewer_labels_and_fewer_images_make_wider_intervals() -> None:
    def width(scale_matrix: int, scale_images: int) -> float:
        matrix = confusion([9 * scale_matrix, scale_matrix, 0], [scale_matrix, 9 * scale_matrix, 0])
        line = correct(tally(30 * scale_images, 70 * scale_images), matrix)[0]
        return line.high - line.low

    assert width(100, 100) < width(100, 1) < width(2, 1)
    assert width(100, 100) < width(2, 100)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    rates, truth, runs = np.array([[0.85, 0.1, 0.05], [0.06, 0.9, 0.04]]), np.array([0.3, 0.7]), 400
    held = 0
    for run in range(runs):
        woman, man, unknown = rng.multinomial(200, truth @ rates).tolist()
        labelled = [rng.multinomial(80, row).tolist() for row in rates]
        line = correct(tally(woman, man, unknown=unknown), confusion(*labelled), seed=run)[0]
        held += line.low <= 0.3 <= line.high
    assert held / runs >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / runs)


def test_mistakes_are_named() -> None:
    good = confusion([90, 5, 5], [5, 90, 5])
    with pytest.raises(ValueError, match=r"hardly depend on the group \(the smallest singular value is 0\.050"):
        correct(tally(30, 70), confusion([50, 50, 0], [45, 55, 0]))
    with pytest.raises(ValueError, match="has no image of 'man': label some"):
        correct(tally(30, 70), confusion([90, 5, 5], [0, 0, 0]))
    with pytest.raises(ValueError, match=r"has shape \(2, 2\): give 2 rows of 3 counts, the last for unknown"):
        correct(tally(30, 70), confusion([90, 5], [5, 90]))
    with pytest.raises(ValueError, match="correct with a matrix of the same groups"):
        correct(tally(1, 2, 3, groups=["a", "b", "c"]), good)
    with pytest.raises(ValueError, match="'doctor' has no images"):
        correct(tally(0, 0), good)
    with pytest.raises(ValueError, match="level is 95"):
        correct(tally(30, 70), good, level=95)
