"""Sets of pictures: what is stored, what is refused, and how long pictures are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_examples import GENDER, made_set, new_pictures, sets_of
from sqlalchemy import select

from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.label_sets import NewPicture, UnknownSetError
from fair_diffusion.service.tables import label_pictures, label_sets, trail


def _rows(database: Database, label_set: str) -> list[Any]:
    ours = select(label_pictures).where(label_pictures.c.label_set == label_set).order_by(label_pictures.c.place)
    with database.reading() as connection:
        return list(connection.execute(ours))


def test_a_set_is_an_order_of_its_pictures(database: Database, tmp_path: Path) -> None:
    sets, made = made_set(database, tmp_path, 20, second=0.25, gold=2)
    assert sets.get(made.id) == made
    assert sets.all() == [made]
    assert made.groups == list(GENDER.group_names)
    assert made.pictures == 20
    rows = _rows(database, made.id)
    drawn = [row for row in rows if row.gold is None]
    assert [row.place for row in drawn] == list(range(20))
    assert [row.priority for row in drawn] == sorted(row.priority for row in drawn)
    assert [row.probability for row in drawn] == pytest.approx([1 / 20] * 20)
    assert sum(row.second for row in drawn) == 5
    assert [(row.place, row.probability, row.second) for row in rows if row.gold] == [(None, None, False)] * 2
    with database.reading() as connection:
        assert connection.scalars(select(trail.c.change)).all() == ["label set added"]


def test_an_active_set_draws_more_of_what_the_reader_is_unsure_of(database: Database, tmp_path: Path) -> None:
    pictures = new_pictures(database, tmp_path, 40, readings=["woman"] * 40)
    unsure = [NewPicture(**{**vars(each), "confidence": 0.5 if k < 10 else 1.0}) for k, each in enumerate(pictures)]
    made = sets_of(database, tmp_path).add("a set", GENDER, unsure, queue="active")
    chance = {row.file: row.probability for row in _rows(database, made.id)}
    assert sum(chance.values()) == pytest.approx(1)
    assert np.mean([chance[f"{k:03d}.png"] for k in range(10)]) > 3 * chance["030.png"] > 0


def test_the_same_picture_twice_is_one(database: Database, tmp_path: Path) -> None:
    pictures = new_pictures(database, tmp_path, 3)
    made = sets_of(database, tmp_path).add("a set", GENDER, [*pictures, *pictures])
    assert made.pictures == 3


def test_pictures_stay_as_long_as_their_set(database: Database, tmp_path: Path) -> None:
    images = Images(database, tmp_path / "images")
    digest = images.put(b"\x89PNG", key="key_1", kept=-1.0)
    sets = sets_of(database, tmp_path)
    made = sets.add("a set", GENDER, [NewPicture(image=digest)])
    assert images.expire() == 1
    assert images.get(digest, key=made.id) == (b"\x89PNG", "image/png")
    sets.remove(made.id)
    with pytest.raises(LookupError):
        images.get(digest)
    with pytest.raises(UnknownSetError):
        sets.get(made.id)
    assert list((tmp_path / "images").glob("*/*")) == []


def test_a_set_whose_removal_is_cut_short_leaves_no_picture_for_ever(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(database, tmp_path / "images")
    digest = images.put(b"\x89PNG", kept=-1)
    sets = sets_of(database, tmp_path)
    made = sets.add("a set", GENDER, [NewPicture(image=digest)])
    with monkeypatch.context() as patched:
        patched.setattr(Images, "delete", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            sets.remove(made.id)
    assert sets.all() == []
    images.expire()
    assert list((tmp_path / "images").glob("*/*")) == []


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_consent_is_once_for_a_rater_and_a_version(database: Database, tmp_path: Path) -> None:
    sets, made = made_set(database, tmp_path, 2)
    assert not sets.agreed("anna", made.guideline)
    sets.consent("anna", made.guideline)
    sets.consent("anna", made.guideline)
    assert sets.agreed("anna", made.guideline)
    assert not sets.agreed("ben", made.guideline)
    assert sets.guideline(made.guideline).question == "Which gender do you perceive?"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": " "}, "name of the set"),
        ({"queue": "gold"}, "unknown queue 'gold'"),
        ({"second": 1.5}, "share of second opinions is 1.5"),
        ({"pictures": []}, "0 pictures to draw"),
        ({"pictures": [NewPicture(image="a" * 64)]}, "are not stored, such as aaa"),
        ({"pictures": [NewPicture(image="a" * 64, reading="women")]}, "gender of a+ is 'women'"),
        ({"pictures": [NewPicture(image="a" * 64), NewPicture(image="b" * 64, gold="x")]}, "gender of b+ is 'x'"),
        ({"queue": "active"}, "no picture was read"),
    ],
)
def test_a_set_that_is_none_is_refused(database: Database, tmp_path: Path, given: dict[str, Any], said: str) -> None:
    usual = {"name": "a set", "pictures": new_pictures(database, tmp_path, 2), **given}
    with pytest.raises(ValueError, match=said):
        sets_of(database, tmp_path).add(usual.pop("name"), GENDER, usual.pop("pictures"), **usual)
    with database.reading() as connection:
        assert connection.execute(select(label_sets)).all() == []
