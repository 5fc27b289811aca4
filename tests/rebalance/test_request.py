"""What a rebalancing may ask for, and the attempts that it makes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.rebalance import Rebalance
from fair_diffusion.rebalance.request import DEEPEST, DEPTHS


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"way": "magic"}, "unknown way 'magic'; use one of inversion, sdedit"),
        ({"method": "prompt"}, "method 'prompt' cannot move images"),
        (
            {"method": "semantic", "control": "all"},
            "control is 'all', but images that fit are never moved; leave it out",
        ),
        ({"depth": 0.0}, "depth is 0.0"),
        ({"depth": 1.01}, "depth is 1.01"),
        ({"depth": math.nan}, "depth is nan"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Rebalance(prompt="a doctor", **wrong)


@given(st.sampled_from(list(DEPTHS)), st.none() | st.floats(0.01, 1))
def test_attempts_begin_weakly_and_only_grow(way: str, depth: float | None) -> None:
    attempts = Rebalance(prompt="a doctor", way=way, depth=depth).attempts
    first = DEPTHS[way] if depth is None else depth
    assert attempts[:2] == [(first, LEVELS[0]), (first, LEVELS[1])]
    assert len(attempts) <= 4
    for (shallow, weak), (deep, strong) in pairwise(attempts):
        assert (deep, strong) > (shallow, weak)
        assert deep >= shallow
        assert strong >= weak
    assert attempts[-1][0] <= max(first, DEEPEST)
