"""Folds: stable, held out everywhere, and never parting a figure's genders."""

from __future__ import annotations

from recipes.pocket.data import FONTS, OCCUPATIONS, TONES, fold_of
from recipes.pocket.readers import READERS

ICONS = [(job, tone) for job in OCCUPATIONS for tone in (f"{tone}-skin-tone" for tone in TONES)]


def test_a_tenth_is_held_out_from_every_reader() -> None:
    folds = [fold_of(f"woman-{job}-{tone}", "noto") for job, tone in ICONS]
    assert 0.03 < folds.count(0) / len(folds) < 0.2
    assert all(0 not in folds for _, folds, *_ in READERS.values())


def test_the_genders_of_one_figure_share_a_fold_unless_held_out() -> None:
    for job, tone in ICONS:
        folds = {fold_of(f"{prefix}{job}-{tone}", "twemoji") for prefix in ("woman-", "man-", "")}
        assert len(folds - {0}) <= 1


def test_both_fluent_fonts_draw_the_same_picture() -> None:
    assert {font.package for font in FONTS} >= {"fluent-emoji", "fluent-emoji-flat"}
    for job, tone in ICONS:
        assert fold_of(f"man-{job}-{tone}", "fluent-emoji") == fold_of(f"man-{job}-{tone}", "fluent-emoji-flat")
