"""Counts of labels in one run: the same as an audit of the run, without reading images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from audit_examples import record, write_run

from fair_diffusion.readers.run import read_run
from fair_diffusion.runs.label_counts import label_counts
from fair_diffusion.runs.records import run_at

JOINT = "gender × mood"


def records(method: str = "semantic") -> list[dict[str, Any]]:
    rows = [record(k, group, method=method) for k, group in enumerate(["woman", "man", None, "woman"])]
    moods = ["glad", None, "sad", "glad"]
    for row, mood in zip(rows, moods, strict=True):
        row["judged"] = row["judged"] | {"mood": mood}
    del rows[3]["judged"]["skin_tone"]
    return rows


def audited(folder: Path, attributes: list[str] | None) -> dict[str, dict[str | None, int]]:
    """The counts of an audit, over all its sources."""
    counts: dict[str, Counter[str | None]] = {}
    for tally in read_run(folder, scratch=folder, attributes=attributes).study.tallies:
        shown = counts.setdefault(tally.attribute, Counter())
        shown.update(tally.counts)
        shown[None] += tally.unknown
    return {name: dict(shown) for name, shown in counts.items()}


@pytest.mark.parametrize("attributes", [None, ["gender"], [JOINT, "skin_tone"]])
@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("target", [None, {"woman × glad": 0.5, "man × glad": 0.5}])
def test_counts_are_those_of_an_audit(
    attributes: list[str] | None, twins: bool, target: dict[str, float] | None, tmp_path: Path
) -> None:
    plain = [{**row, "rule": None} for row in records("none")] if twins else []
    folder = write_run(tmp_path / "run", records(), twins=plain, target=target, attribute=JOINT)
    counts = label_counts(run_at(folder), attributes)
    assert {name: dict(shown) for name, shown in counts.items()} == audited(folder, attributes)
    assert (JOINT in counts) == (target is not None if attributes is None else JOINT in attributes)
    assert all(sum(shown.values()) == (8 if twins else 4) for shown in counts.values())


def test_groups_that_nobody_shows_count_zero(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", records())
    counts = label_counts(run_at(folder), ["gender", JOINT])
    assert counts["gender"]["woman"] == 2
    assert counts["gender"]["man"] == 1
    assert counts["gender"][None] == 1
    assert counts[JOINT] == {group: 2 if group == "woman × glad" else 0 for group in counts[JOINT] if group} | {None: 2}


def test_what_was_not_read_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", records())
    with pytest.raises(ValueError, match="nothing was read of 'hair'; choose from gender, skin_tone, mood"):
        label_counts(run_at(folder), ["hair"])
    row = record(0, "woman")
    row["judged"]["skin_tone"] = "tanned"
    folder = write_run(tmp_path / "other", [row])
    with pytest.raises(ValueError, match="'tanned' is no group of skin_tone"):
        label_counts(run_at(folder), ["skin_tone"])
