"""Processes that are killed, or whose disk is full, leave an output whole or not there."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import killed
import pytest

MOUNTED = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$3" && exec "$0" "$@"')


def run(*arguments: str, before: tuple[str, ...] = ()) -> str:
    """What `killed.py` prints."""
    command = [*before, sys.executable, killed.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("what", list(killed.WRITERS))
def test_killed_at_any_step_an_output_is_whole_or_as_before(what: str, tmp_path: Path) -> None:
    steps = run(what, str(tmp_path)).removesuffix(" steps\n")
    assert steps.isdecimal(), steps
    assert int(steps) >= {"folder": 15, "existing": 15, "file": 4}[what]


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    """The limit on the size of files stands for a disk that fills up in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(ValueError, match=r"out cannot be written \(File too large\)"):
            killed.write_folder(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    try:
        said = run("full", str(tmp_path), before=MOUNTED)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    assert "out cannot be written (No space left on device); name a folder where there is room and" in said
    assert said.endswith("\n[]\n")
