"""Strengths: a level that fails gives way, what is learnt is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.control.strengths import ENOUGH, FEW, LEVELS, Strengths

KEY = ("pocket", "switch", "nurse", "gender", "man")


def test_a_level_that_fails_gives_way_to_the_next_and_directions_are_apart() -> None:
    strengths = Strengths()
    for _ in range(FEW - 1):
        strengths.learn(KEY, 0, complied=False)
    assert strengths.level(KEY) == 0
    strengths.learn(KEY, 0, complied=False)
    assert strengths.level(KEY) == 1
    assert strengths.level((*KEY[:-1], "woman")) == 0


@pytest.mark.parametrize(("complied", "level"), [(0, 1), (2, 1), (3, 0), (4, 0)])
def test_three_of_four_attempts_must_comply(complied: int, level: int) -> None:
    assert Strengths({KEY: [[4, complied], [0, 0]]}).level(KEY) == level


@given(st.lists(st.tuples(st.integers(0, len(LEVELS) - 1), st.booleans()), max_size=40))
def test_the_level_is_the_lowest_that_is_not_known_to_fail(attempts: list[tuple[int, bool]]) -> None:
    strengths = Strengths()
    for level, complied in attempts:
        strengths.learn(KEY, level, complied)

    def fails(level: int) -> bool:
        seen = [complied for at, complied in attempts if at == level]
        return len(seen) >= FEW and sum(seen) < ENOUGH * len(seen)

    chosen = strengths.level(KEY)
    assert all(fails(level) for level in range(chosen))
    assert chosen == len(LEVELS) - 1 or not fails(chosen)


def test_what_is_learnt_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "policy.strengths.json"
    assert Strengths.load(path).counts == {}
    strengths = Strengths()
    strengths.learn(KEY, 1, complied=True)
    strengths.learn((*KEY[:-1], "woman"), 0, complied=False)
    strengths.save(path)
    assert Strengths.load(path).counts == strengths.counts
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[{"of": ["a"]}]', '[{"of": ["a"], "attempts": [[1, 1]]}]', '{"a": 1}']
)
def test_a_file_that_holds_something_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"broken\.json does not hold strengths .* remove it"):
        Strengths.load(path)
