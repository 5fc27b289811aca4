"""Every example runs as it stands, on the pocket model or on random models of the real kinds.

The client of OpenAI is tried in tests/service, the page for a Space in tests/studio, with a browser.
"""

from __future__ import annotations

import ast
import io
import json
import re
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_readers import classifier_folder, clip_folder
from typer.testing import CliRunner

from fair_diffusion import Policy
from fair_diffusion.cli import app
from fair_diffusion.policy import match

EXAMPLES = Path(__file__).parents[1] / "examples"
TRIED = {"loaded_pipeline.py", "sdxl.py", "openai_client.py", "first_day.ipynb", "app.py", "from_statistics.py"}


def run(monkeypatch: pytest.MonkeyPatch, example: str, *arguments: str | Path) -> str:
    """What an example prints."""
    monkeypatch.setattr(sys, "argv", [example, *map(str, arguments)])
    said = io.StringIO()
    with redirect_stdout(said):
        runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    return said.getvalue()


def test_every_example_is_tried_and_on_the_page() -> None:
    files = {
        path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".ipynb", ".yaml") and "__" not in str(path)
    }
    assert {path.name for path in files if path.suffix != ".yaml"} == TRIED
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in files:
        assert str(path.relative_to(EXAMPLES)) in page, path


def test_a_loaded_pipeline_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pocket = tmp_path / "pocket"
    assert CliRunner().invoke(app, ["pocket", "export", str(pocket)]).exit_code == 0
    said = run(monkeypatch, "loaded_pipeline.py", pocket, "-n", "2", "--steps", "4", "--out", tmp_path / "out")
    assert "woman asked: 1" in said
    told = json.loads((tmp_path / "out" / "result.json").read_text())
    assert told["n"] == 2


def test_sdxl_draws_with_random_weights(
    tiny: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = tiny("sdxl")
    pipeline.save_pretrained(tmp_path / "sdxl")
    perceiver = f"clip:{clip_folder(tmp_path / 'clip', pipeline.tokenizer)}"
    judge = f"classifier:{classifier_folder(tmp_path / 'judge', {'woman': 0.9, 'man': 0.1})}"
    readers = ("--perceiver", perceiver, "--judge", judge)
    said = run(
        monkeypatch,
        "sdxl.py",
        "--model",
        tmp_path / "sdxl",
        *readers,
        "-n",
        "2",
        "--steps",
        "2",
        "--out",
        tmp_path / "o",
    )
    assert len(re.findall(r"gender woman asked: 1 drawn: 2", said)) == 3
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"0", "1", "2"}


def test_a_statistic_becomes_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, out = tmp_path / "counted.csv", tmp_path / "policy.yaml"
    table.write_text('occupation,women,men\nnurse,"1,500",500\nprimary school teacher,2,1\n', encoding="utf-8")
    said = run(monkeypatch, "policies/from_statistics.py", table, "--source", "made up, 2000", "--out", out)
    assert "wrote 2 rules" in said
    found = match(Policy.from_file(out), "a photo of a nurse")
    assert "made up, 2000" in found.reason
    assert [{cell[0]: share for cell, share in target.shares.items()} for target in found.targets] == [
        {"woman": Fraction(3, 4), "man": Fraction(1, 4), "androgynous": 0}
    ]
    found = match(Policy.from_file(out), "two primary school teachers")
    assert found.targets[0].shares[("woman",)] == Fraction(67, 100)


def test_a_table_without_numbers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "policy.yaml"
    with pytest.raises(SystemExit, match="fill in women and men of 'firefighter', as numbers"):
        run(
            monkeypatch,
            "policies/from_statistics.py",
            EXAMPLES / "policies" / "occupations.csv",
            *("--source", "x", "--out", out),
        )
    assert not out.exists()


@pytest.mark.parametrize("policy", ["teaching.yaml", "stock.yaml"])
def test_policies_are_read_and_say_their_source(policy: str) -> None:
    path = EXAMPLES / "policies" / policy
    assert "# Source of the aim: " in path.read_text(encoding="utf-8")
    rules = Policy.from_file(path)
    assert not rules.warnings
    assert match(rules, "a photo of a surgeon").targets
    assert not match(rules, "a historical painting of a surgeon").targets
    assert not match(rules, "a photo of a female surgeon").targets or "gender" not in str(
        match(rules, "a photo of a female surgeon").targets
    )


def test_the_notebook_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "first_day.ipynb").read_text(encoding="utf-8"))
    known: dict[str, Any] = {"__name__": "__main__"}
    last, said = None, io.StringIO()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "outputs are not kept in the repository"
            code = "".join(cell["source"]).replace("IMAGES, STEPS = 8, 25", "IMAGES, STEPS = 2, 4")
            with redirect_stdout(said):
                last = executed(code, known) or last
    assert isinstance(last, Image.Image)
    for told in (
        "a photo of a firefighter → rule",
        "woman: 1 of 2 drawn, 1 asked",
        "instructed: 50% women",
        "the report",
    ):
        assert told in said.getvalue()


def executed(code: str, known: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    *lines, final = ast.parse(code).body
    exec(compile(ast.Module(lines, []), "cell", "exec"), known)
    if isinstance(final, ast.Expr):
        return eval(compile(ast.Expression(final.value), "cell", "eval"), known)
    exec(compile(ast.Module([final], []), "cell", "exec"), known)
    return None
