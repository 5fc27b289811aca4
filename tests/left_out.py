"""Tests that need more than the package: a bare `make test` skips them and says why; `.ci/run` runs them all."""

from __future__ import annotations

import pytest

NEEDS = {
    "chromium": "a page in Debian's chromium: `make test-chromium` runs it",
    "package": "builds the package and installs it into an empty environment: `make test-package` runs it",
    "ray": "a local Ray, 750 MB to install: `make test-ray` runs it",
}
"""For each marker: what its tests need, and the command that brings and runs it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--also", action="append", default=[], choices=sorted(NEEDS), help="run the tests of this marker, too"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, need in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {need}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name in NEEDS.keys() - set(config.getoption("also")):
        for item in items:
            if item.get_closest_marker(name) is not None:
                item.add_marker(pytest.mark.skip(reason=NEEDS[name]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and how to run it."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for name, need in NEEDS.items():
        count = sum(need in text for text in skipped)
        if count:
            terminalreporter.write_line(f"left out, {count} of the marker {name}: {need}")
