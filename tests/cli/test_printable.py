"""What a terminal would obey never reaches it, in whatever name it comes: one console prints everything."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from audit_examples import both
from typer.testing import CliRunner

import fair_diffusion
from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.audit.folder import save_study
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.cli import app
from fair_diffusion.files.text import printable
from fair_diffusion.policy.target import uniform

ROOT = Path(fair_diffusion.__file__).parent
EVIL = "\x1b]0;x\x07\x1b[31m\u202e\u2066\x9b2J[bold]:smile:[/x]"
"""A title for the window, a colour, reversed text, a control of one byte, and what a library for terminals obeys."""
CONSOLE = {"cli/console.py", "cli/terminal.py"}


def invoked(*arguments: object) -> str:
    """What a command prints on standard output and on standard error."""
    ended = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(one) for one in arguments])
    assert not isinstance(ended.exception, Exception) or isinstance(ended.exception, SystemExit), ended.exception
    return ended.output


def check(said: str, *, repeats: bool = True) -> None:
    """Check that a terminal obeys nothing in a text, and that the name was not passed over."""
    strange = {c for c in said if not c.isprintable()} - {"\n", "\u00a0", "\u202f"}
    assert not strange, said
    if repeats:
        whole = "".join(said.split())
        assert "\\x1b]0;x" in whole, said


def test_nothing_else_prints() -> None:
    others = []
    for module in sorted(ROOT.rglob("*.py")):
        name = module.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            prints = called in ("print", "Console", "typer.echo", "typer.secho", "typer.confirm", "typer.prompt")
            prints = prints or called.startswith(("sys.stdout.write", "sys.stderr.write", "click.", "console.print"))
            imported = node.module if isinstance(node, ast.ImportFrom) else ""
            prints = prints or imported in ("rich.console", "rich.table", "rich", "click")
            if prints and name not in CONSOLE and name != "policy/schema.py":  # makes a file for the pages
                others.append(f"{name}: {called or imported}")
    assert not others


@pytest.mark.parametrize("text", ["\ud800", "a\udfff\udc80", "\U000e0041", "\u200f", "\x00", "\x7f", "\x85", "\u2028"])
def test_any_character_becomes_printable(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


def test_wrong_arguments() -> None:
    check(invoked(EVIL))
    check(invoked("generate", f"--{EVIL}"))
    check(invoked("plan", "--target", EVIL), repeats=False)
    check(invoked("explain", "a nurse", "--instruct", EVIL), repeats=False)
    check(invoked("explain", "a nurse", "--policy", f"/nowhere/{EVIL}"))
    check(invoked("generate", "a nurse", "--out", "/dev/null/x", "--instruct", f"nurse: half {EVIL}"), repeats=False)
    for verb in ("audit", "report"):
        check(invoked(verb, f"/nowhere/{EVIL}"))
    check(invoked("ledger", "show", f"/nowhere/{EVIL}"))
    check(invoked("rebalance", f"/nowhere/{EVIL}", "--out", "/nowhere/x", "--instruct", "nurse: half women"))
    check(invoked("perceiver", "train", f"/nowhere/{EVIL}", "--attribute", "gender", "--out", "/nowhere/x"))
    check(invoked("audit-suite", "--suite", f"/nowhere/{EVIL}.yaml", "--work", "/nowhere/x"))
    check(
        invoked("compare", "--reference", f"/nowhere/{EVIL}", "--prompts", "a nurse", "--out", "/nowhere/x"),
        repeats=False,
    )


def test_explain_and_associations() -> None:
    check(invoked("explain", f"a nurse {EVIL}", "--instruct", "nurse: half women"), repeats=False)
    check(invoked("explain", f"a nurse {EVIL}", "--instruct", "nurse: half women", "--json"), repeats=False)
    sets = ("--x", f"{EVIL},rose", "--y", "ant,bee", "--a", "love,peace", "--b", "war,hate")
    check(invoked("associations", *sets))


def test_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.reserve(rule=EVIL, target=uniform("gender"), n=3, model=EVIL)
    said = invoked("ledger", "show", tmp_path / "ledger")
    check(said)
    assert "[bold]:smile:[/x]" in said
    check(invoked("ledger", "reset", tmp_path / "ledger", "--rule", f"{EVIL} more", "--yes"))
    check(invoked("ledger", "reset", tmp_path / "ledger", "--rule", EVIL, "--yes"), repeats=False)


def test_studies_and_runs(tmp_path: Path) -> None:
    tally = Tally(
        source=EVIL, concept=EVIL, attribute="gender", counts={EVIL: 3, "woman": 2}, target={EVIL: 0.5, "woman": 0.5}
    )
    study = Study(
        title=EVIL,
        sources=[Source(name=EVIL, facts={EVIL: EVIL})],
        tallies=[tally],
        notes=[EVIL],
        broken=[EVIL],
        fields={EVIL: EVIL},
    )
    save_study(study, tmp_path / "study")
    check(invoked("audit", tmp_path / "study"))
    check(invoked("report", tmp_path / "study", "--out", tmp_path / f"{EVIL.replace('/', '')}.html"))
    replace(both(), notes=[EVIL], prompt=EVIL).save(tmp_path / "run")
    check(invoked("audit", tmp_path / "run"))
    (tmp_path / "counts.csv").write_text(
        f'prompt,attribute,group,count\n"{EVIL}",gender,"{EVIL}",3\n"{EVIL}",gender,man,2\n'
    )
    check(invoked("audit", tmp_path / "counts.csv"))
