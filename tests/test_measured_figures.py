"""Every measured figure in README.md and docs/ comes from a file that a command wrote, and is what that file says."""

from __future__ import annotations

from pathlib import Path

import pytest
from measured_figures import PAGES, ROOT, Block, blocks, found

BLOCKS = [block for page in PAGES for block in blocks(page)]


def test_blocks_with_figures_name_a_source() -> None:
    bare = [f"{block.where}: {', '.join(block.figures)}" for block in BLOCKS if block.figures and block.sources is None]
    assert not bare, "say where these figures come from, `<!-- from FILE -->`, or that they are set"


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.sources and block.figures], ids=lambda block: block.where
)
def test_figures_are_those_of_their_files(block: Block) -> None:
    assert block.sources is not None
    strange = [one for one in block.figures if not any(found(one, source) for source in block.sources)]
    assert not strange, f"{block.where}: not in {', '.join(block.sources)}"


def test_every_source_is_a_file_of_the_repository() -> None:
    named = {source for block in BLOCKS for source in block.sources or ()}
    assert named
    assert not [source for source in named if not (ROOT / source).is_file()]


def test_what_is_a_figure_and_when_it_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# 1.5 %\n\nSD 1.5 and `0.7` in 12 steps\n\n<!-- from a.md -->\n- 0.343 at 1.05×,\n  or 99.8 %\n- 1,053.5 s\n\n"
        "<!-- set, not measured -->\n| 5 % |\n|---|\n\n```\n3 %\n```\n"
    )
    assert [(block.figures, block.sources) for block in blocks(page)] == [
        ([], None),
        (["0.343", "1.05", "99.8"], ("a.md",)),
        (["1053.5"], None),
        (["5"], ()),
    ]
    source = "benchmarks/settings.md"
    number = "0.081"  # a perfect coin, in the page of settings
    assert found(number, source)
    assert found("0.08", source)
    assert not found("0.0817", source)
    assert not found("77.77", source)
