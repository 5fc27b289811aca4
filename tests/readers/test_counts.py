"""Tables of counts: what is read, what is refused, and any bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fair_diffusion.audit.folder import save_study
from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.readers.counts import read_counts

HEAD = "prompt,attribute,group,count,source,target\n"


def test_groups_are_filled_ordered_and_unknown_is_apart(tmp_path: Path) -> None:
    nurses = "nurse,gender,man,3,a,\nnurse,gender,unknown,2,a,\nnurse,hair,red,1,a,\nnurse,hair,fair,0,a,\n"
    text = nurses + "cook,gender,woman,5,,"
    found = {
        (t.source, t.concept, t.attribute): t for t in read_counts(put(tmp_path, "t.csv", HEAD + text)).study.tallies
    }
    nurse = found["a", "nurse", "gender"]
    assert (dict(nurse.counts), nurse.unknown, nurse.target) == ({"woman": 0, "man": 3}, 2, None)
    assert list(nurse.counts) == ["woman", "man"]
    assert dict(found["t", "cook", "gender"].counts) == {"woman": 5, "man": 0}
    assert dict(found["a", "nurse", "hair"].counts) == {"red": 1, "fair": 0}


def test_a_source_is_of_the_kind_that_its_name_says(tmp_path: Path) -> None:
    names = ("data", "plain", "instructed", "me")
    text = "".join(f"nurse,gender,woman,1,{name},\n" for name in names)
    found = read_counts(put(tmp_path, "t.csv", "\ufeff" + HEAD + text)).study
    assert [(source.name, source.kind) for source in found.sources] == list(
        zip(names, ("data", "plain", "instructed", "other"), strict=True)
    )


def test_targets_are_read_and_roundings_scaled(tmp_path: Path) -> None:
    text = "".join(f"nurse,age,{group},1,a,0.3333\n" for group in ("young", "middle-aged", "old"))
    (tally,) = read_counts(put(tmp_path, "t.csv", HEAD + text)).study.tallies
    assert tally.target == pytest.approx({"young": 1 / 3, "middle-aged": 1 / 3, "old": 1 / 3})
    assert summarize([tally])


def test_an_audits_own_table_reads_back(tmp_path: Path) -> None:
    tallies = [
        Tally(source="a", concept='x, "y"', attribute="gender", counts={"woman": 1, "man": 2}, unknown=3),
        Tally(
            source="b", concept="z", attribute="age", counts={"young": 1, "old": 0}, target={"young": 0.5, "old": 0.5}
        ),
    ]
    save_study(Study(title="", sources=[Source(name="a"), Source(name="b")], tallies=tallies), tmp_path / "s")
    assert read_counts(tmp_path / "s" / "tallies.csv").study.tallies == tallies


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nurse,gender,man,-1,a,", "line 2: count is '-1'"),
        ("nurse,gender,man,1.5,a,", "count is '1.5'"),
        ("nurse,gender,man,²,a,", "count is '²'"),
        ("nurse,gender,man," + "9" * 30 + ",a,", "count is '999"),
        (",gender,man,1,a,", "prompt is empty"),
        ("nurse,gender,man,1,a,half", "target is 'half'"),
        ("nurse,gender,man,1,a,nan", "target is 'nan'"),
        ("nurse,gender,man,1,a,\nnurse,gender,man,2,a,", "line 3: the same .* as in line 2"),
        ("nurse,gender,man,1,a,0.5\nnurse,gender,woman,1,a,0.7", "targets of 'nurse' sum to 1.2"),
        ("nurse,gender,man,0,a,", "holds no counts"),
    ],
)
def test_wrong_lines_are_named(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        read_counts(put(tmp_path, "t.csv", HEAD + line))


cell = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["gender", "woman", "unknown", "1", "=1+1"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cell, min_size=6, max_size=6).map(",".join), max_size=6).map("\n".join))
def test_any_table_gives_sound_tallies_or_one_clear_error(tmp_path: Path, body: str) -> None:
    path = put(tmp_path, "t.csv", (HEAD + body).encode("utf-8"))
    try:
        found = read_counts(path)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert "t.csv" in said
        return
    assert found.study.tallies
    for tally in found.study.tallies:
        assert tally.n > 0
        assert min(*tally.counts.values(), tally.unknown) >= 0


def test_zeros_before_a_count_hide_nothing(tmp_path: Path) -> None:
    row = "nurse,gender,woman,{},a,"
    (tally,) = read_counts(put(tmp_path, "t.csv", HEAD + row.format("0" * 5000 + "7"))).study.tallies
    assert tally.counts["woman"] == 7
    for wrong in ("0" * 20 + "9" * 30, "9" * 5000):
        with pytest.raises(ValueError, match=r"line 2: count is .*write a whole number from 0"):
            read_counts(put(tmp_path, "t.csv", HEAD + row.format(wrong)))
