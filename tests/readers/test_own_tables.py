"""Tables as people keep them: other separators, spellings, columns and forms."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import put

from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.readers.reference import read_reference
from fair_diffusion.readers.target import kind_of_target, read_target

HEAD = "prompt,attribute,group,count\n"


def tallies(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> list[Tally]:
    return list(read_target(put(tmp_path, name, text), scratch=tmp_path).study.tallies)


def test_unknown_in_capitals_is_no_group_of_a_uniform_target(tmp_path: Path) -> None:
    rows = "nurse,gender,woman,120\nnurse,gender,man,120\nnurse,gender,{},10\n"
    for word in ("Unknown", "unknown", "n/a", "not sure"):
        found = read_target(put(tmp_path, "t.csv", HEAD + rows.format(word)), scratch=tmp_path)
        (deviation,) = numbers(found.study).deviations
        assert (round(deviation.tv_mean, 3), deviation.unknown) == (0.040, 10)


GIVEN = [({"woman": 86, "man": 14}, 0)]


@pytest.mark.parametrize(
    "text",
    [
        "prompt;attribute;group;count\nnurse;gender;woman;86,0\nnurse;gender;man;14\n",
        "sep=;\r\nprompt;attribute;group;count\r\nnurse;gender;woman;86\r\nnurse;gender;man;14\r\n",
        "sep=\t\nprompt\tattribute\tgroup\tcount\nnurse\tgender\twoman\t86.0\nnurse\tgender\tman\t14.00\n",
        "\ufeffprompt\tattribute\tgroup\tcount\nnurse\tgender\twoman\t86\nnurse\tgender\tman\t14\n",
        "prompt\tattribute\tgroup\tcount\nnurse\tgender\twoman\t86\nnurse\tgender\tman\t14\n".encode("utf-16"),
        "Occupation|Attribute|Label|N\nnurse|Gender|Women|86\nNurses|Gender|Male|14\n",
        "occupation,gender,count\nnurse,F,86\nnurse,M,14\n",
        "occupation,woman,man,unknown\nnurse,86,14,0\n",
        "occupation,Female,Male,N/A,total\nnurse,86,14,,100\n",
        "occupation,attribute,female,male\nnurse,gender,86,14\n",
        "\n".join(
            json.dumps({"prompt": "nurse", "attribute": "gender", "group": group, "count": n})
            for group, n in (("woman", 86), ("man", 14.0))
        ),
    ],
)
def test_a_table_of_counts_in_other_forms(text: str | bytes, tmp_path: Path) -> None:
    found = [(dict(tally.counts), tally.unknown) for tally in tallies(tmp_path, text)]
    assert found == GIVEN
    assert [tally.concept for tally in tallies(tmp_path, text, "table.txt")] == ["nurse"]


def test_targets_in_percent_and_with_decimal_commas(tmp_path: Path) -> None:
    rows = 'nurse,gender,woman,3,25%\nnurse,gender,man,4,"0,75"\n'
    (tally,) = tallies(tmp_path, HEAD.replace("count", "count,target") + rows)
    assert tally.target == {"woman": 0.25, "man": 0.75}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + 'nurse,gender,woman,"1,200"\n', "line 2: count is '1,200'"),
        (HEAD + "nurse,gender,woman,86.000\n", "line 2: count is '86.000'"),
        (HEAD + "nurse,gender,woman,48%\n", "line 2: count is '48%'; write how many images; a share does not tell"),
        (HEAD + f"nurse,gender,woman,{10**30}\n", "line 2: count is '1000"),
        (HEAD + "nurse,gender,woman,1e3\n", "line 2: count is '1e3'"),
        (HEAD + "nurse,gender,womam,3\n", "line 2: gender has no group 'womam'; did you mean 'woman'"),
        (HEAD + "nurse,gender,woman,3\nNurses,Gender,female,4\n", "line 3: the same .* as in line 2; add them up"),
        ("sep=;\nprompt;attribute;group;count\nnurse;gender;woman;x\n", "line 3: count is 'x'"),
        ("occupation,woman,man,total\nnurse,86,14,103\n", "line 2: total is '103', but the groups sum to 100"),
        ("occupation,woman,man,wealth\nnurse,86,14,103\n", "the column 'wealth', which is none"),
        ("occupation,woman,man,female\nnurse,86,14,3\n", "'woman' and 'female', which are one group"),
        ("occupation,pct_women,pct_men\nnurse,90,10\n", "one column of counts per group.*names occupation, pct_women"),
        ("occupation,attribute,group,percent\nnurse,gender,F,9\n", "shares in the column 'percent' and no counts"),
        (HEAD.strip() + ",target\nnurse,gender,woman,3,1e-400\n", "line 2: target is '1e-400'"),
        (HEAD.strip() + ",target\nnurse,gender,woman,3,1e400\n", "line 2: target is '1e400'"),
        (HEAD.strip() + ",target\nnurse,gender,woman,3,50\n", "line 2: target is '50'; write a share"),
        (b"PK\x03\x04" + b"x" * 99, "workbook of a spreadsheet"),
        ("[" * 100_000, "line 1: no JSON that can be read"),
    ],
)
def test_a_table_that_is_not_understood_is_refused_with_the_mend(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said) as error:
        tallies(tmp_path, text)
    assert "t.csv" in str(error.value)


def test_names_that_are_counted_together_or_not_known_are_told(tmp_path: Path) -> None:
    rows = "nurse,gender,woman,3\nNurses,gender,male,4\ndocter,race,White,1\ndocter,race,whites,0\n"
    with pytest.raises(ValueError, match="line 5: the same prompt"):
        tallies(tmp_path, HEAD + rows)
    notes = read_target(put(tmp_path, "t.csv", HEAD + rows.rsplit("docter", 1)[0]), scratch=tmp_path).study.notes
    assert "read: 'male' as man" in notes
    assert "race is divided as it stands there: White" in notes
    assert "prompts counted together: 'Nurses' with 'nurse'" in notes
    assert any("'docter' (did you mean 'doctor'?)" in note for note in notes)


def test_two_words_for_unknown_add_up(tmp_path: Path) -> None:
    (tally,) = tallies(tmp_path, HEAD + "nurse,gender,woman,3\nnurse,gender,no face,4\nnurse,gender,unclear,5\n")
    assert (tally.counts["woman"], tally.unknown) == (3, 9)


FAIRFACE = (
    "file,age,gender,race,service_test\nval/1.jpg,3-9,Male,East Asian,False\nval/2.jpg,20-29,Female,East Asian,True\n"
    "val/3.jpg,more than 70,Female,Latino_Hispanic,True\n"
)


def test_the_labels_of_fairface_are_read(tmp_path: Path) -> None:
    labels = HumanLabels.load(put(tmp_path, "labels.csv", FAIRFACE))
    assert labels.groups == {
        "age": ("3-9", "20-29", "more than 70"),
        "gender": ("woman", "man", "androgynous"),
        "race": ("East Asian", "Latino_Hispanic"),
    }
    assert labels.label("gender", "val/2.jpg").label == "woman"
    assert any("left out: service_test" in note for note in labels.notes)
    found = read_target(tmp_path / "labels.csv", scratch=tmp_path)
    counted = {tally.attribute: dict(tally.counts) for tally in found.study.tallies}
    assert counted["gender"] == {"woman": 2, "man": 1, "androgynous": 0}
    assert any(note.startswith("age is divided as it stands there, not in young") for note in found.study.notes)


def test_labels_in_other_spellings_and_columns(tmp_path: Path) -> None:
    text = "file_name;Dimension;Answer;Annotator\na.png;Sex;F;x\na.png;gender;woman;y\nb.png;gender;cannot tell;x\n"
    labels = HumanLabels.load(put(tmp_path, "labels.csv", text))
    assert labels.votes == {"gender": {"a.png": {"x": "woman", "y": "woman"}, "b.png": {"x": "unknown"}}}
    with pytest.raises(ValueError, match="line 2: gender has no group 'robot'"):
        HumanLabels.load(put(tmp_path, "l.csv", "file,attribute,group\na,gender,robot\nb,gender,woman\n"))


def test_captions_in_a_csv_or_in_json_lines_are_counted(tmp_path: Path) -> None:
    for name, text in (
        ("metadata.csv", "file_name,text\na.png,a female nurse\nb.png,a male nurse\n"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "a female nurse"}\n\n{"text": "a male nurse"}\n'),
    ):
        assert kind_of_target(put(tmp_path, name, text)) == "dataset"
        gender = next(tally for tally in tallies(tmp_path, text, name) if tally.attribute == "gender")
        assert (gender.concept, gender.counts["woman"], gender.counts["man"]) == ("nurse", 1, 1)


def test_a_reference_goes_by_other_names_of_its_source_and_concepts(tmp_path: Path) -> None:
    table = put(
        tmp_path, "t.csv", HEAD.strip() + ",source\nnurse,gender,woman,3,Census 2020\ncook,gender,man,2,other\n"
    )
    assert [tally.concept for tally in read_reference(f"{table}:census 2020", scratch=tmp_path)] == ["nurse"]


def test_large_tables_are_refused(tmp_path: Path) -> None:
    rows = 3_000_000
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["nurse"]))
    table = pa.table(dict.fromkeys(("prompt", "attribute", "group"), repeated) | {"count": pa.array([1] * rows)})
    pq.write_table(table, tmp_path / "many.parquet")
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int8()), pa.array(["n" * 2**20]))
    table = pa.table(dict.fromkeys(("prompt", "attribute", "group"), long) | {"count": pa.array([1] * 100_000)})
    pq.write_table(table, tmp_path / "long.parquet")
    del repeated, long, table
    put(tmp_path, "wide.csv", ",".join(f"c{k}" for k in range(20_000)) + "\n")
    put(tmp_path, "diagonal.csv", HEAD + "".join(f"p{k},own,g{k},1\n" for k in range(3_000)))
    columns = ",".join(f"c{k}" for k in range(900))
    put(tmp_path, "square.csv", f"prompt,attribute,{columns}\n" + f"p,own,{'1,' * 899}1\n" * 300)
    put(tmp_path, "prompts.csv", HEAD + "".join(f"p{k},own,g,1\n" for k in range(21_000)))
    put(tmp_path, "sources.csv", "source," + HEAD + "".join(f"s{k},p,own,g,1\n" for k in range(101)))
    for name, said in (
        ("sources.csv", "101 sources, more than 100"),
        ("many.parquet", "3,000,000 rows"),
        ("long.parquet", "131,072 letters, more than 4,000"),
        ("wide.csv", "20,000 columns"),
        ("diagonal.csv", "3,000 groups"),
        ("square.csv", "900 columns of groups"),
        ("prompts.csv", "21,000 prompts"),
    ):
        with pytest.raises(ValueError, match=said):
            read_target(tmp_path / name, scratch=tmp_path)


def test_an_occupation_in_two_words_or_with_an_article_is_the_same(tmp_path: Path) -> None:
    text = "prompt,woman,man\na fire fighter,5,0\nweb page,0,7\nwebpage,0,8\n"
    assert {tally.concept for tally in tallies(tmp_path, text)} == {"a fire fighter", "web page", "webpage"}
    with pytest.raises(ValueError, match="the same prompt"):
        tallies(tmp_path, text + "Firefighters,0,6\n")
    rows = "a fire fighter,gender,woman,5\nFirefighters,gender,man,6\n"
    assert [dict(tally.counts) for tally in tallies(tmp_path, HEAD + rows)] == [{"woman": 5, "man": 6}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,gender,n,percent\nnurse,woman,500,86\nnurse,man,500,14\n", "0.86 of 'nurse'"),
        ("prompt,gender,count,share\nnurse,woman,50,0.86\nnurse,man,50,0.14\n", "counts say 0.5"),
        ("prompt,attribute,group,n,num\nnurse,gender,woman,500,430\nnurse,gender,man,500,70\n", "'n' and 'num'"),
        ("prompt,woman,man\nnurse,86,14\ncook,4,6\nTotal,90,20\n", "sums up the others as prompt 'Total'"),
    ],
)
def test_numbers_that_are_no_counts_of_a_group_are_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        tallies(tmp_path, text)


def test_shares_beside_counts_may_be_rounded_and_totals_may_be_a_prompt(tmp_path: Path) -> None:
    text = "prompt,gender,count,percent\nnurse,woman,2,66.7\nnurse,man,1,33.3\noverall,woman,1,50%\noverall,man,1,50%\n"
    assert [tally.n for tally in tallies(tmp_path, text)] == [3, 2]
