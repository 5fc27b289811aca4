"""Who may be perceiver and judge of a model."""

from __future__ import annotations

import pytest

from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.roles import open_roles


def test_words_and_objects() -> None:
    assert open_roles("pocket", judge.load(), model="x") == (pocket.load(), judge.load())


@pytest.mark.parametrize(
    ("perceiver", "scorer", "said"),
    [
        (None, None, "'x' needs a perceiver and a judge: name who reads"),
        ("pocket", None, "'x' needs a judge: name"),
        (None, "judge", "'x' needs a perceiver: name"),
        ("pocket", "pocket", "both 'pocket': who steers cannot score"),
        ("clip:models/a", "clip:./models/../models/a,words.yaml", "who steers cannot score"),
        ("faces", "faces:refuse", "who steers cannot score"),
        ("pocket", "human:labels.csv", "cannot read images that are yet to be drawn"),
        ("pocket", "magic", "unknown perceiver 'magic'"),
    ],
)
def test_what_may_not_be(perceiver: str | None, scorer: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        open_roles(perceiver, scorer, model="x")


def test_one_object_cannot_play_both() -> None:
    with pytest.raises(ValueError, match="who steers cannot score"):
        open_roles(judge.load(), judge.load(), model="x")
