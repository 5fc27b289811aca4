"""Which reader takes what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import ByColour, picture, put, record, write_run

from fair_diffusion.audit.corrections import corrections
from fair_diffusion.audit.folder import save_study
from fair_diffusion.readers.target import kind_of_target, read_target

COUNTS = "prompt,attribute,group,count\nnurse,gender,woman,3\nnurse,gender,man,1\n"


def test_every_target_is_known_by_what_it_holds(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "run", [record(0, "woman"), record(1, "man")])
    counts = put(tmp_path, "counts.csv", COUNTS)
    put(tmp_path, "images/nurse/1.png", picture("man"))
    pq.write_table(pa.table({"caption": ["a nurse"]}), tmp_path / "captions.parquet")
    findings = read_target(run, scratch=tmp_path)
    save_study(findings.study, tmp_path / "study", findings.images)
    assert kind_of_target(run) == kind_of_target(run.parent) == kind_of_target(run / "records.parquet") == "run"
    assert kind_of_target(counts) == "counts"
    assert kind_of_target(tmp_path / "images") == "folder"
    assert kind_of_target(tmp_path / "captions.parquet") == "dataset"
    assert kind_of_target(tmp_path / "study") == "study"
    assert kind_of_target(tmp_path / "study" / "images.parquet") == "images"


def test_own_pictures_beside_copies_of_drawn_ones_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fair_diffusion.readers.target.open_perceiver", lambda spec: ByColour())
    copied = write_run(tmp_path / "photos" / "nurse", [record(0, "woman"), record(1, "man")])
    (copied / "records.parquet").unlink()
    (copied / "result.json").unlink()
    photos = copied.parent
    assert kind_of_target(photos, reads=True) == "run"
    put(photos, "pilot/1.png", picture("man"))
    put(photos, "pilot/2.png", b"no picture")
    assert kind_of_target(photos) == "run"
    assert kind_of_target(photos, reads=True) == "folder"
    found = read_target(photos, scratch=tmp_path, perceiver="pocket").study
    counts = {tally.concept: sum(tally.counts.values()) + tally.unknown for tally in found.tallies}
    assert counts == {"nurse": 2, "pilot": 1}
    assert [line.split(":")[0] for line in found.broken] == ["pilot/2.png"]
    write_run(tmp_path / "kept" / "run", [record(0, "woman")])
    put(tmp_path, "kept/pilot/1.png", picture("man"))
    assert kind_of_target(tmp_path / "kept", reads=True) == "run"  # its table says what was asked for


def test_a_study_and_its_tables_give_the_tallies_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [record(0, "woman"), record(1, None)])
    findings = read_target(run, scratch=tmp_path)
    save_study(findings.study, tmp_path / "study", findings.images)
    for part in ("", "images.parquet", "tallies.csv"):
        found = read_target(tmp_path / "study" / part, scratch=tmp_path).study
        if part == "tallies.csv":  # a table does not know groups that no image shows
            assert [t.counts["woman"] for t in found.tallies if t.attribute == "gender"] == [1]
        else:
            assert list(found.tallies) == list(findings.study.tallies)
    (tally,) = read_target(tmp_path / "study", scratch=tmp_path, attributes=["gender"]).study.tallies
    assert tally.attribute == "gender"


@pytest.mark.parametrize("name", ["x.pkl", "x.pt", "x.ckpt", "x.npy"])
def test_pickles_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="could run code"):
        read_target(put(tmp_path, name, b"\x80\x04."), scratch=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.png", b"", "cannot be audited; name a run"),
        ("x.parquet", b"nothing", "no Parquet file"),
        ("folder/x.txt", b"", "name a perceiver"),
    ],
)
def test_what_is_nothing_is_said(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(ValueError, match=said):
        read_target(path.parent if "/" in name else path, scratch=tmp_path)
    with pytest.raises(ValueError, match="is not there"):
        read_target(tmp_path / "gone", scratch=tmp_path)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    counts = put(tmp_path, "counts.csv", COUNTS)
    with pytest.raises(ValueError, match="leave out the perceiver"):
        read_target(counts, scratch=tmp_path, perceiver="pocket")
    with pytest.raises(ValueError, match="leave out the table of concepts"):
        read_target(counts, scratch=tmp_path, concepts=put(tmp_path, "t.csv", "file,concept\na.png,b\n"))
    with pytest.raises(ValueError, match="nothing was read of 'hair'"):
        read_target(counts, scratch=tmp_path, attributes=["hair"])


def test_a_table_of_concepts_makes_any_folder_one_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fair_diffusion.readers.target.open_perceiver", lambda spec: ByColour())
    run = write_run(tmp_path / "run", [record(0, "woman")])
    table = put(tmp_path, "t.csv", "file,concept\nimage-00000.png,somebody\n")
    (tally,) = read_target(run, scratch=tmp_path, perceiver="pocket", concepts=table).study.tallies
    assert (tally.concept, dict(tally.counts)) == ("somebody", {"woman": 1, "man": 0})


def test_labels_of_files_that_are_not_there_are_counted(tmp_path: Path) -> None:
    put(tmp_path, "images/nurse/1.png", picture("man"))
    labels = put(tmp_path, "l.csv", "file,attribute,group\nnurse/1.png,gender,man\nelsewhere/2.png,gender,man\n")
    found = read_target(tmp_path / "images", scratch=tmp_path, perceiver=f"human:{labels}").study
    assert "1 of 2 labelled files were not met, such as elsewhere/2.png" in found.notes


def studies(folder: Path, *names: str) -> None:
    run = write_run(folder.parent / "run", [record(0, "woman")])
    findings = read_target(run, scratch=folder.parent)
    for name in names:
        save_study(findings.study, folder / name, findings.images)


def test_a_folder_of_studies_is_told_how_to_show_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    studies(out, "a", "deep/b c")
    with pytest.raises(ValueError, match="holds studies and no images; `fair-diffusion report") as error:
        kind_of_target(out)
    assert f"report {out}/a '{out}/deep/b c'`" in str(error.value)
    put(out, "c/.hidden/study.json")
    assert "hidden" not in str(error.value)


def test_studies_among_images_runs_and_shards_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fair_diffusion.readers.target.open_perceiver", lambda spec: ByColour())
    out = tmp_path / "out"
    studies(out, "study")
    said = "studies inside were left out: 1, such as study"
    put(out, "nurse/1.png", picture("man"))
    found = read_target(out, scratch=tmp_path, perceiver="pocket").study
    assert [(t.concept, dict(t.counts)) for t in found.tallies] == [("nurse", {"woman": 0, "man": 1})]
    assert said in found.notes
    pq.write_table(pa.table({"caption": ["a nurse"]}), out / "captions.parquet")
    found = read_target(out, scratch=tmp_path).study
    assert [tally.n for tally in found.tallies if tally.attribute == "gender"] == [1]
    assert said in found.notes
    write_run(out / "run", [record(0, "woman")])
    found = read_target(out, scratch=tmp_path).study
    assert [t.n for t in found.tallies if t.attribute == "gender"] == [1]
    assert said in found.notes


def test_the_parquet_table_of_a_study_is_one_of_counts(tmp_path: Path) -> None:
    studies(tmp_path / "out", "study")
    table, text = tmp_path / "out" / "study" / "tallies.parquet", tmp_path / "out" / "study" / "tallies.csv"
    assert kind_of_target(table) == "counts"
    assert read_target(table, scratch=tmp_path).study.tallies == read_target(text, scratch=tmp_path).study.tallies
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(ValueError, match="no Parquet file"):
        read_target(table, scratch=tmp_path)


@pytest.mark.parametrize("reader", ["judge", "pocket"])
def test_a_reader_with_known_errors_has_its_shares_corrected(reader: str, tmp_path: Path) -> None:
    for k in range(3):
        put(tmp_path, f"images/nurse/{k}.png", picture("man"))
    study = read_target(tmp_path / "images", scratch=tmp_path, perceiver=reader).study
    assert {one.attribute for one in study.confusions} == {"gender", "skin_tone"}  # occupations are not counted
    assert {(one.measured_on, tuple(one.sources)) for one in study.confusions} == {("held-out drawings", ("images",))}
    assert [one.attribute for one in corrections(study.tallies, study.confusions)] == ["gender", "skin_tone"]


def test_an_open_reader_needs_no_name_and_keeps_its_own(tmp_path: Path) -> None:
    put(tmp_path, "images/nurse/1.png", picture("man"))
    write_run(tmp_path / "run", [record(0, "woman")])
    for target in ("images", "run"):
        study = read_target(tmp_path / target, scratch=tmp_path, reader=ByColour()).study
        assert [source.facts["perceiver"] for source in study.sources] == ["ByColour"]
        study = read_target(tmp_path / target, scratch=tmp_path, reader=ByColour(), perceiver="colours").study
        assert [source.facts["perceiver"] for source in study.sources] == ["colours"]
    table = put(tmp_path, "t.csv", "prompt,attribute,group,count\nnurse,gender,woman,1\n")
    with pytest.raises(ValueError, match="leave out the perceiver"):
        read_target(table, scratch=tmp_path, reader=ByColour())


def test_what_a_killed_process_left_is_in_no_audit(tmp_path: Path) -> None:
    """Hidden folders beside outputs are passed over; a folder whose files were still moving up is refused."""
    write_run(tmp_path / "runs" / "run", [record(0, "woman"), record(1, "man")])
    write_run(tmp_path / "runs" / ".part-0123", [record(0, "woman")])
    (tally,) = read_target(tmp_path / "runs", scratch=tmp_path, attributes=["gender"]).study.tallies
    assert tally.n == 2
    captions = pa.table({"caption": ["a nurse"]})
    for folder in ("data", "data/.part-0123"):
        (tmp_path / folder).mkdir()
        pq.write_table(captions, tmp_path / folder / "a.parquet")
    assert read_target(tmp_path / "data", scratch=tmp_path).study.tallies[0].n == 1
    (tmp_path / "runs" / ".unfinished-0123").mkdir()
    with pytest.raises(ValueError, match="runs is not finished: what wrote it was killed; remove it"):
        read_target(tmp_path / "runs", scratch=tmp_path)
