"""The counts that Fair Diffusion published must give the figures that it published; a public clone has neither."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.tally import Tally

COUNTS = Path(__file__).parents[2].parent / "shared" / "data" / "published_counts.csv"


def published(source: str, target: dict[str, float] | None = None) -> Sequence[Tally]:
    """One tally per occupation; skips the test where the file is missing."""
    if not COUNTS.is_file():
        pytest.skip("the published counts are not part of this repository")
    counts: dict[str, dict[str, int]] = {}
    with COUNTS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] == source:
                counts.setdefault(row["prompt"], {})[row["group"]] = int(row["count"])
    return [
        Tally(
            source=source,
            concept=concept,
            attribute="gender",
            counts={"man": found["man"], "woman": found["woman"]},
            unknown=found["unknown"],
            target=target,
        )
        for concept, found in counts.items()
    ]


@pytest.mark.parametrize(
    ("source", "tv", "kl", "inside"),
    [
        ("laion", 0.258, 0.193, None),
        ("stable-diffusion-1.5", 0.311, 0.306, 12),
        ("fair-diffusion", 0.105, 0.037, 64),
    ],
)
def test_deviations_are_those_published(source: str, tv: float, kl: float, inside: int | None) -> None:
    for target in ({"man": 0.5, "woman": 0.5}, None):
        (found,) = deviations(published(source, target))
        assert found.concepts == 153
        assert found.assumed == (target is None)
        assert round(found.tv_mean, 3) == tv
        assert found.kl_mean is not None
        assert round(found.kl_mean, 3) == kl
        assert inside is None or found.inside_band == inside


def test_amplification_is_that_published() -> None:
    lines = summarize(published("stable-diffusion-1.5"), reference=published("laion"))
    for group in ("woman", "man"):
        relations = Counter(line.relation for line in lines if line.group == group)
        percent = {relation: round(100 * count / 153, 1) for relation, count in relations.items()}
        assert percent == {"amplified": 56.9, "reflected": 21.6, "mitigated": 21.6}


def test_where_the_published_edit_fails() -> None:
    plain, instructed = summarize(published("stable-diffusion-1.5")), summarize(published("fair-diffusion"))
    pairs = [(a.share, b.share) for a, b in zip(plain, instructed, strict=True) if a.group == "woman"]
    many = [after for before, after in pairs if before > 0.7]
    few = [after for before, after in pairs if before < 0.3]
    assert round(100 * sum(many) / len(many)) == 68
    assert round(100 * sum(few) / len(few)) == 41
