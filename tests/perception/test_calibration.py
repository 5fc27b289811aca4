"""Calibrations: plain data with a version, saved whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fair_diffusion.files.format_number import NewerFormatError
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.statistics.pooled_rates import pooled_rates


def labels(*pairs: tuple[str | None, str | None, int], concept: str = "nurse", **told: object) -> list[LabelledImage]:
    """So many images each in which people saw one group and the perceiver read the other."""
    one = LabelledImage(reader="perceiver", model="pocket", attribute="gender", people=None, read=None, concept=concept)
    one = replace(one, **told)  # type: ignore[arg-type]
    return [replace(one, people=people, read=read) for people, read, n in pairs for _ in range(n)]


ROWS = [
    *labels(("woman", "woman", 12), ("woman", "man", 4), ("man", "man", 14), ("man", None, 1), (None, "man", 1)),
    *labels(("woman", "woman", 9), ("man", "man", 20), concept="pilot", guideline="b"),
    *labels(("woman", "woman", 3), concept="my neighbour Ada Byron", guideline="a"),
]


def made(rows: Sequence[LabelledImage] = ROWS) -> Calibration:
    return calibrated(rows, built_in())


def test_counts_and_rates_are_those_of_the_labels() -> None:
    (found,) = made().readers
    assert (found.labels, found.groups, list(found.guidelines)) == (64, ["woman", "man", "androgynous"], ["a", "b"])
    assert found.definition == built_in()["gender"].digest
    counts = np.array(found.counts)
    assert counts.tolist() == [[24, 4, 0, 0], [0, 34, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert np.array(found.rates)[0] == pytest.approx([25 / 29, 4 / 29, 0, 0])
    assert found.low[0][1] < 4 / 28 < found.high[0][1]


def test_a_concept_has_its_own_rates_and_one_without_labels_the_pooled_ones() -> None:
    (found,) = made().readers
    assert found.of("nurse")[0, 1] > found.of("pilot")[0, 1] > 0
    assert (found.of("nurses") == found.of("nurse")).all()  # as the vocabulary knows it
    assert (found.of("") == np.array(found.rates)).all()
    assert (found.of("teacher") == np.array(found.rates)).all()
    n = np.zeros((3, 4, 4))
    n[1, 0, 0], n[1, 0, 1], n[1, 1, 1], n[1, 1, 3], n[1, 3, 1] = 12, 4, 14, 1, 1
    n[2, 0, 0], n[2, 1, 1], n[0, 0, 0] = 9, 20, 3
    assert found.of("nurse") == pytest.approx(pooled_rates(n).own[1])


def test_no_prompt_is_kept() -> None:
    (found,) = made().readers
    assert set(found.concepts) == {"nurse", "pilot"}
    assert "Ada" not in json.dumps(made().plain())


def test_the_version_is_that_of_the_content() -> None:
    assert made().version == made(list(reversed(ROWS))).version
    assert made().version != made(ROWS[1:]).version
    assert len(made().version) == 12


def test_labels_weigh_by_their_probability() -> None:
    rows = [
        *labels(("woman", "woman", 10), probability=0.1),
        *labels(("woman", "man", 10), probability=0.4),
        *labels(("man", "man", 5), probability=0.2),
    ]
    (found,) = made(rows).readers
    counts = np.array(found.counts)
    assert counts[0, 0] / counts[0, 1] == pytest.approx(4)
    weight = np.array([10.0] * 10 + [2.5] * 10 + [5.0] * 5)
    assert counts.sum() == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert found.labels == 25
    half = [replace(row, probability=row.probability / 2) for row in rows]
    assert made(half).version == made(rows).version


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="label some"):
        made([])
    with pytest.raises(ValueError, match="has no group 'nobody'"):
        made(labels(("nobody", "man", 1)))
    with pytest.raises(ValueError, match="chosen images"):
        made(labels(("man", "man", 1), probability=0.0))
    with pytest.raises(ValueError, match="unknown attribute"):
        made(labels(("man", "man", 1), attribute="hat"))


def test_a_file_comes_back_and_is_written_only_if_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert made().save(path)
    before = path.stat().st_mtime_ns
    assert Calibration.load(path) == made()
    assert not made().save(path)
    assert path.stat().st_mtime_ns == before
    assert made(ROWS[1:]).save(path)
    assert Calibration.load(path).version == made(ROWS[1:]).version
    assert [each.name for each in tmp_path.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0" * 12}, "changed by hand"),
        ({"format": 3}, "newer version"),
        ({"readers": [{}]}, "damaged"),
        ({"readers": None}, "damaged"),
    ],
)
def test_a_damaged_file_is_refused_and_stays(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**made().plain(), **change}))
    content = path.read_bytes()
    with pytest.raises(ValueError, match=said):
        Calibration.load(path)
    with pytest.raises(ValueError, match=said):
        made().save(path)
    assert path.read_bytes() == content


def test_tables_of_a_wrong_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    plain = made().plain()
    plain["readers"][0]["rates"] = [[1.0]]
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError, match="4 × 4"):
        Calibration.load(path)


def test_a_newer_format_has_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**made().plain(), "format": 9}))
    with pytest.raises(NewerFormatError):
        Calibration.load(path)


def test_another_definition_is_another_attribute() -> None:
    found = made()
    gender = built_in()["gender"]
    assert found.find("perceiver", "pocket", gender) is not None
    assert found.find("judge", "pocket", gender) is None
    assert found.find("perceiver", "other", gender) is None
    assert found.find("perceiver", "pocket", replace(gender, called=("sex of the face",))) is None
    with pytest.raises(ValueError, match="tells nothing of 'other'"):
        found.check_for("other")


def test_the_same_reader_is_calibrated_once() -> None:
    (one,) = made().readers
    with pytest.raises(ValueError, match="calibrated twice"):
        Calibration(readers=[one, one])


def test_it_replaces_the_confusions_that_are_known_otherwise() -> None:
    known = [
        Confusion(attribute="gender", groups=["woman", "man"], counts=[[1, 0, 0], [0, 1, 0]], measured_on="drawings"),
        Confusion(attribute="age", groups=["young", "old"], counts=[[1, 0, 0], [0, 1, 0]], measured_on="drawings"),
    ]
    age, gender = made().replacing(known, "perceiver", "pocket", built_in())
    assert age is known[1]
    assert (gender.groups, gender.counts) == (["woman", "man"], [[24, 4, 0], [0, 34, 1]])
    assert list(gender.left_out) == ["androgynous"]
    assert made().version in gender.measured_on
    assert made().replacing(known, "judge", "pocket", built_in()) == known
    assert made(labels(("man", "man", 3))).replacing(known, "perceiver", "pocket", built_in()) == known


def test_labels_by_another_definition_replace_no_confusion() -> None:
    """The groups may be called the same and mean something else."""
    other = Attributes(
        replace(each, called=("face",)) if each.name == "gender" else each for each in built_in().values()
    )
    own = Confusion(attribute="gender", groups=["woman", "man"], counts=[[1, 0, 0], [0, 1, 0]], measured_on="drawings")
    assert made().replacing([own], "perceiver", "pocket", other) == [own]
    assert made().replacing([], "perceiver", "pocket", other) == []


def test_an_attribute_of_ones_own_is_calibrated_by_its_definition() -> None:
    own = Attributes.named("glasses")
    found = calibrated(labels(("glasses", "no glasses", 2), ("no glasses", "no glasses", 5), attribute="glasses"), own)
    assert found.readers[0].definition == own["glasses"].digest


def test_labels_of_two_readers_make_no_calibration() -> None:
    one, other = labels(("woman", "woman", 2), fingerprint="A"), labels(("man", "man", 2), fingerprint="B")
    assert made(one).readers[0].fingerprint == "A"
    assert made([*one, *labels(("man", "man", 1))]).readers[0].fingerprint == ""  # of one image nobody knows
    assert made(one).version != made(labels(("woman", "woman", 2))).version
    with pytest.raises(ValueError, match="read by 2 different perceivers"):
        made([*one, *other])


def test_a_very_small_probability_is_a_weight_like_any_other() -> None:
    """1 / 1e-300 squared is no number any more; what counts is how probabilities relate."""
    rows = [*labels(("woman", "woman", 1), probability=1e-300), *labels(("woman", "man", 9), probability=1.0)]
    (found,) = made(rows).readers
    assert np.sum(found.counts) == pytest.approx(1)
    assert found.counts[0][0] == pytest.approx(1)


def test_intervals_hold_where_few_labels_weigh_much() -> None:
    """Of women who are read as men only a fifth are among the labels: each stands for five. Truth: 5 % are."""
    rng = np.random.default_rng(3)
    held, runs = 0, 200
    for _ in range(runs):
        wrong = rng.random(200) < 0.05
        shown = ~wrong | (rng.random(200) < 0.2)
        right, misread = int((shown & ~wrong).sum()), int((shown & wrong).sum())
        rows = [*labels(("woman", "woman", right)), *labels(("woman", "man", misread), probability=0.2)]
        men = labels(("man", "man", 20), probability=0.2)
        (found,) = made([*rows, *men]).readers
        held += found.low[0][1] <= 0.05 <= found.high[0][1]
    assert held / runs >= 0.93
