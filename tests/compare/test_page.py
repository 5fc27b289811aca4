"""compare.html and the Markdown table: what they hold, and that nothing gets out of its place."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from stub_readers import stub_pipeline

from fair_diffusion.compare import WAYS, Comparison, Drawing, Outcome, Way, compare, outcomes
from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY, number
from fair_diffusion.compare.markdown import markdown
from fair_diffusion.compare.page import headline, page
from fair_diffusion.methods import Method
from fair_diffusion.policy import Policy

EVIL = '<script>alert("x")</script> & nurse'


class Parts(HTMLParser):
    """The tags that are open at the end, and all that was met."""

    VOID = frozenset(["meta", "img", "line", "path", "circle", "rect", "br"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def found(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    unheard = Method(name="<u>", does="nothing")
    ways = [WAYS["prompt"], Way(name="<i>own", method="prompt", coin=True), Way(name="gone", method=unheard)]
    return compare(
        stub_pipeline(tiny_sd),
        ways,
        [EVIL, "a cook"],
        {"<b>half": Policy.from_sentence("every occupation: half women; skin tone uniform")},
        tmp_path_factory.mktemp("page"),
        drawing=Drawing(n=3, steps=1),
    )


@pytest.fixture(scope="module")
def table(found: Comparison) -> list[Outcome]:
    return outcomes(found)


def test_the_page_is_whole_escaped_and_alone(found: Comparison, table: list[Outcome]) -> None:
    html = page(found, table)
    assert html == page(found, table)
    parts = Parts()
    parts.feed(html)
    assert parts.open == []
    tags = [tag for tag, _ in parts.tags]
    assert not {"script", "i", "u", "link", "iframe"} & set(tags)
    assert "b" not in tags
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", html)
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert not [name for _, attributes in parts.tags for name in attributes if name == "style" or name.startswith("on")]
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in html
    pictures = [attributes for tag, attributes in parts.tags if tag == "img"]
    assert len(pictures) == 2 * 3 * 3
    assert all(picture["alt"] and "read as" in picture["alt"] for picture in pictures)


def test_every_column_is_defined_and_filled(found: Comparison, table: list[Outcome]) -> None:
    html = page(found, table)
    for column in (*DEVIATION, *QUALITY, *COST):
        assert f"<dt>{column.head}</dt>" in html
    own = next(line for line in table if line.way == "prompt" and line.attribute == "skin_tone")
    assert own.judge is not None
    for value in (own.judge.tv_mean, own.judge.fd_mean, own.judge.pairwise_bias_mean):
        assert number(value) in html
    assert number(own.floors["total_variation"]) in html
    assert "not measured: &#39;" in html


def test_remarks_of_all_instructions_are_kept(found: Comparison, table: list[Outcome]) -> None:
    (own, *_) = [line for line in table if line.way == "prompt"]
    assert own.facts is not None
    noted = [
        replace(own, instruction=instruction, facts=replace(own.facts, notes=notes))
        for instruction, notes in (("one", ("first", "both")), ("two", ("both", "<b>second")), ("three", ()))
    ]
    assert "; first; both; &lt;b&gt;second</td>" in page(found, [*table, *noted])


def test_the_headline_names_the_nearest(table: list[Outcome]) -> None:
    own = [line for line in table if line.attribute == "gender"]
    nearest = min((line for line in own[1:] if line.judge), key=lambda line: line.judge.tv_mean if line.judge else 9)
    said = headline(own)
    assert f"Nearest to the target is {nearest.way}: " in said
    assert own[0].judge is not None
    assert f"over 2 prompts, plain images deviate {own[0].judge.tv_mean:.3f}" in said


def test_markdown_has_as_many_cells_in_every_row(table: list[Outcome]) -> None:
    text = markdown(table, level=3)
    assert text.startswith("### <b>half: gender\n")
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6
    for block, columns in zip(blocks, (DEVIATION, QUALITY, COST) * 2, strict=True):
        rows = block.split("\n")
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(columns) + 2}
        assert len(rows) == 2 + 4 + (columns is DEVIATION)
    assert "gone is not measured: " in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("inf"), "∞"), (-0.0001, "0.000"), (-0.25, "−0.250"), (1.0, "1.000")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_page_is_written_beside_its_tables(found: Comparison, table: list[Outcome]) -> None:
    from fair_diffusion.compare import write

    assert write(found, table) == found.folder / "compare.html"
    assert not [path for path in Path(found.folder).iterdir() if path.name.endswith(".part")]
