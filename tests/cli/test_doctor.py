"""`fair-diffusion doctor`: what is there, what is missing, the command that brings it, and how little it loads."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fair_diffusion.cli import app, doctor

ROOT = Path(__file__).parents[2]
FOR_OTHERS = {"dev", "docs", "examples", "package", "recipes"}
"""Extras for who works on this package."""
runner = CliRunner()


def parts(code: int = 0) -> dict[str, Any]:
    result = runner.invoke(app, ["doctor", "--json"])
    assert result.exit_code == code, result.output
    return {part["name"]: part for part in map(json.loads, result.stdout.splitlines())}


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions that the doctor finds instead of the true ones; None: not installed."""
    others: dict[str, str | None] = {}

    def version(name: str) -> str:
        found = others.get(name, importlib.metadata.version(name) if name not in others else None)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(doctor, "version", version)
    return others


def test_what_the_tests_need_is_ready() -> None:
    found = parts()
    assert all(part["ready"] for part in found.values() if part["needed"])
    assert f"torch {importlib.metadata.version('torch')}" in found["fair-diffusion"]["told"]
    assert all(name in found["readers"]["told"] for name in ("pocket", "judge", "clip:MODEL"))
    assert found["extra service"]["ready"]
    assert all(part["ready"] is (part["mend"] == "") for part in found.values())


def test_a_line_says_the_command_that_brings_an_extra(versions: dict[str, str | None]) -> None:
    versions["fastapi"] = None
    said = runner.invoke(app, ["doctor"]).stdout
    assert "-       extra service: `serve`: images over HTTP (no fastapi)\n" in said
    assert "        → pip install 'fair-diffusion[service]'\n" in said
    assert parts()["extra service"]["mend"] == "pip install 'fair-diffusion[service]'"


def test_a_dependency_that_is_missing_or_too_old_ends_with_2(versions: dict[str, str | None]) -> None:
    versions |= {"scipy": None, "rich": "9.1"}
    told = parts(code=2)["fair-diffusion"]
    assert not told["ready"]
    assert sorted(told["told"].split(", "))[:1] == ["no scipy"]
    assert "rich 9.1, not >=" in told["told"]
    assert told["mend"] == "pip install 'fair-diffusion'"


def test_a_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", nothing)
    assert parts(code=2)["fair-diffusion"]["mend"] == "pip install ."


def test_damaged_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "models" / "pocket" / "weights"
    weights.mkdir(parents=True)
    (weights / "judge.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "cli" / "doctor.py"))
    told = parts(code=2)["pocket model"]
    assert "judge" in told["told"]
    assert "--force-reinstall" in told["mend"]


@pytest.mark.parametrize(
    ("build", "place", "ready", "told"),
    [
        ("2.13.0+cpu", None, False, "knows none"),
        ("2.13.0+cu130", None, False, "finds none"),
        ("2.13.0+cu130", "cuda", True, "cuda, 2 of them"),
    ],
)
def test_the_accelerator_is_that_of_torch(
    versions: dict[str, str | None],
    monkeypatch: pytest.MonkeyPatch,
    build: str,
    place: str | None,
    ready: bool,
    told: str,
) -> None:
    import torch

    versions["torch"] = build
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: place and torch.device(place))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: place is not None)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    found = parts()["accelerator"]
    assert found["ready"] is ready
    assert told in found["told"]


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_GIB", 1e9)
    told = parts()["disk"]
    assert not told["ready"]
    assert "--out" in told["mend"]


def test_every_extra_for_users_says_what_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) - FOR_OTHERS <= doctor.EXTRAS.keys()


def test_it_loads_no_model_library() -> None:
    torchs = importlib.metadata.version("torch")
    code = (
        "import sys\nfrom fair_diffusion.cli import app\n"
        "try: app(['doctor'])\nexcept SystemExit: pass\n"
        f"sys.exit('diffusers' in sys.modules or 'transformers' in sys.modules or ({torchs!r}.endswith('+cpu') and "
        "'torch' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
