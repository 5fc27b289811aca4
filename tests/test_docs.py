"""README, docs/ and the pages at the root agree with the code: links, names, paths, commands, tables and Python."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import fair_diffusion
from fair_diffusion.cli import app
from fair_diffusion.compare.way import LEARNT, WAYS
from fair_diffusion.methods import METHODS
from fair_diffusion.pipeline import FairPipeline
from recipes import methods_table

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "fair_diffusion"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
}
PACKAGES = {path.stem for path in SOURCE.iterdir() if path.suffix in ("", ".py") and not path.stem.startswith("__")}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("README.md", "docs/how-to/write-a-method.md", "docs/how-to/write-a-policy.md", "docs/how-to/ledger.md")
"""Pages whose Python runs: the others take long, or need weights or files that are not there."""


def blocks(page: str, *kinds: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [text for kind, text in BLOCK.findall(PAGES[page]) if kind in kinds]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).lower())
    return kept.strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)}


def resolve(name: str) -> Any:
    """What a dotted name below `fair_diffusion` names. `AttributeError` or `ImportError` if it names nothing."""
    parts, found = name.split("."), fair_diffusion
    for k, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = import_module(".".join(["fair_diffusion", *parts[: k + 1]]))
    return found


def test_there_are_pages() -> None:
    assert {
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/explanation/architecture.md",
    } <= PAGES.keys()


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", PAGES[page])):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page} links to {target}: no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_paths_of_the_repository_exist(page: str) -> None:
    named = re.findall(r"(?<![\w/.])(?:src|tests|recipes|benchmarks)/[\w./-]*\w", PAGES[page])
    named += re.findall(r"(?<![\w/.])docs/[\w/-]+(?:\.\w+)+", PAGES[page])
    for path in named:
        assert "NAME" in path or (ROOT / path).exists(), f"{page} names {path}, which is not there"


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_are_run_exist(page: str) -> None:
    for module in re.findall(r"python -m ((?:recipes|benchmarks|fair_diffusion)[\w.]*\w)", PAGES[page]):
        assert find_spec(module), f"{page} runs {module}, which is not there"


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_dotted_names_exist(page: str) -> None:
    names = re.findall(r"\bfair_diffusion\.([\w.]*\w)", PAGES[page])
    names += [name for name in re.findall(r"`([a-z_]+(?:\.\w+)+)[`(]", PAGES[page]) if name.split(".")[0] in PACKAGES]
    for name in names:
        if not name.endswith((".py", ".yaml", ".json", ".md", ".html")):
            resolve(name)


def test_moved_modules_are_where_the_changelog_says() -> None:
    moved = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \| (.*)\|$", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert len(moved) > 30
    for before, now, renamed in moved:
        module = import_module(f"fair_diffusion.{now}")
        with pytest.raises(ImportError):
            import_module(f"fair_diffusion.{before}")
        for name in re.findall(r"is `(\w+)`", renamed):
            assert hasattr(module, name), f"{now} has no {name}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_compiles_and_imports_what_is_there(page: str) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fair_diffusion"):
                module = import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("page", RUN)
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loading = FairPipeline.from_pretrained

    def quick(model: Any, **loaded: Any) -> FairPipeline:
        pipe = loading(model, **loaded)
        pipe.card = replace(pipe.card, steps=4)
        return pipe

    monkeypatch.setattr(FairPipeline, "from_pretrained", quick)
    (block,) = blocks(page, "python")
    told: dict[str, Any] = {}
    exec(compile(re.sub(r"\bn=\d\d", "n=4", block), page, "exec"), told)
    if page == "docs/how-to/write-a-method.md":
        assert told["result"].method == "name-the-group"
        used = [record.used_prompt for record in told["result"].records]
        assert sorted(used) == [*["a photo of a man nurse"] * 2, *["a photo of a woman nurse"] * 2]


def commands(page: str) -> Iterator[list[str]]:
    """The words of each command of the page that is ours, whatever runs it; without comments."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("fair-diffusion"):
                yield words[1:]


def parsed(words: list[str]) -> None:
    """Parse a command without running it; an error if it has no such verb or option."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("fair-diffusion", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        assert words, "the command names no verb"
        name, *words = words
        assert name in command.commands, f"there is no verb {name}"
        command = command.commands[name]
        group = hasattr(command, "commands")
        context = command.make_context(name, [] if group else words, parent=context, resilient_parsing=group)


@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page))])
def test_commands_parse(page: str) -> None:
    for words in commands(page):
        try:
            parsed(words)
        except Exception as error:
            pytest.fail(f"{page}: fair-diffusion {shlex.join(words)}: {error}")


def test_a_wrong_command_would_be_noticed() -> None:
    for words in (["drwa", "x"], ["explain", "a nurse", "--polcy", "x"], ["audit", "--model", "pocket"], ["ledger"]):
        with pytest.raises(Exception, match=r"."):
            parsed(words)


def test_options_of_the_models_page_parse() -> None:
    rows = re.findall(r"^\| .+ \| `(--model .+)` \|$", PAGES["docs/reference/models.md"], re.MULTILINE)
    assert len(rows) > 10
    for options in rows:
        parsed(["generate", "a nurse", "--out", "x", *shlex.split(options)])


def test_the_table_of_methods_is_current() -> None:
    text = PAGES["docs/reference/methods.md"]
    assert methods_table.page(text) == text, (
        f"the table of docs/reference/methods.md is not current: {methods_table.COMMAND}"
    )


def test_the_table_of_methods_has_every_way_with_its_method_and_control() -> None:
    old = PAGES["docs/reference/methods.md"].split(methods_table.BEGIN)[1].split(methods_table.END)[0]
    rows = {row[0].strip("`"): row[1:] for row in methods_table.rows(old)}
    assert rows.keys() == {*WAYS, *(f"{name}=FILE" for name in LEARNT), "NAME=FILE"}
    assert {row[0].strip("`") for row in rows.values()} == set(METHODS)
    for name, way in WAYS.items():
        method, control, *by_hand = rows[name]
        assert method == f"`{way.method}`"
        assert control.split(",")[0] == (way.control if name != "plain" else "none")
        assert ("coin" in control) == way.coin
        assert "?" not in by_hand


def test_the_table_of_methods_keeps_what_is_written_by_hand() -> None:
    old = "| way | needs | costs |\n|---|---|---|\n| `switch` | luck | 7× |\n"
    rows = {row[0]: row for row in methods_table.rows(methods_table.table(old))}
    assert rows["`switch`"][-2:] == ["luck", "7×"]
    assert rows["`prompt`"][-2:] == ["?", "?"]


def test_the_models_page_has_a_column_for_every_method() -> None:
    (head,) = re.findall(r"^\| family \| (`.+) \| rebalance \|$", PAGES["docs/reference/models.md"], re.MULTILINE)
    assert {name.strip("` ") for name in head.split("|")} == set(METHODS) - {"none"}


def imports() -> dict[str, set[str]]:
    """For each package or module of ours the others that it imports at run time."""
    found: dict[str, set[str]] = {name: set() for name in PACKAGES}
    for path in SOURCE.rglob("*.py"):
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typed = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
        skipped = {id(inner) for node in typed for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and id(node) not in skipped and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                others = {name.split(".")[1] for name in names if name.startswith("fair_diffusion.")}
                found[own] |= (others & PACKAGES) - {own}
    return found


def test_the_map_agrees_with_the_imports() -> None:
    table = PAGES["docs/explanation/architecture.md"].split("## The map")[1].split("## Words")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", table, re.MULTILINE)
    allowed = {name: PACKAGES if told == "everything" else set(re.findall(r"`(\w+)`", told)) for name, told in rows}
    found = imports()
    assert allowed.keys() == found.keys() == PACKAGES
    for name, others in found.items():
        assert others <= allowed[name], (
            f"{name} imports {others - allowed[name]}: see the map of docs/explanation/architecture.md"
        )
    assert sum(map(len, found.values())) > 50


def test_the_map_of_the_package_names_every_part() -> None:
    assert fair_diffusion.__doc__
    assert set(re.findall(r"^    (\w+)  +\w", fair_diffusion.__doc__, re.MULTILINE)) == PACKAGES


@pytest.mark.parametrize("name", [name for name in fair_diffusion.__all__ if name != "__version__"])
def test_the_package_exports(name: str) -> None:
    assert getattr(fair_diffusion, name).__name__ == name


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Polcy'"):
        _ = fair_diffusion.Polcy


def test_requests_and_policies_wait_for_no_model_library() -> None:
    told = "from fair_diffusion import Ledger, Method, Policy, Request, Strengths"
    code = f"import sys; {told}; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_citation_has_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fair_diffusion.__version__
    assert citation["license"] == "Apache-2.0"
    assert f"## {fair_diffusion.__version__}" in PAGES["CHANGELOG.md"]
