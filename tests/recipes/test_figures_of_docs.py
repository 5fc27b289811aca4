"""Figures of the documentation are those that their commands make."""

from __future__ import annotations

from pathlib import Path

from recipes.figures import verdicts

DOCS = Path(__file__).parents[2] / "docs"


def test_verdicts_are_in_the_documentation(tmp_path: Path) -> None:
    verdicts.draw(tmp_path / "one.svg")
    verdicts.draw(tmp_path / "two.svg")
    made = (tmp_path / "one.svg").read_text()
    assert made == (tmp_path / "two.svg").read_text()
    kept = (DOCS / "pictures" / "verdicts.svg").read_text()
    for word in verdicts.LOOKS:
        assert made.count(f">{word}<") == kept.count(f">{word}<") > 0
