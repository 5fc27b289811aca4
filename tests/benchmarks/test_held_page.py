"""The page of held attributes and that of the last misses: what is counted, from images that are made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks import held, last_misses
from benchmarks.bench import Measured
from benchmarks.last_misses import CELLS, Try


def measured(
    tones: Sequence[str | None], seeds: Sequence[int], steered: Sequence[bool], perceived: Sequence[str | None]
) -> Measured:
    read = {
        by: [{"gender": "woman", "skin_tone": tone} for tone in told]
        for by, told in (("judged", tones), ("perceived", perceived))
    }
    facts = {**read, "seeds": list(seeds), "steered_images": list(steered)}
    return Measured(facts, np.zeros((len(tones), 2), np.float32))


def test_changed_are_steered_images_beside_the_plain_image_of_their_seed() -> None:
    tones = ["light", "medium", "light", "dark"]
    plain = measured(["light", "light", "dark", None], range(4), [False] * 4, ["light", "medium", "dark", "dark"])
    own = measured(tones, [0, 1, 2, 99], [False, True, True, True], tones)
    effect, both, distances = held.moved([own], [plain])
    assert (effect.steered, effect.changed) == (2, 2)  # the image from a new seed has no plain image
    assert both == 1  # the perceiver read medium in the other one from the beginning
    assert distances == [pytest.approx(0.25)]  # an unknown one has become a medium one


def test_each_way_is_drawn_with_and_without_holding() -> None:
    shown = held.rows(["switch", "published"])
    assert [row.hold for row in shown] == [False, False, False, True]
    assert [row.coin for row in shown] == [False, True, False, False]
    assert len({row.name for row in shown}) == 4
    assert held.held_cells("gender × skin tone", [], []) == ["", "", "", ""]


def test_a_run_leaves_the_sections_of_other_runs() -> None:
    first = held.page("", {"half women: switch": "| 0.1 |\n\nmore", "30 % women: switch": "| 0.2 |"})
    again = held.page(first, {"30 % women: switch": "| 0.3 |", "half women: semantic": "| 0.4 |"})
    assert again == first.replace("| 0.2 |", "| 0.3 |") + "\n## half women: semantic\n\n| 0.4 |\n"
    assert held.page(again, {}) == again


def test_the_worst_groups_come_first() -> None:
    def tries(first: bool, end: bool) -> list[Try]:
        return [Try(first=first, end=end, judged=end, cost=1.5)]

    found = {
        concept: {cell: tries(True, True) for cell in CELLS} | {("man", "dark"): tries(False, concept == "nurse")}
        for concept in ("nurse", "singer")
    }
    text = last_misses.page(found, 1)
    rows = [line for line in text.splitlines() if "→" in line and "group" not in line and "gender |" not in line]
    assert rows[0].startswith("| singer → man | 80% | 80% |")
    assert next(row for row in rows if "," in row.split("|")[1]).startswith("| singer → man, dark | 0% | 0% |")
    assert "1 of 20 have an image that was given up" in text
    assert "| all | 90% | 95% |" in text
