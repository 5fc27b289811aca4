"""Study folders: what is saved comes back, whole or not at all."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fair_diffusion.audit.folder import SAMPLE_SIDE, load_study, save_study
from fair_diffusion.audit.study import Disputed, Labelled, Quota, Sample, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.csv_rows import read_csv
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.perception.confusion import Confusion

COLUMNS = ("prompt", "attribute", "group", "count", "source", "target")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, 2**40)
SHARE = st.floats(0, 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def tallies(draw: st.DrawFn) -> list[Tally]:
    keys = draw(st.lists(st.tuples(TEXT, TEXT, TEXT), unique=True, max_size=4))
    made = []
    for source, concept, attribute in keys:
        counts = draw(st.dictionaries(TEXT.filter(lambda group: group != "unknown"), COUNT, max_size=4))
        target = {group: draw(SHARE) for group in counts if draw(st.booleans())}
        made.append(
            Tally(
                source=source,
                concept=concept,
                attribute=attribute,
                counts=counts,
                unknown=draw(COUNT),
                target=target or None,
            )
        )
    return made


SOURCES = st.builds(
    Source,
    name=TEXT,
    kind=st.sampled_from(["data", "plain", "instructed", "other"]),
    facts=st.dictionaries(TEXT, TEXT, max_size=2),
    asked=st.booleans(),
    ratio=st.none() | NUMBER,
    seconds=st.none() | NUMBER,
    quality=st.dictionaries(TEXT, NUMBER, max_size=2),
    selection=st.dictionaries(TEXT, COUNT, max_size=2),
    stopped=st.none() | SHARE,
)
CONFUSIONS = st.builds(
    Confusion,
    attribute=TEXT,
    groups=st.lists(TEXT, max_size=3),
    counts=st.lists(st.lists(COUNT, max_size=3), max_size=3),
    measured_on=TEXT,
    sources=st.lists(TEXT, max_size=2),
)
QUOTAS = st.builds(Quota, source=TEXT, concept=TEXT, attribute=TEXT, counts=st.dictionaries(TEXT, COUNT, max_size=3))
DISPUTED = st.builds(
    Disputed,
    source=TEXT,
    concept=TEXT,
    attribute=TEXT,
    counts=st.dictionaries(TEXT, COUNT, max_size=3),
    unknown=COUNT,
)
LABELLED = st.builds(
    Labelled,
    source=TEXT,
    concept=TEXT,
    attribute=TEXT,
    groups=st.lists(TEXT, max_size=3),
    counts=st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3),
    table=TEXT,
    skipped=st.one_of(st.just(()), st.lists(st.integers(0, 9), min_size=1, max_size=3)),
)
STUDIES = st.builds(
    Study,
    title=TEXT,
    sources=st.lists(SOURCES, max_size=3),
    tallies=tallies(),
    perceived=tallies(),
    samples=st.just([]),
    drawn=TEXT,
    unit=TEXT,
    quotas=st.lists(QUOTAS, max_size=2),
    disputed=st.lists(DISPUTED, max_size=2),
    confusions=st.lists(CONFUSIONS, max_size=2),
    perceived_confusions=st.lists(CONFUSIONS, max_size=2),
    labelled=st.lists(LABELLED, max_size=2),
    broken=st.lists(TEXT, max_size=2),
    notes=st.lists(TEXT, max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(study=STUDIES)
def test_what_is_saved_comes_back(study: Study) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_study(study, Path(folder, "study"))
        found = load_study(Path(folder, "study"))
        assert found == study
        assert [list(tally.counts) for tally in found.tallies] == [list(tally.counts) for tally in study.tallies]
        written = [row for _, row in read_csv(Path(folder, "study", "tallies.csv"), required=COLUMNS)]
        rows = pq.read_table(Path(folder, "study", "tallies.parquet")).to_pylist()
        assert written == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        assert sum(row["count"] for row in rows) == sum(tally.n for tally in study.tallies)


def tally(**changes: Any) -> Tally:
    return Tally(**{"source": "plain", "concept": "a", "attribute": "gender", "counts": {"x": 1, "y": 2}, **changes})


def study(**changes: Any) -> Study:
    return Study(**{"title": "t", "sources": [Source(name="plain")], "tallies": [tally()], **changes})


def sample(image: Path) -> Sample:
    return Sample(image=image, source="plain", concept="a", labels={"gender": None}, confidence={"gender": 0.5})


def test_phrasings_come_back(tmp_path: Path) -> None:
    phrased = tally(phrasings=((1, 0, 0), (0, 2, 0)))
    save_study(study(tallies=[phrased, tally(concept="b")]), tmp_path / "study")
    assert load_study(tmp_path / "study").tallies == [phrased, tally(concept="b")]


def test_pictures_come_back_small_and_by_place(tmp_path: Path) -> None:
    large, small = Image.new("RGB", (900, 300), "red"), Image.effect_noise((64, 64), 50).convert("RGB")
    large.save(tmp_path / "large.jpg")
    small.save(tmp_path / "small.png")
    given = study(samples=[sample(tmp_path / "large.jpg"), sample(tmp_path / "small.png")])
    save_study(given, tmp_path / "study")
    found = load_study(tmp_path / "study")
    assert [replace(s, image=o.image) for s, o in zip(found.samples, given.samples, strict=True)] == given.samples
    assert open_picture(found.samples[0].image).size == (SAMPLE_SIDE, SAMPLE_SIDE * 300 // 900)
    assert open_picture(found.samples[1].image).tobytes() == small.tobytes()


def test_pictures_stand_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # as a camera notes that it was held upright
    Image.new("RGB", (60, 30)).save(tmp_path / "a.jpg", exif=turned)
    save_study(study(samples=[sample(tmp_path / "a.jpg")]), tmp_path / "study")
    with Image.open(tmp_path / "study" / "samples" / "00000.png") as image:
        assert image.size == (30, 60)


@pytest.mark.parametrize("damage", ["gone", "cut", "text"])
def test_a_damaged_picture_costs_only_itself(damage: str, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    given = study(samples=[sample(tmp_path / "a.png")] * 3, notes=["before"])
    save_study(given, tmp_path / "study")
    path = tmp_path / "study" / "samples" / "00001.png"
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:400] if damage == "cut" else b"no picture")
    found = load_study(tmp_path / "study")
    assert [s.image.name for s in found.samples] == ["00000.png", "00002.png"]
    assert found.tallies == given.tallies
    assert found.notes[0] == "before"
    assert found.notes[1].startswith(
        "pictures of the contact sheet that cannot be opened, and are not shown: 1, such as samples/00001.png ("
    )
    save_study(found, tmp_path / "again")
    assert load_study(tmp_path / "again").notes == found.notes


def test_images_lie_beside(tmp_path: Path) -> None:
    images = pa.table({"file": ["a.png"], "source": ["plain"], "concept": ["a"], "gender": ["x"]})
    save_study(study(), tmp_path / "study", images)
    assert pq.read_table(tmp_path / "study" / "images.parquet").equals(images)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tallies": [tally(), tally()]}, "tallied twice"),
        ({"tallies": [tally(counts={"unknown": 1})]}, "Tally.unknown"),
        ({"tallies": [tally(target={"z": 1.0})]}, "'z'"),
        ({"sources": [Source(name="plain", ratio=float("inf"))]}, "inf"),
    ],
)
def test_a_wrong_study_leaves_nothing(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_study(study(**wrong), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_missing_picture_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        save_study(study(samples=[sample(tmp_path / "nowhere.png")]), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no study"):
        load_study(tmp_path)
    with pytest.raises(ValueError, match="no study"):
        load_study(tmp_path / "nowhere")
    save_study(study(), tmp_path / "study")
    with pytest.raises(ValueError, match="not empty"):
        save_study(study(), tmp_path / "study")
    plain = json.loads((tmp_path / "study" / "study.json").read_text())
    for damaged in ("", "[]", "{}", json.dumps(plain | {"sources": [{"nam": "x"}]})):
        (tmp_path / "study" / "study.json").write_text(damaged)
        with pytest.raises(ValueError, match="damaged study"):
            load_study(tmp_path / "study")
