"""Attributes that a person defines, through the whole flow on the pocket model: readers with further heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fair_diffusion import FairPipeline, Ledger
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.policy import Attributes
from fair_diffusion.runs.label_counts import label_counts
from fair_diffusion.runs.records import run_at

DEFINITIONS = Path(__file__).parents[2] / "recipes/pocket/styles.yaml"
HEADS = f"pocket:{WEIGHTS / 'styles-perceiver.safetensors'}", f"judge:{WEIGHTS / 'styles-judge.safetensors'}"
HALVES = "every occupation: half fair, half deep"
GROUPS = ("fair", "tan", "deep")


@pytest.fixture(scope="module")
def defined() -> Attributes:
    return Attributes.named(DEFINITIONS)


@pytest.fixture(scope="module")
def pipe() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket", perceiver=HEADS[0], judge=HEADS[1])


def test_words_of_a_definition_steer_and_the_run_tells_what_it_was(
    pipe: FairPipeline, defined: Attributes, tmp_path: Path
) -> None:
    result = pipe(
        "a photo of a cook", n=4, seed=3, steps=6, instruct=HALVES, attributes=defined, hold="gender, drawing_style"
    )
    assert [(row.attribute, row.group, row.quota) for row in result.audit] == [
        ("complexion", "fair", 2),
        ("complexion", "tan", 0),
        ("complexion", "deep", 2),
    ]
    assert sum(row.count for row in result.audit) + result.audit[0].unknown == 4
    steered = [record for record in result.records if record.steered]
    assert steered
    for record in result.records:
        assert record.definitions == defined.own
    words = {"fair": "cook with light skin", "deep": "cook with dark skin"}
    assert all(words[record.steered_to["complexion"]] in record.used_prompt for record in steered)
    assert all(record.held.keys() <= {"gender", "drawing_style"} for record in steered)
    result.save(tmp_path / "run")
    counts = label_counts(run_at(tmp_path / "run"))
    assert tuple(counts["complexion"]) == (*GROUPS, None)
    assert {group: counts["complexion"][group] for group in GROUPS} == {row.group: row.count for row in result.audit}


def test_what_a_reader_cannot_read_is_said_before_anything_is_drawn(pipe: FairPipeline, defined: Attributes) -> None:
    with pytest.raises(ValueError, match="judge of 'pocket' cannot read 'drawing_style'") as caught:
        pipe("a cook", instruct="every occupation: half Noto, half Fluent", attributes=defined)
    assert "it reads gender, skin_tone, complexion; clip:MODEL" in str(caught.value)
    with pytest.raises(ValueError, match="cannot read 'glasses'"):
        pipe("a cook", instruct="every occupation: glasses 30%", attributes=Attributes.named("glasses"))


@pytest.mark.usefixtures("short_descent")
def test_methods_without_words_only_need_a_reader(pipe: FairPipeline, defined: Attributes) -> None:
    both = FairPipeline(
        pipe.backbone.pipeline,
        name="pocket",
        perceiver=pipe.perceiver,
        judge=pipe.perceiver,
        early=pipe.early,
        card=pipe.card,
    )
    asked: dict[str, Any] = {
        "instruct": "every occupation: half Noto, half Fluent",
        "attributes": defined,
        "steps": 6,
        "seed": 3,
    }
    rejected = both("a cook", n=2, method="rejection", repair_budget=4, **asked)
    assert {record.assigned["drawing_style"] for record in rejected.records} == {"noto", "fluent"}
    assert all(record.used_prompt == "a cook" for record in rejected.records)
    moved = both("a cook", n=2, method="latents", **asked)
    assert {record.assigned["drawing_style"] for record in moved.records} == {"noto", "fluent"}
    joint = both("a cook", n=2, steps=6, instruct="cook: half fair women, half deep men", attributes=defined)
    assert {row.attribute for row in joint.audit} == {"gender × complexion"}


def test_a_ledger_keeps_a_stream_for_each_definition(pipe: FairPipeline, defined: Attributes, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for _ in range(2):
        pipe("a cook", n=1, steps=4, instruct=HALVES, attributes=defined, ledger=ledger, repair_budget=0)
    assert [row.group for row in ledger.rows()] == list(GROUPS)
    assert sum(row.asked for row in ledger.rows()) == 2
    (tmp_path / "other.yaml").write_text(DEFINITIONS.read_text().replace("label: complexion", "label: tone of skin"))
    other = Attributes.named(tmp_path / "other.yaml")
    pipe("a cook", n=1, steps=4, instruct=HALVES, attributes=other, ledger=ledger, repair_budget=0)
    assert len({row.stream for row in ledger.rows()}) == 2
