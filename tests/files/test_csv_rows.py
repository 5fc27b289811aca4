"""Tables by hand: any bytes give rows or one clear error; no path leads out of a folder."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fair_diffusion.files.csv_rows import FORMULA, SHOWN, CsvErrors, inner_path, read_csv, write_csv

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(path: Path, text: str | bytes) -> list[tuple[int, dict[str, str]]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_csv(path, required=("a", "b"), optional=("c",)))


def test_columns_in_any_order_quotes_blanks_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeffx,B , a\r\n1,"two, three", four\r\n\r\n , ,\r\n5,6,"7\n8"\r\n'
    assert rows(tmp_path / "t.csv", text) == [
        (2, {"a": "four", "b": "two, three", "c": ""}),
        (6, {"a": "7\n8", "b": "6", "c": ""}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column 'a'"),
        ("a,c\n1,2\n", "lacks the column 'b'"),
        ("a,b,a\n1,2,3\n", "two columns 'a'"),
        ("a,b\n1\n", "line 2: 1 values for 2 columns"),
        ("a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        ('a,b\n1,"2\n', "line 2: unexpected end"),
        (b"a,b\n\xff,1\n", "not UTF-8"),
        ("a,b\n" + "x" * 200_000 + ",1\n", "line 2: field larger"),
    ],
)
def test_what_is_no_table_is_said(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said) as error:
        rows(tmp_path / "t.csv", text)
    assert "t.csv" in str(error.value)


@SAME_FOLDER
@given(
    st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: ("a,b\n" + text).encode("utf-8", "replace"))
    )
)
def test_any_bytes_give_rows_or_one_clear_error(tmp_path: Path, content: bytes) -> None:
    try:
        found = rows(tmp_path / "t.csv", content)
    except ValueError as error:
        found, said = [], str(error)
    else:
        said = "t.csv"
    assert "t.csv" in said
    assert all(set(row) == {"a", "b", "c"} for _, row in found)


def test_errors_are_told_together_and_not_without_end(tmp_path: Path) -> None:
    errors = CsvErrors(tmp_path / "t.csv")
    errors.check()
    for line in range(SHOWN + 5):
        errors.add(line, "wrong")
    with pytest.raises(ValueError, match="and 5 more") as error:
        errors.check()
    assert len(str(error.value).splitlines()) == SHOWN + 1


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "../x.png", "a/../../x.png", "C:\\x.png", "\\\\host\\x", "\\x", "", "a\0b", "."]
)
def test_paths_that_lead_out_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no path below the folder"):
        inner_path(text)


def test_inner_paths_are_kept() -> None:
    assert inner_path("./a/b.png") == "a/b.png"
    assert inner_path("a\\b.png") == "a/b.png"
    assert inner_path("..a/b..png") == "..a/b..png"


@given(st.text(max_size=30))
def test_no_path_that_is_accepted_leaves_the_folder(text: str) -> None:
    try:
        inner = inner_path(text)
    except ValueError:
        return
    assert not PurePosixPath(inner).is_absolute()
    assert ".." not in PurePosixPath(inner).parts


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(f"'{FORMULA} a,\"", max_size=5)


@SAME_FOLDER
@given(st.lists(st.tuples(CELL, CELL), max_size=4))
def test_what_is_written_comes_back_and_no_cell_is_a_formula(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, ("a", "b", "c"), [{"a": a, "b": b, "c": -0.5} for a, b in cells])
    found = [(row["a"], row["b"]) for _, row in read_csv(path, required=("a", "b"))]
    assert found == cells
    with path.open(encoding="utf-8", newline="") as file:
        raw = list(csv.reader(file))[1:]
    assert not [cell for *texts, _ in raw for cell in texts if cell.startswith(tuple(FORMULA))]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-2", "'-2"),
        ("'=1", "''=1"),
        ("\t=1", "'\t=1"),
        (" nurse", "' nurse"),
        ("'tis a nurse", "'tis a nurse"),
        ("a=1", "a=1"),
        ("", ""),
        ("'", "'"),
    ],
)
def test_only_what_could_run_or_be_cut_gets_an_apostrophe(text: str, cell: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ("a", "n", "nothing"), [{"a": text, "n": -1, "nothing": None}])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1] == [cell, "-1", ""]
