"""Shared options: one group on several verbs, and which of them were given."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.options import Auditing, Instruction, Loading, Sampling, Steering, grouped

VERBS = {
    "generate": (Instruction, Steering, Sampling, Loading),
    "rebalance": (Instruction, Sampling, Loading),
    "compare": (Sampling, Loading),
    "audit": (Auditing,),
    "audit-suite": (Instruction, Steering, Sampling, Loading, Auditing),
    "explain": (Instruction,),
}


class Colours(TypedDict, total=False):
    red: Annotated[int, typer.Option(help="how red")]
    blue: Annotated[str, typer.Option(help="how blue")]
    dark: Annotated[bool, typer.Option("--dark", help="without light")]
    shades: Annotated[list[str], typer.Option(help="repeatable")]


@pytest.mark.parametrize(
    ("arguments", "colours"),
    [
        ([], {}),
        (["--red", "0", "--blue", ""], {"red": 0, "blue": ""}),
        (["--dark", "--shades", "a", "--shades", "b"], {"dark": True, "shades": ["a", "b"]}),
    ],
)
def test_a_verb_receives_the_options_that_were_given(arguments: list[str], colours: dict[str, Any]) -> None:
    got: list[Any] = []
    small = typer.Typer()

    @small.command()
    @grouped
    def paint(wall: str, colours: Colours, coats: int = 1) -> None:
        got.extend([wall, colours, coats])

    found = CliRunner().invoke(small, ["north", *arguments])
    assert found.exit_code == 0, found.output
    assert got == ["north", colours, 1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_groups_that_it_can_use(verb: str) -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    names = {parameter.name for parameter in command.commands[verb].params}
    for group in VERBS[verb]:
        assert group.__annotations__.keys() <= names
