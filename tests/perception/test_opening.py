"""The table of perceivers: what it says is true of them, and messages are made from it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from fair_diffusion.perception.opening import NAMES, PERCEIVERS, names_where, open_perceiver
from fair_diffusion.perception.perceiver import OCCUPATION, Perceiver
from fair_diffusion.perception.skin_tone import SkinTone

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "perceivers.md"


def class_of(name: str) -> type[Perceiver]:
    """The class of the perceivers that a kind opens."""
    opened: type[Perceiver] = get_type_hints(import_module(f"fair_diffusion.perception.{name}").opened)["return"]
    return opened


@pytest.mark.parametrize("name", PERCEIVERS)
def test_the_table_says_what_a_kind_can(name: str) -> None:
    kind = PERCEIVERS[name]
    assert hasattr(class_of(name), "embed") is kind.features
    assert hasattr(class_of(name), "probabilities") is (kind.gradient or name == "judge")
    assert kind.looks is (name != "human")


@pytest.mark.parametrize("name", ["pocket", "judge", "skin_tone"])
def test_the_table_says_who_reads_occupations(name: str) -> None:
    assert (OCCUPATION in open_perceiver(name).groups) is PERCEIVERS[name].occupations


@pytest.mark.parametrize("scale", PERCEIVERS["skin_tone"].choices)
def test_a_choice_is_passed_on(scale: str) -> None:
    opened = open_perceiver(f"skin_tone:{scale}")
    assert isinstance(opened, SkinTone)
    assert opened.scale == scale


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("magic", f"unknown perceiver 'magic'; use one of {', '.join(NAMES)}"),
        ("", "unknown perceiver ''"),
        ("perceiver", "unknown perceiver 'perceiver'"),
        ("pocket:64", "unknown perceiver 'pocket:64'"),
        ("clip", "'clip' names no model or file; write it as in clip:MODEL"),
        ("human:", "'human:' names no model or file; write it as in human:CSV"),
        ("skin_tone:rgb", "unknown scale 'rgb'"),
    ],
)
def test_a_name_that_opens_nothing(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        open_perceiver(spec)


def test_names_for_messages() -> None:
    assert names_where(gradient=True) == "pocket, clip:MODEL, classifier:MODEL or trained:FOLDER"
    assert names_where(features=True) == "pocket, judge, clip:MODEL or trained:FOLDER"


def test_the_page_has_a_row_for_every_kind() -> None:
    rows = [line.split("|")[1] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    shown = re.findall(r"`(\w+)", " ".join(rows))
    assert set(shown) == set(PERCEIVERS)
