"""Is the occupation right: counted by hand, for readers that know it by this name or another, and for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from audit_examples import ByColour, picture, put, record, write_run
from PIL import Image

from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.perceiver import OCCUPATION, Reading, occupations
from fair_diffusion.readers.fidelity import Fidelity
from fair_diffusion.readers.folder import read_folder
from fair_diffusion.readers.run import read_run

KNOWN = {"cook": "cook", "health-worker": "health-worker", "nurse": "health-worker"}
NAME = "occupation right (read by judge; higher is better)"


class OfPeople(ByColour):
    """Tells occupations, nurses by another name, and developers by one that it does not have."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.aliases = {"nurse": "health-worker", "software developer": "technologist"}
        self.groups = {**ByColour.groups, OCCUPATION: names}


def test_shares_are_those_of_known_concepts_under_any_spelling() -> None:
    found = Fidelity(occupations(OfPeople(("construction-worker", "health-worker"))), by="judge")
    for concept, shown in [
        ("construction worker", "construction-worker"),
        ("Construction Workers", "health-worker"),
        ("nurse", "health-worker"),
        ("nurse", None),
        ("poet", "health-worker"),  # no reader knows it
        ("software developer", "health-worker"),  # nor this one, which has no head for technologists
    ]:
        found.add("plain", concept, shown)
    assert found.quality("plain") == {NAME: 2 / 4}
    assert found.quality("other") == {}
    assert found.notes() == [
        "occupation right: of 3 of 5 concepts; the reader does not know poet, software developer",
    ]


def test_a_reader_without_occupations_tells_nothing() -> None:
    found = Fidelity(occupations(ByColour()), by="judge")
    found.add("plain", "nurse", "nurse")
    assert (found.quality("plain"), found.notes()) == ({}, [])


def test_names_are_those_of_the_pocket_model() -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "pocket" / "mix.yaml"
    concepts = yaml.safe_load(recipe.read_text())["concepts"]
    drawn = {name: row["drawing"] for name, row in concepts.items() if row["drawing"].replace("-", " ") != name}
    for reader in (judge.load(), pocket.load()):
        own = {name: name for name in reader.groups[OCCUPATION]}
        assert occupations(reader) == own | drawn


def told(index: int, occupation: str | None, **changes: object) -> dict[str, object]:
    read = {"gender": "woman", OCCUPATION: occupation}
    return {**record(index, "woman"), "judged": read, "perceived": read, **changes}


def test_a_run_has_it_from_its_records(tmp_path: Path) -> None:
    shown = ["health-worker", "health-worker", "cook", None]
    twins = [told(k, "cook", method="none", rule=None) for k in range(4)]
    folder = write_run(tmp_path / "run", [told(k, name) for k, name in enumerate(shown)], twins=twins, knows=KNOWN)
    plain, instructed = read_run(folder, scratch=tmp_path).study.sources
    assert (plain.quality, instructed.quality) == ({NAME: 0.0}, {NAME: 0.5})


def test_records_of_a_judge_that_did_not_say_what_it_tells_have_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [told(0, "nurse")])
    assert read_run(folder, scratch=tmp_path).study.sources[0].quality == {}
    write_run(tmp_path / "other", [told(0, "cook")], knows={"cook": "cook"})
    study = read_run(tmp_path / "other", scratch=tmp_path).study
    assert (study.sources[0].quality, study.notes) == ({}, ["a note"])  # of nurses it knows nothing, and of nobody else


class WithOccupation(ByColour):
    """Red pictures show cooks, all others nothing."""

    groups: Mapping[str, Sequence[str]] = {**ByColour.groups, OCCUPATION: ("cook",)}

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        found = super().read(images)
        return {**found, OCCUPATION: [Reading("cook" if r.label == "woman" else None, 1.0) for r in found["gender"]]}


def test_a_folder_has_it_from_its_perceiver(tmp_path: Path) -> None:
    for k, group in enumerate(["woman", "man", "woman", "woman"]):
        put(tmp_path, f"photos/cook/{k}.png", picture(group))
    put(tmp_path, "photos/poet/0.png", picture("man"))
    study = read_folder(tmp_path / "photos", WithOccupation(), perceiver_name="colour", scratch=tmp_path).study
    assert study.sources[0].quality == {"occupation right (read by colour; higher is better)": pytest.approx(0.75)}
    assert {tally.attribute for tally in study.tallies} == {"gender"}  # it is asked for, not shared out
    assert study.notes == ["occupation right: of 1 of 2 concepts; the reader does not know poet"]
