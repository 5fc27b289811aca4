"""Images of the service as pictures of a set: what the judge said of them, and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_examples import GENDER, new_pictures, sets_of

from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_sources import known_answers, pictures_of
from fair_diffusion.service.labels import Labels


def test_images_of_a_rule_are_found_behind_those_of_others(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fair_diffusion.service.label_sources.MOST", 2)
    images = Images(database, tmp_path / "images")
    for k, rule in enumerate(("a", "a", "a", None, "b")):
        Jobs(database).put("draw", {}, key="key_1")
        claims = Claims(database, "w")
        (held,) = claims.claim(["draw"])
        file = images.put(f"{k}".encode(), key=held.key, job=held.id)
        claims.end(held, result={"rule": rule, "images": [{"file": file}]})
    assert [one.concept for one in pictures_of(database, "gender", rule="b")] == ["b"]
    assert [one.concept for one in pictures_of(database, "gender", rule="a")] == ["a", "a"]
    assert pictures_of(database, "gender", rule="c") == []


def test_images_bring_what_the_judge_said(database: Database, tmp_path: Path) -> None:
    images = Images(database, tmp_path / "images")
    for rule in ("a", "b"):
        Jobs(database).put("draw", {}, key=f"key_{rule}")
        claims = Claims(database, "w")
        (held,) = claims.claim(["draw"])
        files = [images.put(f"{rule}{k}".encode(), key=held.key, job=held.id) for k in range(2)]
        told = {"judged": {"gender": "woman", "age": None}, "confidence": {"gender": 0.8}}
        claims.end(held, result={"rule": rule, "images": [{"file": file, **told} for file in files]})
    sent = images.put(b"sent", key="key_a/upload")
    ours = pictures_of(database, "gender", rule="a")
    assert {(one.owner, one.concept, one.reading, one.confidence) for one in ours} == {("key_a", "a", "woman", 0.8)}
    assert len(ours) == 2
    (aged,) = pictures_of(database, "age", hashes=[ours[0].image])
    assert aged.reading is None
    gold = pictures_of(database, "gender", hashes=[ours[0].image], gold={ours[1].image: "man"})
    assert [one.gold for one in sorted(gold, key=lambda one: one.gold or "")] == [None, "man"]
    with pytest.raises(ValueError, match="no image"):
        pictures_of(database, "gender", hashes=[sent])
    (other,) = pictures_of(database, "gender", rule="b")[:1]
    both = pictures_of(database, "gender", rule="a", gold={ours[0].image: "man", other.image: "woman"})
    assert {one.image: one.gold for one in both} == {ours[0].image: "man", ours[1].image: None, other.image: "woman"}


def test_gold_questions_are_images_whose_answer_people_know(database: Database, tmp_path: Path) -> None:
    ours = new_pictures(database, tmp_path, 6, owner="key_1")
    made = sets_of(database, tmp_path).add("a set", GENDER, ours, second=0.0)
    names = [each.image for each in ours]
    said = {0: ("woman", "woman"), 1: ("man",), 2: ("man", "woman"), 3: ("woman", "man"), 4: (None, None)}
    for k, answers in said.items():
        for rater, answer in zip("ab", answers, strict=False):
            told = {"rater": rater, "queue": "second", "guideline": "1", "label_set": made.id}
            Labels(database).add(names[k], "gender", answer, **told)  # type: ignore[arg-type]
    Adjudications(database, made).decide(names[3], "man", why="seen at full size", by="key_1")
    assert known_answers(database, GENDER, 2, ()) == {names[0]: "woman", names[3]: "man"}
    assert known_answers(database, GENDER, 1, names[:1]) == {names[3]: "man"}, "those of the draw come last"
    with pytest.raises(ValueError, match="know: 2; want fewer"):
        known_answers(database, GENDER, 3, ())
    Images(database, tmp_path / "images").delete(names[0], key="key_1")  # the set keeps its own, and no key has it
    with pytest.raises(ValueError, match="know: 1;"):
        known_answers(database, GENDER, 2, ())
