"""Tests that need more than the package: a bare `make test` skips them and says why; `.ci/run` runs them all."""

from __future__ import annotations

from pathlib import Path

import pytest

NEEDS = {
    "chromium": "a page in Debian's chromium: `make test-chromium` runs it",
    "package": "builds the package and installs it into an empty environment: `make test-package` runs it",
    "ray": "a local Ray, 750 MB to install: `make test-ray` runs it",
}
"""For each marker: what its tests need, and the command that brings and runs it."""
_HIDDEN = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--also", action="append", default=[], choices=sorted(NEEDS), help="run the tests of this marker, too"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, need in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {need}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m` and one of these markers, read only files that write it: to import all the others takes a minute."""
    name = config.getoption("markexpr")
    if name not in NEEDS or collection_path.suffix != ".py":
        return None
    return None if _writes(collection_path, name) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [(item, name) for item in items for name in NEEDS if item.get_closest_marker(name) is not None]
    for item, name in marked:
        if not _writes(item.path, name):
            item.stash[_HIDDEN] = f"write pytest.mark.{name} in this file: -m {name} looks there"
        elif name not in config.getoption("also"):
            item.add_marker(pytest.mark.skip(reason=NEEDS[name]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _HIDDEN in item.stash:
        pytest.fail(item.stash[_HIDDEN], pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and how to run it."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for name, need in NEEDS.items():
        count = sum(need in text for text in skipped)
        if count:
            terminalreporter.write_line(f"left out, {count} of the marker {name}: {need}")


def _writes(file: Path, name: str) -> bool:
    return f"pytest.mark.{name}" in file.read_text(encoding="utf-8")
