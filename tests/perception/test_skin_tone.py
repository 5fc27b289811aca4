"""Skin tone: colours against published values, angles in closed form, scales, and what is no skin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fair_diffusion.perception.skin_tone import CUTS, FITZPATRICK, MONK, SkinTone, ita, lab, skin


def flat(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def rgb(code: str) -> tuple[int, int, int]:
    return (int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16))


# CIELAB under D65 of sRGB primaries, as tabulated (Lindbloom).
@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
    ],
)
def test_lab_of_known_colours(colour: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert lab(np.array([colour]))[0] == pytest.approx(expected, abs=2e-3)


def test_the_angle_in_closed_form() -> None:
    colours = np.array([[50 + 10 * math.tan(math.radians(angle)), 5.0, 10.0] for angle in (-60, -30, 0, 28, 55, 80)])
    assert ita(colours) == pytest.approx([-60, -30, 0, 28, 55, 80])


def test_fitzpatrick_has_its_published_cuts() -> None:
    scale = SkinTone("fitzpatrick")
    middles = np.array([70.0, 48.0, 35.0, 20.0, -10.0, -50.0])
    assert [FITZPATRICK[k] for k in scale.classes(middles)] == list(FITZPATRICK)
    for k, cut in enumerate(CUTS):
        assert scale.classes(np.array([cut + 1e-6, cut - 1e-6])).tolist() == [k, k + 1]


@pytest.mark.parametrize("k", range(len(MONK)))
def test_every_tone_of_the_monk_scale_is_skin_and_reads_as_itself(k: int) -> None:
    (reading,) = SkinTone("monk").read([flat(rgb(MONK[k]))])["skin_tone"]
    assert (reading.label, reading.confidence) == (f"monk {k + 1:02d}", 1.0)


@pytest.mark.parametrize("colour", [(128, 128, 128), (255, 255, 255), (0, 0, 0), (30, 60, 200), (20, 160, 40)])
def test_grey_blue_and_green_are_no_skin(colour: tuple[int, int, int]) -> None:
    (reading,) = SkinTone().read([flat(colour)])["skin_tone"]
    assert (reading.label, reading.confidence) == (None, 0.0)


def test_the_median_passes_over_eyes_and_background() -> None:
    image = Image.new("RGB", (100, 100), (30, 60, 200))
    image.paste(rgb(MONK[5]), (20, 20, 80, 80))
    image.paste((255, 255, 255), (30, 30, 40, 40))
    image.paste(rgb(MONK[8]), (50, 30, 60, 40))
    (reading,) = SkinTone("monk").read([image])["skin_tone"]
    assert reading.label == "monk 06"
    assert 0.9 < reading.confidence < 1.0


def test_too_little_skin_is_unknown() -> None:
    image = Image.new("RGB", (100, 100), (30, 60, 200))
    image.paste(rgb(MONK[5]), (0, 0, 10, 10))
    (reading,) = SkinTone().read([image])["skin_tone"]
    assert reading.label is None


@given(st.integers(0, 255))
def test_grey_of_any_brightness_is_never_skin(level: int) -> None:
    assert not skin(np.array([[level, level, level]], dtype=np.uint8)).any()


def angle(colour: tuple[float, float, float]) -> float:
    """The individual typology angle as its definitions say it (IEC 61966-2-1, CIE 15), in nothing but arithmetic."""
    r, g, b = (c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    _, fy, fz = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z))
    return math.degrees(math.atan2(116 * fy - 16 - 50, 200 * (fy - fz)))


@given(st.tuples(*[st.integers(0, 255)] * 3).filter(lambda colour: colour[0] > colour[2] + 8))
def test_the_angle_of_any_warm_colour_is_that_of_its_definition(colour: tuple[int, int, int]) -> None:
    # The constants of the two have four and seven digits; near black, where b* is nearly 0, that moves the angle most.
    apart = ita(lab(np.array([colour])))[0] - angle(colour)
    assert (apart + 180) % 360 - 180 == pytest.approx(0, abs=0.5)


def test_the_monk_scale_goes_from_light_to_dark() -> None:
    order = sorted(MONK, key=lambda code: -angle(rgb(code)))
    assert order == list(MONK)
    read = [SkinTone("monk").read([flat(rgb(code))])["skin_tone"][0].label for code in order]
    assert read == [f"monk {k:02d}" for k in range(1, 11)]


@pytest.mark.parametrize("scale", ["monk", "fitzpatrick"])
def test_less_light_never_makes_skin_lighter(scale: str) -> None:
    groups = SkinTone(scale).groups["skin_tone"]
    steps = [flat((round(200 * f), round(150 * f), round(120 * f))) for f in (1.25, 1.0, 0.8, 0.6, 0.45, 0.3)]
    shown = [reading.label for reading in SkinTone(scale).read(steps)["skin_tone"]]
    places = [groups.index(label) for label in shown if label is not None]
    assert places == sorted(places)
    assert len(set(places)) >= 4


def test_a_strange_scale_is_named() -> None:
    with pytest.raises(ValueError, match="unknown scale 'pantone'"):
        SkinTone("pantone")
