"""The verb `plan`: what it prints, and what it refuses."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.statistics.power import plan

run = CliRunner()


def test_a_person_reads_how_many() -> None:
    found = run.invoke(app, ["plan", "--target", "50", "--tolerance", "5", "--power", "0.8"])
    assert found.exit_code == 0
    assert "Target 50.0\u00a0% ± 5 points; with probability 0.8:" in found.stdout
    for number in ("1,053 images", "16 prompts", "385 labels"):
        assert number in found.stdout


def test_the_numbers_are_those_of_the_plan() -> None:
    found = run.invoke(app, ["plan", "--target", "20", "--groups", "5", "--json"])
    expected = plan(0.2, 0.05, groups=5)
    printed = json.loads(found.stdout)
    assert printed["images_on_target"] == expected.images_on_target
    assert printed["prompts_to_bound"] == {str(n): prompts for n, prompts in expected.prompts_to_bound.items()}


def test_wrong_usage_is_exit_code_2() -> None:
    for arguments in (["--target", "120"], ["--target", "0"], ["--power", "1"], ["--groups", "1"]):
        assert run.invoke(app, ["plan", *arguments]).exit_code == 2
