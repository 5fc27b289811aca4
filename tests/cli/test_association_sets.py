"""The sets of an association test, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import put

from fair_diffusion.cli.associations import MOST, check, members


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_set_is_no_folder(text: str) -> None:
    with pytest.raises(ValueError, match="X is empty"):
        members("X", text)


def test_comments_are_no_words(tmp_path: Path) -> None:
    table = put(tmp_path, "x.txt", "# occupations\nnurse\n  # more\n\ncook\nC# developer\n")
    assert members("X", str(table)).names == ["nurse", "cook", "C# developer"]


@pytest.mark.parametrize("text", ["nurse,NURSE", "nurse, cook, Nurses", "co-pilot,co pilot"])
def test_one_word_in_two_spellings_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="twice, once as"):
        members("X", text)


def test_a_word_in_two_spellings_is_of_one_set() -> None:
    sets = {"X": members("X", "nurse,cook"), "Y": members("Y", "pilot,NURSES")}
    with pytest.raises(ValueError, match="'nurse' is in X and in Y"):
        check(sets | {"A": members("A", "he,man"), "B": members("B", "she,woman")})


def test_too_many_words_are_refused(tmp_path: Path) -> None:
    table = put(tmp_path, "x.txt", "\n".join(f"w{k}" for k in range(MOST + 1)))
    with pytest.raises(ValueError, match="10,001 words"):
        members("X", str(table))
