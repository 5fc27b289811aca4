from __future__ import annotations

import pytest

from fair_diffusion.steering import directions


def test_towards_the_assigned_away_from_the_others() -> None:
    assert directions([1, None, 0], 3).tolist() == [[-1, 1, -1], [0, 0, 0], [1, -1, -1]]
    assert directions([0, 1], 2).tolist() == [[1, -1], [-1, 1]]
    assert directions([], 2).shape == (0, 2)


@pytest.mark.parametrize("group", [2, -1])
def test_unknown_group(group: int) -> None:
    with pytest.raises(ValueError, match=f"image 1 has group {group}"):
        directions([0, group], 2)
