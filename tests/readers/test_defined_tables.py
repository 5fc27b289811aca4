"""Tables, labels, captions and folders that name attributes of one's own: read by their definitions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_examples import put
from PIL import Image

from fair_diffusion.perception.human import HumanLabels, opened
from fair_diffusion.policy import Attributes
from fair_diffusion.readers.captions import CaptionCounts
from fair_diffusion.readers.labelled_folder import read_labelled
from fair_diffusion.readers.reference import read_reference
from fair_diffusion.readers.target import kind_of_target, read_target

DEFINED = Attributes.named("glasses", "monk")
COUNTS = {"glasses": 3, "no glasses": 7}


def counts(path: Path, attribute: str, defined: Attributes | None = DEFINED) -> dict[str, int]:
    tallies = read_target(path, scratch=path.parent, defined=defined).study.tallies
    (tally,) = [one for one in tallies if one.attribute == attribute]
    return dict(tally.counts)


@pytest.mark.parametrize(
    "text",
    [
        "prompt,attribute,group,count\nnurse,Glasses,without glasses,7\nnurse,perceived glasses,Spectacles,3\n",
        "prompt,glasses,count\nnurse,no-glasses,7\nnurse,GLASSES,3\n",
        "prompt,no_glasses,glasses,unknown\nnurse,7,3,0\n",
        "prompt,attribute,no glasses,wearing glasses\nnurse,glasses,7,3\n",
    ],
)
def test_a_table_of_counts_in_every_form_has_the_groups_of_the_definition(text: str, tmp_path: Path) -> None:
    table = put(tmp_path, "t.csv", text)
    assert counts(table, "glasses") == COUNTS
    assert list(counts(table, "glasses")) == list(COUNTS)  # in its order too
    (tally,) = read_reference(str(table), scratch=tmp_path, defined=DEFINED)
    assert tally.counts == COUNTS


def test_groups_of_a_refined_attribute_are_spelt_and_ordered_as_it_does(tmp_path: Path) -> None:
    text = "prompt,attribute,group,count\nnurse,skin tone,Monk-10,1\nnurse,skin_tone,tone 2,2\n"
    table = put(tmp_path, "t.csv", text)
    assert counts(table, "skin_tone") == {"monk 02": 2, "monk 10": 1}
    assert list(counts(table, "skin_tone", None)) == ["Monk-10", "tone 2"]


def test_a_misspelt_group_is_told_and_a_table_that_needs_a_definition_says_which(tmp_path: Path) -> None:
    table = put(tmp_path, "t.csv", "prompt,attribute,group,count\nnurse,glasses,glases,3\nnurse,glasses,glasses,1\n")
    with pytest.raises(ValueError, match="line 2: glasses has no group 'glases'; did you mean 'glasses'"):
        read_target(table, scratch=tmp_path, defined=DEFINED)
    wide = put(tmp_path, "wide.csv", "prompt,glasses,no_glasses\nnurse,3,7\n")
    with pytest.raises(ValueError, match="--define glasses makes its groups known"):
        read_target(wide, scratch=tmp_path)


def test_labels_with_a_column_of_the_attribute(tmp_path: Path) -> None:
    text = "file,glasses,rater\na.png,glasses,x\nb.png,no glasses,x\nb.png,without glasses,y\n"
    table = put(tmp_path, "labels.csv", text)
    assert kind_of_target(table, defined=DEFINED) == "images"
    assert kind_of_target(table) == "counts"
    assert counts(table, "glasses") == {"glasses": 1, "no glasses": 1}
    for labels in (HumanLabels.load(table, DEFINED), opened(f"{table},glasses")):
        assert labels.groups == {"glasses": ("glasses", "no glasses")}
        assert labels.label("glasses", "b.png").label == "no glasses"
    odd = put(tmp_path, "with,comma.csv", "file,attribute,group\na.png,gender,F\n")
    assert opened(str(odd)).groups["gender"][0] == "woman"


def test_a_table_of_images_that_were_read_has_every_group(tmp_path: Path) -> None:
    columns = {"file": ["a.png"], "concept": ["nurse"], "glasses": ["no glasses"], "glasses_confidence": [0.9]}
    pq.write_table(pa.table(columns), tmp_path / "images.parquet")
    assert counts(tmp_path / "images.parquet", "glasses", None) == {"no glasses": 1}
    assert counts(tmp_path / "images.parquet", "glasses") == {"glasses": 0, "no glasses": 1}


def test_captions_state_what_a_definition_says(tmp_path: Path) -> None:
    captions = "caption\na nurse with glasses\na photo of a nurse\na nurse without glasses\na nurse in spectacles\n"
    assert counts(put(tmp_path, "c.csv", captions), "glasses") == {"glasses": 2, "no glasses": 1}


@pytest.mark.parametrize(
    ("caption", "groups"),
    [
        ("a nurse not wearing glasses", {"glasses": "no glasses"}),
        ("a nurse with glasses of water", {}),
        ("a hijabi nurse", {"gender": "woman", "head_covering": "headscarf"}),
        ("a nurse without a headscarf", {"head_covering": "uncovered"}),
        ("a turbaned nurse in a wheelchair", {"head_covering": "turban", "wheelchair": "in a wheelchair"}),
        ("a nurse pushing a wheelchair", {}),
    ],
)
def test_ready_definitions_read_captions_by_their_words(caption: str, groups: dict[str, str]) -> None:
    counting = CaptionCounts(Attributes.named("glasses", "head_covering", "wheelchair"))
    assert counting.add(caption) == ["nurse"]
    assert {attribute: group for _, attribute, group in counting.stated} == groups


def test_sub_folders_are_groups_of_the_definition(tmp_path: Path) -> None:
    for k, name in enumerate(("no_glasses", "Spectacles", "not sure")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (16, 16), (k, 0, 0)).save(tmp_path / name / "0.png")
    found = read_labelled(tmp_path, attribute="glasses", side=16, defined=DEFINED)
    assert found.names == ["glasses", "no glasses"]
    assert sorted(found.groups) == ["glasses", "no glasses", "unknown"]
    assert read_labelled(tmp_path, attribute="glasses", side=16).names == ["Spectacles", "no_glasses"]
