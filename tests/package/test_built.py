"""The wheel and the sdist: complete, without what does not belong, and accepted by an index."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "fair_diffusion"
MIB = 2**20
NOT_IN_SDIST = (".ci/", ".dockerignore")
"""For the repository alone."""

pytestmark = pytest.mark.package


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository, and new ones that git does not ignore."""
    told = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(told, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_the_wheel_holds_the_package_and_nothing_else(in_wheel: set[str], tracked: set[str]) -> None:
    package = {name.removeprefix("src/") for name in tracked if name.startswith(f"src/{PACKAGE}/")}
    beside = {name for name in in_wheel if ".dist-info/" not in name}
    assert beside == package
    assert f"{PACKAGE}/py.typed" in beside
    kinds = {PurePosixPath(name).suffix for name in beside}
    assert {".py", ".yaml", ".safetensors", ".j2", ".css", ".txt", ".json"} <= kinds
    assert not kinds & {".pyc", ".pkl", ".pt", ".bin", ".onnx"}


def test_the_wheel_has_its_licences(in_wheel: set[str]) -> None:
    assert {name.rpartition("/")[2] for name in in_wheel if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_sdist_holds_what_is_tracked(sdist: Path, tracked: set[str]) -> None:
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
        assert all(member.isfile() or member.isdir() for member in archive)
    expected = {name for name in tracked if not name.startswith(NOT_IN_SDIST)}
    assert files == expected | {"PKG-INFO"}


def test_neither_is_large(wheel: Path, sdist: Path) -> None:
    assert wheel.stat().st_size < 40 * MIB
    assert sdist.stat().st_size < 60 * MIB


def test_the_description_says_what_an_index_asks_for(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode())
    assert told["Name"] == "fair-diffusion"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in told.get_all("Classifier", [])
    assert not [url for url in told.get_all("Project-URL", []) if "example" in url]
    assert str(told.get_payload()).startswith("# fair-diffusion")


def test_an_index_accepts_both(wheel: Path, sdist: Path) -> None:
    told = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    checked = subprocess.run(told, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
