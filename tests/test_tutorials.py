"""The tutorials run from top to bottom, as a newcomer types them: their commands and their Python, in small.

Commands are run in this process, since each new one would load the model libraries again. Fewer images and steps are
drawn; what is tried is that every line works after the lines before it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.pipeline import FairPipeline

PAGES = Path(__file__).parents[1] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVED = "serve-it"
NOT_RUN = ("make demo", "fair-diffusion label", ". .venv/bin/activate", "pip install", "export FAIR_DIFFUSION_KEY=")
"""Lines that install, that wait for a person, or that hold what only the reader knows."""
EXACT = ("explain", "plan")
"""Verbs that draw nothing: the page shows all that they print."""
ENOUGH = {"generate": 4, "audit-suite": 1}
"""Images that a verb draws here."""


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


def lines(block: str) -> Iterator[str]:
    """The commands of a block: lines that go on, and files that are written in place, are one command."""
    kept: list[str] = []
    for line in block.splitlines():
        kept.append(line)
        joined = "\n".join(kept)
        open_file = re.search(r"<< (\w+)", kept[0])
        if not line.endswith("\\") and (not open_file or line == open_file[1]) and joined.strip():
            yield joined if open_file else joined.replace("\\\n", " ")
            kept = []
    assert not kept, f"a command does not end: {kept}"


def fewer(words: list[str]) -> list[str]:
    most = ENOUGH.get(words[0], 0)
    return [
        str(min(int(word), most)) if most and before == "-n" else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def run_command(line: str) -> str:
    """Run one command as a shell would, and return what it prints."""
    if line.startswith("fair-diffusion"):
        done = CliRunner().invoke(app, fewer(shlex.split(line, comments=True)[1:]))
        assert done.exit_code in (0, 3), f"{line}: {done.output}"  # 3: a target is missed, as it may be
        return done.stdout
    subprocess.run(["bash", "-euc", line], check=True)
    return ""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and a pocket model of few steps."""
    monkeypatch.chdir(tmp_path)
    loading = FairPipeline.from_pretrained

    def few_steps(model: Any, **loaded: Any) -> FairPipeline:
        pipe = loading(model, **loaded)
        pipe.card = replace(pipe.card, steps=4)
        return pipe

    monkeypatch.setattr(FairPipeline, "from_pretrained", few_steps)


def in_order(page: str) -> list[tuple[str, str]]:
    """The blocks of a page. The first command shows what the page is for, and is repeated where its turn comes."""
    first, *rest = blocks(page)
    return rest if first in rest else [first, *rest]


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md") if path.stem != SERVED))
def test_a_tutorial_runs_from_top_to_bottom(page: str, quick: None) -> None:
    told: dict[str, Any] = {"__name__": "tutorial"}
    printed, verb, ran = "", "", 0
    for kind, block in in_order(page):
        if kind == "sh":
            for line in lines(block):
                if not line.startswith(NOT_RUN):
                    printed, verb, ran = run_command(line), line.split()[1], ran + 1
        elif kind == "python":
            exec(compile(re.sub(r"\bn=\d+", "n=4", block), page, "exec"), told)
        elif kind == "text" and verb in EXACT:
            assert [one.rstrip() for one in block.splitlines()] == [one.rstrip() for one in printed.splitlines()]
    assert ran >= 4


def test_the_tutorial_of_serving_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = blocks(SERVED)
    (policy,) = [block for kind, block in page if kind == "yaml"]
    (tmp_path / "fair.yaml").write_text(policy, encoding="utf-8")
    (line,) = {line for kind, block in page if kind == "sh" for line in lines(block) if " serve " in line}
    words = [sys.executable, "-m", "fair_diffusion.cli", *shlex.split(line)[1:], "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    assert server.stdout
    try:
        said = ""
        while "draws with pocket" not in said:  # as the page says: only then it draws
            read = server.stdout.readline()
            assert read, said
            said += read
        (address,) = re.findall(r"serving on (http://[\d.:]+)", said)
        (key,) = re.findall(r"key: (\S+)", said)
        monkeypatch.setenv("FAIR_DIFFUSION_KEY", key)
        told: dict[str, Any] = {}
        for kind, block in page:
            if kind == "python":
                exec(compile(block.replace("http://127.0.0.1:8000", address), SERVED, "exec"), told)
        assert (tmp_path / "firefighter.png").read_bytes().startswith(b"\x89PNG")
        assert told["stream"]["n"] == 4
        assert [told["stream"]["groups"][group]["asked"] for group in ("woman", "man")] == [2, 2]
        told["client"].close()
    finally:
        server.terminate()
        server.communicate(timeout=60)
