import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.prediction_powered import predict


def test_without_labels_the_machine_stands_and_nothing_is_known() -> None:
    estimate, (low, high) = anytime_share([], [], 30, 100)
    assert estimate == 0.3
    assert (low, high) == (0, 1)


@pytest.mark.parametrize("wrong", [0.15, 0.5, 0.8])
def test_it_holds_at_all_looks_together(wrong: float) -> None:
    """1 of 20 may fail *ever*, looking after each label from the first to the last, however bad the machine is."""
    rng = np.random.default_rng(1)
    n, failed, runs = 200, 0, 120
    for _ in range(runs):
        truth = rng.random(n) < 0.4
        read = truth ^ (rng.random(n) < wrong)
        order = rng.permutation(n)
        share, seen = truth.mean(), int(read.sum())
        for labels in (2, 4, 7, 11, 16, 25, 40, 70, 120, 200):
            drawn = order[:labels]
            _, (low, high) = anytime_share(truth[drawn], read[drawn], seen, n)
            if not low - 1e-9 <= share <= high + 1e-9:
                failed += 1
                break
    assert failed / runs <= 0.05


def test_fixed_intervals_fail_where_one_looks_repeatedly() -> None:
    """The reason for this module: Student's interval, looked at often, fails more than 1 time in 20."""
    rng = np.random.default_rng(2)
    n, failed, runs = 2000, 0, 150
    for _ in range(runs):
        truth = rng.random(n) < 0.4
        read = truth ^ (rng.random(n) < 0.3)
        order = rng.permutation(n)
        for labels in range(30, 1000, 10):
            y, f = truth[order[:labels]], read[order[:labels]]
            pairs = (int((y & f).sum()), int((y & ~f).sum()), int((~y & f).sum()), int((~y & ~f).sum()))
            found = predict(pairs, int(read.sum() - f.sum()), n - labels)
            if not found.low <= truth.mean() <= found.high:
                failed += 1
                break
    assert failed / runs > 0.1


def test_it_narrows_and_ends_at_the_truth() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(400) < 0.5
    read = truth ^ (rng.random(400) < 0.1)
    widths = []
    for labels in (20, 60, 150, 400):
        estimate, (low, high) = anytime_share(truth[:labels], read[:labels], int(read.sum()), 400)
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert estimate == pytest.approx(truth.mean())
    assert widths[-1] < 0.02


def test_a_better_machine_makes_it_narrower() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random(1000) < 0.5
    good, poor = truth ^ (rng.random(1000) < 0.03), rng.random(1000) < 0.5
    wide = [anytime_share(truth[:100], read[:100], int(read.sum()), 1000)[1] for read in (good, poor)]
    assert wide[0][1] - wide[0][0] < (wide[1][1] - wide[1][0]) / 2


def test_a_machine_that_knows_nothing_costs_little() -> None:
    rng = np.random.default_rng(5)
    truth, read = rng.random(1000) < 0.4, rng.random(1000) < 0.5
    (low, high), alone = (anytime_share(truth[:150], f[:150], int(f.sum()), 1000)[1] for f in (read, 0 * read))
    assert high - low < 1.15 * (alone[1] - alone[0])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.integers(0, 60))
def test_the_estimate_lies_in_the_interval(labels: list[tuple[bool, bool]], more: int) -> None:
    human, machine = [y for y, _ in labels], [f for _, f in labels]
    n = max(1, len(labels) + more)
    estimate, (low, high) = anytime_share(human, machine, sum(machine), n)
    assert 0 <= low <= high <= 1
    assert low - 2e-3 <= estimate <= high + 2e-3


def test_skipped_pictures_are_none_of_those_of_which_the_share_tells() -> None:
    """A third is skipped, whatever the machine says of it; when all were shown, the share is known."""
    rng = np.random.default_rng(7)
    human = rng.permutation([1.0] * 100 + [0.0] * 100 + [np.nan] * 100)
    for skipped in (0.0, 0.5, 1.0):
        machine = np.where(np.isnan(human), skipped, human)
        estimate, (low, high) = anytime_share(human, machine, machine.sum(), 300)
        assert estimate == pytest.approx(0.5)
        assert 0.49 < low < 0.5 < high < 0.51
        told, (low, high) = anytime_share(human[:60], machine[:60], machine.sum(), 300)
        assert low < 0.5 < high
        assert abs(told - 0.5) < 0.12


def test_pictures_that_are_all_skipped_tell_nothing() -> None:
    estimate, (low, high) = anytime_share([np.nan] * 20, [1.0] * 20, 30, 100)
    assert (estimate, low, high) == (0.3, 0, 1)


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="give"):
        anytime_share([1, 1], [1], 1, 10)
    with pytest.raises(ValueError, match="give"):
        anytime_share([1], [1], 11, 10)
    with pytest.raises(ValueError, match="give 1"):
        anytime_share([2], [1], 1, 10)


def test_it_holds_when_hardly_any_picture_is_left() -> None:
    """What is left open is less than the grid of shares resolves, and more than one picture."""
    rng = np.random.default_rng(6)
    n, held, runs = 9_487, 0, 40
    for _ in range(runs):
        truth = rng.random(n) < 0.5
        _, (low, high) = anytime_share(truth[:-5], np.zeros(n - 5), 0, n)
        held += low <= truth.mean() <= high
    assert held == runs
