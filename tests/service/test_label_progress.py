"""What labels have bought: the estimates of the statistics, by picture, with what more labels would buy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from label_examples import GENDER, made_set, new_pictures, sets_of
from sqlalchemy import select
from test_label_decisions import rate

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_progress import progress
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_sets import NewPicture
from fair_diffusion.service.label_table import chances_by_now
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.tables import label_pictures
from fair_diffusion.statistics.active import weighted_share
from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.drawing_order import chance_so_far
from fair_diffusion.statistics.intervals import score_bounds


def test_before_the_first_label_nothing_is_told(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    found = progress(database, made)
    assert (found.pictures, found.labelled, found.by) == (3, 0, "labels")
    assert [(one.group, one.share, one.more) for one in found.groups] == [
        ("woman", None, None),
        ("man", None, None),
        ("androgynous", None, None),
    ]


def test_without_a_reader_the_labels_stand_alone(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 40, gold=1)
    rate(database, made, "anna", "woman", "woman", "man", None, "-", "woman")
    found = progress(database, made)
    assert (found.pictures, found.labelled, found.cannot_tell, found.tied, found.skipped) == (40, 5, 1, 0, 1)
    woman = found.groups[0]
    assert found.anytime
    share, ends = anytime_share([1, 1, 0, 0, np.nan, 1], [0] * 6, 0, 40)  # in their order; one of 40 was skipped
    assert (woman.labelled, woman.share, (woman.low, woman.high)) == (3, share, ends)
    assert (share, woman.wanted) == (0.6, 0.2)
    assert woman.more is not None
    assert 0 < woman.more <= 35


def test_with_a_reader_its_word_counts_for_the_other_pictures(database: Database, tmp_path: Path) -> None:
    readings = ["woman" if k % 2 else "man" for k in range(120)]
    _, made = made_set(database, tmp_path, 120, readings=readings)
    queue, said = LabelQueue(database, made, lambda: 1.0), []
    for k in range(40):
        (task,) = queue.next("anna")
        answer = "woman" if k % 5 else "man"
        given, _ = queue.label("anna", task.image, answer, guideline=made.guideline)
        said.append((answer == "woman", given.reading == "woman"))
        found = progress(database, made)
        assert (found.by, found.anytime) == ("labels and reader", True)
        human, machine = np.array(said, dtype=float).T
        share, (low, high) = anytime_share(human, machine, 60, 120)
        woman = found.groups[0]
        assert (woman.share, woman.low, woman.high) == (share, low, high)
    assert (woman.labelled, woman.read) == (32, 60)
    assert woman.wanted is not None
    assert woman.more is not None
    assert woman.wanted < 0.8 * (high - low) / 2
    spread = np.sqrt((1 / (40 + woman.more) - 1 / 120) / (1 / 40 - 1 / 120))
    assert (high - low) / 2 * spread == pytest.approx(woman.wanted, abs=0.005)


def test_whoever_looks_after_each_label_is_misled_in_few_sets_only() -> None:
    """Wilson's interval, looked at after each label, misses the share of the set in far more than one set of twenty."""
    truth, missed, looks = 0.5, Counter[str](), 40
    for seed in range(200):
        chance = np.random.default_rng(seed)
        said = chance.permutation([1.0] * 40 + [0.0] * 40)[:looks]
        counts = range(1, looks + 1, 3)
        told = {
            "betting": [anytime_share(said[:k], np.zeros(k), 0, 80)[1] for k in counts],
            "wilson": list(zip(*score_bounds([said[:k].sum() for k in counts], list(counts)), strict=True)),
        }
        for name, intervals in told.items():
            missed[name] += not all(low <= truth <= high for low, high in intervals)
    assert missed["betting"] <= 10 < missed["wilson"]


def test_pictures_that_are_skipped_are_none_of_those_of_which_a_share_tells(database: Database, tmp_path: Path) -> None:
    """A third shows nobody, and the reader sees women there. When all others are labelled, their share is known."""
    _, made = made_set(database, tmp_path, 60, readings=["woman"] * 60)
    rate(database, made, "anna", *["woman", "man", "-"] * 20)
    found = progress(database, made)
    assert (found.labelled, found.skipped) == (40, 20)
    woman = found.groups[0]
    assert woman.low is not None
    assert woman.high is not None
    assert woman.share == pytest.approx(0.5)
    assert woman.wanted is None
    assert woman.low == pytest.approx(0.5, abs=0.03)
    assert woman.high == pytest.approx(0.5, abs=0.03)


def test_what_the_reader_says_of_skipped_pictures_does_not_matter(database: Database, tmp_path: Path) -> None:
    """30 of 100 pictures show nobody. People see 50 % women in the others, and the reader reads those rightly."""
    kinds = ["woman", "man"] * 35 + ["-"] * 30
    for reading in (None, "man", "woman"):
        readings = [reading if kind == "-" else kind for kind in kinds]
        pictures = new_pictures(database, tmp_path, 100, readings=readings)
        kind = {each.image: kind for each, kind in zip(pictures, kinds, strict=True)}
        made = sets_of(database, tmp_path).add(f"a set, {reading}", GENDER, pictures, second=0.0, seed=1)
        queue = LabelQueue(database, made, lambda: 1.0)
        for _ in range(50):
            (task,) = queue.next("anna")
            said, why = (None, "no person") if kind[task.image] == "-" else (kind[task.image], None)
            queue.label("anna", task.image, said, reason=why, guideline=made.guideline)
        found = progress(database, made)
        assert (found.labelled + found.skipped, found.by) == (50, "labels and reader")
        for one in found.groups[:2]:
            assert one.share == pytest.approx(0.5, abs=0.06)
            assert one.low is not None
            assert one.high is not None
            assert one.low < 0.5 < one.high


def test_an_active_queue_is_weighted(database: Database, tmp_path: Path) -> None:
    """The reader is unsure of women, so they are drawn more often. The estimate is right all the same."""
    pictures = new_pictures(database, tmp_path, 400, readings=["man"] * 400)
    told = [NewPicture(**{**vars(each), "confidence": 0.5 if k < 100 else 0.98}) for k, each in enumerate(pictures)]
    women = {each.image for each in told[:100]}
    made = sets_of(database, tmp_path).add("a set", GENDER, told, queue="active", second=0, seed=3)
    queue, held = LabelQueue(database, made, lambda: 1.0), []
    for _ in range(80):
        (task,) = queue.next("anna")
        queue.label("anna", task.image, "woman" if task.image in women else "man", guideline=made.guideline)
        held.append(task.image in women)
    assert not progress(database, made).anytime
    woman = progress(database, made).groups[0]
    assert np.mean(held) > 0.35
    assert woman.low is not None
    assert woman.high is not None
    assert woman.low < 0.25 < woman.high
    assert woman.share == pytest.approx(0.25, abs=0.1)


def test_an_active_queue_counts_labels_behind_a_rater_who_left(database: Database, tmp_path: Path) -> None:
    """Anna leaves with three pictures, and Ben goes on behind them: his labels count, with the chance they had."""
    pictures = new_pictures(database, tmp_path, 90, readings=["woman"] * 90)
    told = [NewPicture(**{**vars(each), "confidence": 0.5 if k < 20 else 0.99}) for k, each in enumerate(pictures)]
    made = sets_of(database, tmp_path).add("a set", GENDER, told, queue="active", second=0, seed=3)
    anna = LabelQueue(database, made, lambda: 1.0)
    first, *held = anna.next("anna", most=4)
    anna.label("anna", first.image, "woman", guideline=made.guideline)
    seen = [first.image, *rate(database, made, "ben", *["woman", "man", "-", "man"] * 18)]
    assert not {each.image for each in held} & {*seen}
    with database.reading() as connection:
        rows = list(connection.execute(select(label_pictures).order_by(label_pictures.c.place)))
    shown = [row.image in seen for row in rows]
    assert [k for k, is_shown in enumerate(shown) if not is_shown][:4] == [1, 2, 3, 76]
    chances = chance_so_far([row.probability for row in rows], [row.priority for row in rows], shown)
    assert chances.min() < 0.8 < 0.9 < chances.max()
    assert chances_by_now(database, made) == pytest.approx({r.image: c for r, c in zip(rows, chances, strict=True)})
    said = {row.image: row.answer for row in Labels(database).all()}
    met = [(row.image, chance) for row, chance in zip(rows, chances, strict=True) if row.image in seen]
    met.sort(key=lambda each: said[each[0]] is None)
    human = [np.nan if said[image] is None else float(said[image] == "woman") for image, _ in met]
    wanted = weighted_share(human, np.ones(73), [chance for _, chance in met], 90, 90)
    woman = progress(database, made).groups[0]
    assert (woman.share, woman.low, woman.high) == pytest.approx((wanted.estimate, wanted.low, wanted.high))
    assert progress(database, made).labelled == 55


def test_a_picture_is_the_unit(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 10, second=1.0)
    one, *_ = rate(database, made, "anna", "woman", "woman", "man")
    rate(database, made, "ben", "man", "woman", "man")
    found = progress(database, made)
    assert (found.labelled, found.tied, found.cannot_tell) == (3, 1, 0)
    assert [group.labelled for group in found.groups] == [1, 1, 0]
    Adjudications(database, made).decide(one, "woman", why="clear at full size", by="key_1")
    assert (progress(database, made).tied, progress(database, made).groups[0].labelled) == (0, 2)


def test_when_all_are_labelled_no_more_is_wanted(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 32, readings=["woman"] * 32)
    rate(database, made, "anna", *["woman", "man"] * 16)
    found = progress(database, made)
    assert (found.by, found.labelled) == ("labels and reader", 32)
    assert {(one.wanted, one.more) for one in found.groups} == {(None, None)}
