"""The mix: captions show what they say, and the bias is the table's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from recipes.pocket.captions import GENDERS, Caption, Mix, article
from recipes.pocket.data import OCCUPATIONS, TONES, Drawing

PEOPLE = [
    Drawing(f"{job}-{gender}-{tone}", "font", job, gender, tone, 1)
    for job, gender, tone in itertools.product(OCCUPATIONS, GENDERS, TONES)
    if (job, gender) != ("guard", "androgynous")
]


@pytest.fixture(scope="module")
def mix() -> Mix:
    return Mix(PEOPLE)


def test_the_table_is_whole(mix: Mix) -> None:
    assert {row["drawing"] for row in mix.concepts.values()} == set(OCCUPATIONS)
    for row in mix.concepts.values():
        assert 0 <= row["women"] <= 1
        assert sum(mix.table["tones"][row["tones"]]) == pytest.approx(1)


def test_drawings_show_what_captions_fix(mix: Mix) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        caption = mix.caption(rng)
        drawing = PEOPLE[mix.draw(caption, rng)]
        assert caption.gender in (None, drawing.gender)
        assert caption.tone in (None, drawing.tone)
        if caption.concept:
            assert mix.concepts[caption.concept]["drawing"] == drawing.occupation


@pytest.mark.parametrize("concept", ["firefighter", "doctor", "nurse"])
def test_neutral_captions_have_the_shares_of_the_table(mix: Mix, concept: str) -> None:
    rng = np.random.default_rng(1)
    drawn = [PEOPLE[mix.draw(Caption(concept, concept), rng)] for _ in range(3000)]
    women = sum(d.gender == "woman" for d in drawn) / len(drawn)
    # Four standard errors of a share of 3,000.
    assert abs(women - mix.concepts[concept]["women"]) < 4 * (0.25 / 3000) ** 0.5
    assert all(d.gender != "androgynous" for d in drawn)


def test_empty_captions_show_what_the_mix_draws_of_any_concept(mix: Mix) -> None:
    rng = np.random.default_rng(2)
    drawn = [PEOPLE[mix.draw(Caption(""), rng)] for _ in range(6000)]
    expected = np.mean([row["women"] for row in mix.concepts.values()])
    women = [d.gender == "woman" for d in drawn]
    assert abs(np.mean(women) - expected) < 4 * (0.25 / 6000) ** 0.5
    # Within one occupation, too: the share is that occupation's own.
    singers = [d.gender == "woman" for d in drawn if d.occupation == "singer"]
    assert abs(np.mean(singers) - mix.concepts["singer"]["women"]) < 4 * (0.25 / len(singers)) ** 0.5
    assert all(d.gender != "androgynous" for d in drawn)


def test_captions_that_name_a_group_alone_are_even_in_the_rest(mix: Mix) -> None:
    rng = np.random.default_rng(3)
    drawn = [PEOPLE[mix.draw(Caption("a person with dark skin", None, None, "dark"), rng)] for _ in range(3000)]
    assert abs(np.mean([d.gender == "woman" for d in drawn]) - 0.5) < 4 * (0.25 / 3000) ** 0.5


def test_articles() -> None:
    assert [article(noun) for noun in ("artist", "female cook")] == ["an artist", "a female cook"]
