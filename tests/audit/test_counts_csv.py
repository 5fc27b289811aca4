"""Tables of counts read as studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from fair_diffusion.audit.counts_csv import load_counts
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.study_folder import save_study
from fair_diffusion.audit.tally import Tally


def read(folder: Path, text: str) -> Study:
    (folder / "my_counts.csv").write_text(text, encoding="utf-8")
    return load_counts(folder / "my_counts.csv")


def test_counts(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\ufeffprompt,attribute,group,count,source\ncook,gender,woman,3,data\ncook,gender,man,4,data\n"
        "cook,gender,unknown,5,data\ncook,gender,woman,1,me\ncook,gender,man,0,me\n",
    )
    assert [(source.name, source.kind) for source in found.sources] == [("data", "data"), ("me", "other")]
    assert list(found.tallies) == [
        Tally(source="data", concept="cook", attribute="gender", counts={"woman": 3, "man": 4}, unknown=5),
        Tally(source="me", concept="cook", attribute="gender", counts={"woman": 1, "man": 0}),
    ]
    found = read(tmp_path, "prompt,attribute,group,count\ncook,gender,woman,3\n")
    assert found.tallies[0].source == "my_counts"


def test_the_table_of_a_study_is_such_a_table(tmp_path: Path) -> None:
    given = Tally(
        source="a", concept='"x",\n', attribute="b", counts={"c": 1, "d": 2}, unknown=3, target={"c": 0.25, "d": 0.75}
    )
    save_study(Study(title="t", sources=[Source(name="a")], tallies=[given]), tmp_path / "study")
    assert list(load_counts(tmp_path / "study" / "tallies.csv").tallies) == [given]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'prompt'"),
        ("prompt,attribute,group\n", "no column 'count'"),
        ("prompt,attribute,group,count\n", "no counts"),
        ("prompt,attribute,group,count\na,b,c,-1\n", "line 2: count is '-1'"),
        ("prompt,attribute,group,count\na,b,c\n", "line 2: count is ''"),
        ("prompt,attribute,group,count\na,b,c,1\na,b,c,1\n", "line 3: 'c' of 'a' is counted twice"),
        ("prompt,attribute,group,count,target\na,b,c,1,half\n", "line 2: target is 'half'"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)
