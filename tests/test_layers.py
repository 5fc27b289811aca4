"""The layers of docs/explanation/architecture.md: imports point downwards only, wherever in a module they stand."""

from __future__ import annotations

import ast
from pathlib import Path

import fair_diffusion

ROOT = Path(fair_diffusion.__file__).parent
LAYERS = (
    ("files", "statistics", "seeds"),
    ("policy",),
    ("methods",),
    ("request",),
    ("backbones",),
    ("models",),
    ("perception", "allocation"),
    ("audit",),
    ("report",),
    ("runs",),
    ("result",),
    ("steering",),
    ("control",),
    ("pipeline",),
    ("readers",),
    ("compare", "rebalance"),
    ("service",),
    ("studio", "scale"),
    ("cli",),
)
"""From the lowest to the highest; those of one layer do not import each other."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(module: Path) -> set[str]:
    """The packages and root modules of ours that a module imports, but for those that only type checkers see."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    typing = {id(node) for part in ast.walk(tree) if _for_types(part) for node in ast.walk(part)}
    nodes = [node for node in ast.walk(tree) if id(node) not in typing]
    names = [f"{node.module}.{each.name}" for node in nodes if isinstance(node, ast.ImportFrom) for each in node.names]
    names += [each.name for node in nodes if isinstance(node, ast.Import) for each in node.names]
    return {name.split(".")[1] for name in names if name.startswith("fair_diffusion.")} & set(LEVEL)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def test_every_module_is_on_a_layer() -> None:
    parts = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__", "py.typed"} == set(LEVEL)


def test_imports_point_downwards() -> None:
    upwards = []
    for module in sorted(ROOT.rglob("*.py")):
        here = module.relative_to(ROOT).parts[0].removesuffix(".py")
        if here != "__init__":
            wrong = [name for name in imported(module) - {here} if LEVEL[name] >= LEVEL[here]]
            upwards += [f"{module.relative_to(ROOT)} imports {name}" for name in wrong]
    assert not upwards, "\n".join(upwards)


def test_statistics_imports_nothing_of_ours() -> None:
    assert {name for module in (ROOT / "statistics").glob("*.py") for name in imported(module)} <= {"statistics"}


def test_an_import_upwards_is_noticed(tmp_path: Path) -> None:
    module = tmp_path / "low.py"
    module.write_text("def f():\n    from fair_diffusion.cli import app\n    return app\n")
    assert imported(module) == {"cli"}
    module.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fair_diffusion.cli import app\n")
    assert imported(module) == set()
