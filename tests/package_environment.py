"""The package as others get it: the sdist of this tree, the wheel of that sdist, and an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: who asks for anything on the network fails."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built without a network: the build backend lies in the environment of the tests."""
    out = tmp_path_factory.mktemp("dist")
    told = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    made = subprocess.run(told, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return out


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path


def install(environment: Path, *what: str) -> None:
    """Install into an environment, in the versions of constraints.txt."""
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    made = subprocess.run([*pip, *pinned, *what], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]


@pytest.fixture(scope="session")
def bare_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel with its base dependencies."""
    folder = tmp_path_factory.mktemp("empty") / "env"
    venv.create(folder, with_pip=True)
    install(folder, str(wheel))
    return folder


@pytest.fixture(scope="session")
def shell_variables() -> dict[str, str]:
    """The environment variables of a person at a shell: nothing of ours, and no way to the network."""
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TERM", "TMPDIR")}
    return {**kept, "PATH": "/usr/bin:/bin", "https_proxy": NOWHERE, "http_proxy": NOWHERE, "no_proxy": "127.0.0.1"}


@pytest.fixture(scope="session")
def bare_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder far from the source tree, in which the commands run one after the other."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="session")
def bare_run(bare_environment: Path, shell_variables: dict[str, str], bare_place: Path) -> Run:
    """Runs `fair-diffusion` of the environment with these arguments."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        told = [str(bare_environment / "bin" / "fair-diffusion"), *arguments]
        return subprocess.run(told, cwd=bare_place, env=shell_variables, capture_output=True, text=True)

    return command
