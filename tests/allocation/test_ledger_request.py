"""A request and the ledger: what is asked, what came out, and what becomes of a request that does not end well."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fair_diffusion.allocation.ledger import Ledger, LedgerError
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, built_in, match

HEADS = {name: built_in()[name].group_names for name in ("gender", "skin_tone")}
ASKED: dict[str, Any] = {"instruct": "doctor: 3/4 women", "steps": 1, "method": "prompt"}


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return FairPipeline(tiny_sd, name="tiny", perceiver=pocket.build(HEADS).eval(), judge=judge.build(HEADS).eval())


def asked(ledger: Ledger) -> dict[str, int]:
    return {row.group: row.asked for row in ledger.rows() if row.share}


def test_single_requests_meet_the_target_together(pipe: FairPipeline, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    given: list[str] = []
    for seed in range(8):
        (record,) = pipe("a doctor", n=1, seed=seed, ledger=ledger, **ASKED).records
        given.append(record.assigned["gender"])
    rows = {row.group: row for row in ledger.rows()}
    assert asked(ledger) == dict(Counter(given))
    assert sum(row.perceived for row in rows.values()) <= 8
    assert {row.pending for row in rows.values()} == {0}
    if all(row.perceived == 0 for row in rows.values()):  # unsure perceiver: what was asked counts
        assert Counter(given) == {"woman": 6, "man": 2}


def test_what_was_not_drawn_is_given_back(pipe: FairPipeline, tmp_path: Path) -> None:
    def stop(info: Any) -> None:
        if info.images[0] == 2:
            raise KeyboardInterrupt

    ledger = Ledger(tmp_path / "ledger.sqlite")
    result = pipe("a doctor", n=4, batch_size=2, ledger=ledger, on_step=stop, **ASKED)
    assert len(result.images) == sum(asked(ledger).values()) == 2
    assert {row.pending for row in ledger.rows()} == {0}


def test_an_error_counts_nothing(pipe: FairPipeline, tmp_path: Path) -> None:
    def fail(info: Any) -> None:
        raise RuntimeError("out of memory")

    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(RuntimeError, match="out of memory"):
        pipe("a doctor", n=4, ledger=ledger, on_step=fail, **ASKED)
    assert sum(asked(ledger).values()) == 0
    assert {row.pending for row in ledger.rows()} == {0}


def test_a_long_run_renews_its_turn(pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", lease=0.001)
    renewed: list[str] = []
    monkeypatch.setattr(ledger, "renew", lambda turn: renewed.append(turn.id))
    pipe("a doctor", n=2, ledger=ledger, **ASKED | {"steps": 3})
    assert renewed


def test_a_prompt_under_no_rule_takes_no_turn(pipe: FairPipeline, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    pipe("a female doctor", n=2, ledger=ledger, **ASKED)
    pipe("a doctor", n=2, ledger=ledger, **ASKED | {"method": "none"})
    assert ledger.rows() == []


def test_each_target_has_its_own_stream(pipe: FairPipeline, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    pipe("a doctor", n=5, ledger=ledger, **ASKED | {"instruct": "doctor: half women; skin tone uniform"})
    assert Counter(row.attributes for row in ledger.rows()) == {"gender": 3, "skin_tone": 5}
    assert {row.n for row in ledger.rows()} == {5}


@pytest.mark.parametrize(
    ("prompt", "sentence", "expected"),
    [
        ("a doctor", "doctor: half women", "doctor"),
        ("a physician", "doctor: half women", "doctor"),
        ("a photo of two surgeons", "every occupation: half women", "every occupation: surgeon"),
        ("a nurse", "nurse, doctor: half women", "nurse, doctor: nurse"),
    ],
)
def test_each_concept_of_a_rule_has_its_own_stream(prompt: str, sentence: str, expected: str) -> None:
    assert ledger_key(match(Policy.from_sentence(sentence), prompt)) == expected


def test_a_ledger_that_fails_costs_no_image(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LedgerError("the ledger is locked; wait")

    ledger = Ledger(tmp_path / "ledger.sqlite", lease=0.001)
    monkeypatch.setattr(ledger, "settle", fail)
    monkeypatch.setattr(ledger, "renew", fail)
    result = pipe("a doctor", n=2, ledger=ledger, **ASKED)
    assert len(result.images) == 2
    assert result.notes[-1] == "the ledger did not count these images: the ledger is locked; wait"
    assert sum(asked(ledger).values()) == 0


def test_a_second_target_that_gets_no_turn_gives_the_first_one_back(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    reserve, calls = ledger.reserve, []

    def once(**arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise LedgerError("the ledger is locked; wait")
        return reserve(**arguments)

    monkeypatch.setattr(ledger, "reserve", once)
    with pytest.raises(LedgerError):
        pipe("a doctor", n=2, ledger=ledger, **ASKED | {"instruct": "doctor: half women; skin tone uniform"})
    assert {row.pending for row in ledger.rows()} == {0}


def test_a_calibrated_image_counts_as_a_group_with_the_probability_that_people_see_it(pipe: FairPipeline) -> None:
    (record,) = pipe("a doctor", n=1, **ASKED).records
    seen = {"gender": {"woman": 0.2, "man": 0.7, "androgynous": 0.0}}
    counted = Counter(replace(record, seed=seed, seen=seen).counted["gender"] for seed in range(4000))
    assert counted["woman"] / 4000 == pytest.approx(0.2, abs=0.02)
    assert counted["man"] / 4000 == pytest.approx(0.7, abs=0.02)
    assert counted["androgynous"] == 0
    assert counted[None] / 4000 == pytest.approx(0.1, abs=0.02)
    assert replace(record, seen=seen).counted == replace(record, seen=seen).counted
    assert record.counted == record.perceived


def test_a_stream_goes_on_where_a_calibration_is_new(tiny_sd: Any, pipe: FairPipeline, tmp_path: Path) -> None:
    rows = [
        LabelledImage(reader=reader, model="tiny", attribute="gender", people="woman", read=read)
        for reader in ("perceiver", "judge")
        for read in ("woman", "man")
    ]
    other = FairPipeline(
        tiny_sd, name="tiny", perceiver=pipe.perceiver, judge=pipe.judge, calibration=calibrated(rows, built_in())
    )
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for each in (pipe, other):
        each("a doctor", n=2, ledger=ledger, **ASKED)
    assert {row.stream for row in ledger.rows()} == {1}
    assert sum(asked(ledger).values()) == 4
