"""Bounds of a reader's error hold the truth, whatever the prompt obtained, as long as agreement is right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generated_readings import Seen, bounds

GROUPS = ("woman", "man", None)


@given(st.lists(st.tuples(*(st.sampled_from(GROUPS) for _ in range(3))), max_size=30))
def test_the_bounds_hold_the_error_where_two_that_agree_are_right(
    rows: list[tuple[str | None, str | None, str | None]],
) -> None:
    """Where prompt and witness agree they are right; else the truth is anything, as both ends allow."""
    seen = [Seen("nurse", "gender", asked or "woman", {"judge": said}, witness) for asked, said, witness in rows]
    least, most = bounds(seen, "judge")
    for other in GROUPS:
        truth = [row.asked if row.asked == row.witness else other for row in seen]
        errors = sum(true != row.said["judge"] for true, row in zip(truth, seen, strict=True))
        assert least <= errors <= most


def test_what_the_witness_and_the_prompt_say_against_the_judge_is_its_error() -> None:
    said = [("woman", "man", "woman"), ("woman", "woman", "woman"), ("man", "woman", "woman"), ("man", "man", None)]
    seen = [Seen("nurse", "gender", asked, {"judge": judge}, witness) for asked, judge, witness in said]
    assert bounds(seen, "judge") == (1, 3)
