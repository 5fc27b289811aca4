"""Human labels: majority, ties, and kappa against statsmodels and scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from fair_diffusion.perception.human import HumanLabels, kappa


def load(tmp_path: Path, text: str) -> HumanLabels:
    path = tmp_path / "labels.csv"
    path.write_text("file,attribute,group,rater\n" + text, encoding="utf-8")
    return HumanLabels.load(path)


def named(file: str) -> Image.Image:
    image = Image.new("RGB", (2, 2))
    image.info["file"] = file
    return image


def test_majority_ties_and_pictures_that_nobody_labelled(tmp_path: Path) -> None:
    said = {"a.png": "woman woman man", "b.png": "woman man", "c.png": "unknown unknown woman", "ü/d.png": "man"}
    lines = [f"{file},gender,{group},{k}" for file, groups in said.items() for k, group in enumerate(groups.split())]
    labels = load(tmp_path, "\n".join(lines))
    found = labels.read([named(file) for file in (*said, "e.png")])["gender"]
    assert [reading.label for reading in found] == ["woman", None, None, "man", None]
    assert [reading.confidence for reading in found] == pytest.approx([2 / 3, 0, 2 / 3, 1, 0])
    assert labels.groups == {"gender": ("woman", "man", "androgynous")}


def test_skipped_pictures_are_no_labels_and_are_told(tmp_path: Path) -> None:
    """A picture that another rater labelled is labelled."""
    labels = load(
        tmp_path, "a.png,gender,woman,x\na.png,Gender,skipped,y\nb.png,gender,Skipped,x\nb.png,gender,skipped,y"
    )
    assert labels.votes == {"gender": {"a.png": {"x": "woman"}}}
    assert labels.skipped == {"gender": {"b.png": ["x", "y"]}}
    assert labels.notes == ["gender: people skipped 1 picture, so shares as people see them are those among the others"]
    assert load(tmp_path, "a.png,hair,red,\nb.png,hair,skipped,").groups == {"hair": ("red",)}


def test_groups_of_ones_own(tmp_path: Path) -> None:
    assert load(tmp_path, "a.png,hair,red,\nb.png,hair,fair,").groups == {"hair": ("fair", "red")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("../a.png,gender,man,", "line 2: '../a.png' is no path below"),
        ("a.png,gender,,", "write 'unknown'"),
        ("a.png,gender,man,x\na.png,gender,man,x", "line 3: rater 'x' labels gender of 'a.png' twice"),
        ("a.png,gender,man,\na.png,gender,man,", "a rater without a name"),
        ("", "holds no labels"),
        ("a.png,gender,skipped,x", "holds no labels"),
    ],
)
def test_wrong_tables(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        load(tmp_path, text)


def test_agreement_counts_pictures_that_all_labelled(tmp_path: Path) -> None:
    text = "a.png,gender,man,x\na.png,gender,man,y\nb.png,gender,woman,x\nb.png,gender,woman,y\nc.png,gender,man,x"
    (found,) = load(tmp_path, text).agreement()
    assert (found.attribute, found.kappa, found.raters, found.pictures) == ("gender", 1.0, 2, 2)
    assert load(tmp_path, "a.png,gender,man,x").agreement() == []


ratings = st.integers(2, 4).flatmap(
    lambda raters: st.lists(st.lists(st.sampled_from("abc"), min_size=raters, max_size=raters), min_size=2, max_size=30)
)


@given(ratings)
def test_kappa_is_that_of_other_libraries(labels: list[list[str]]) -> None:
    found = kappa(labels)
    if len({label for row in labels for label in row}) == 1:
        assert found is None
        return
    if len(labels[0]) == 2:
        first, second = zip(*labels, strict=True)
        if len(set(first)) == len(set(second)) == 1 and first[0] != second[0]:
            assert found == 0
            return
        expected = cohen_kappa_score(first, second)
    else:
        expected = fleiss_kappa(aggregate_raters(np.array([[ord(label) for label in row] for row in labels]))[0])
    assert found == pytest.approx(expected, abs=1e-9)


def test_kappa_of_nothing() -> None:
    assert kappa([]) is None
