"""The report as a page: whole, alone, escaped, readable, and with the numbers of `summarize`."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from fair_diffusion.audit.corrections import corrected
from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.differences import unpaired_differences
from fair_diffusion.audit.numbers import Numbers, numbers
from fair_diffusion.audit.study import Labelled, Sample, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.report.headline import short
from fair_diffusion.report.limits import limits
from fair_diffusion.report.report import SHOWN, points, probability, read_as, report
from fair_diffusion.statistics.differences import holm

VOID = {"meta", "img", "br", "col", "link", "input", "hr", "base"}
HOSTILE = "</style></table><script>alert(1)</script><img src=x onerror='a()'>\"'&amp;{{ 7*7 }}<!--\u202e\x07\x1b[2J"
AS_TEXT = re.sub(r"[\u202e\x07\x1b]", "\ufffd", HOSTILE)
"""What a page shows of it: nothing that a terminal obeys when somebody prints the file."""


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict[str, str]
    parent: Element | None
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self.all() if e.tag == tag and wanted.items() <= e.attributes.items()]

    def all(self) -> list[Element]:
        return [e for child in self.children for e in (child, *child.all())]

    @property
    def content(self) -> str:
        return re.sub(r"\s+", " ", self.text).strip()


class Page(HTMLParser):
    """A small tree of a page; `AssertionError` where a tag is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self.here = Element("", {}, None)
        self.feed(html)
        self.close()
        assert self.here is self.root, f"<{self.here.tag}> is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        element: Element | None = self.here
        while element is not None:
            element.text += data
            element = element.parent


def study(folder: Path, name: str = "x") -> Study:
    """A study with everything in it, every text being or holding `name`."""
    for k in range(30):
        Image.effect_noise((300, 200), 80).save(folder / f"{k}.png")
    (folder / "broken.png").write_bytes(b"no picture")

    def tally(source: str, concept: str, *counts: int, unknown: int = 0, asked: bool = True) -> Tally:
        groups = {f"{group} {name}": count for group, count in zip("abc", counts, strict=True)}
        target = dict(zip(groups, (0.5, 0.3, 0.2), strict=True)) if asked else None
        return Tally(
            source=f"{source} {name}",
            concept=f"{concept} {name}",
            attribute=f"look_of {name}",
            counts=groups,
            unknown=unknown,
            target=target,
        )

    tallies = [
        tally("data", "p", 300, 100, 100),
        tally("data", "q", 10, 90, 0, asked=False),
        tally("plain", "p", 60, 40, 0),
        tally("plain", "q", 11, 80, 5, unknown=4),
        tally("instructed", "p", 51, 30, 19),
    ]
    sources = [
        Source(name=f"data {name}", kind="data", facts={f"f {name}": f"g {name}"}),
        Source(name=f"plain {name}", kind="plain", ratio=1.0, seconds=2.5, quality={f"KID {name}": 0.01}),
        Source(name=f"instructed {name}", kind="instructed", ratio=2.0, quality={f"KID {name}": 0.02}),
    ]
    samples = [
        Sample(
            image=folder / f"{k}.png",
            source=f"plain {name}",
            concept=f"p {name}",
            labels={f"look_of {name}": None if k == 0 else f"a {name}"},
            confidence={f"look_of {name}": k / 100},
        )
        for k in range(30)
    ]
    broken = replace(samples[1], image=folder / "broken.png", source=f"instructed {name}")
    confusion = Confusion(
        attribute=f"look_of {name}",
        groups=[f"a {name}", f"b {name}", f"c {name}"],
        counts=[[90, 5, 5, 0], [0, 99, 0, 1], [0, 0, 0, 0]],
        measured_on=f"pictures {name}",
        sources=[source.name for source in sources],
    )
    return Study(
        title=f"title {name}",
        sources=sources,
        tallies=tallies,
        perceived=[replace(tally, unknown=1) for tally in tallies],
        samples=[*samples, broken],
        drawn=f"drawn {name}",
        unit="prompt",
        confusions=[confusion],
        broken=[f"file {name}"],
        notes=[f"note {name}"],
        fields={f"p {name}": f"field {name}"},
        labelled=[
            Labelled(
                source=f"plain {name}",
                concept=f"p {name}",
                attribute=f"look_of {name}",
                groups=[f"a {name}", f"b {name}", f"c {name}"],
                counts=[[20, 1, 0, 0], [2, 15, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]],
                table=f"people {name}.csv",
            )
        ],
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    return numbers(study(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def html(found: Numbers) -> str:
    return report(found)


@pytest.fixture(scope="module")
def page(html: str) -> Element:
    return Page(html).root


def table(page: Element, caption: str) -> list[list[str]]:
    (wanted,) = [t for t in page.find("table") if t.find("caption")[0].content.startswith(caption)]
    return [[cell.content for cell in row.children] for row in wanted.find("tr")]


def test_nothing_comes_from_elsewhere_and_nothing_runs(html: str, page: Element) -> None:
    for element in page.all():
        assert element.tag not in {"script", "link", "iframe", "object", "embed", "form", "base"}
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in {"src", "href", "xlink:href", "srcset", "action", "poster", "data"}:
                assert value.startswith(("data:image/jpeg;base64,", "#")), value
    (style,) = page.find("style")
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert "http" not in html.replace("http-equiv", "")
    (policy,) = page.find("meta", http_equiv="Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert policy.attributes["content"].startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'")


def test_people_who_do_not_see_or_point_can_read_it(page: Element) -> None:
    assert page.find("html")[0].attributes["lang"] == "en"
    assert len(page.find("h1")) == 1
    for image in page.find("img"):
        assert image.attributes["alt"]
    for svg in page.find("svg"):
        nested = svg.parent is not None and svg.parent.tag == "svg"
        assert nested or svg.attributes.get("aria-hidden") == "true" or svg.attributes.get("aria-label")
    for found in page.find("table"):
        assert found.find("caption")[0].content
        assert all(head.attributes.get("scope") for head in found.find("th"))
    for region in page.find("div", class_="scroll"):
        assert region.attributes["tabindex"] == "0"
        assert region.attributes["aria-label"]
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for link in [*page.find("a"), *page.find("use")]:
        assert link.attributes["href"].removeprefix("#") in ids


def test_rows_of_every_table_are_as_wide_as_its_head(page: Element) -> None:
    for found in page.find("table"):
        spans = [[int(cell.attributes.get("colspan", 1)) for cell in row.children] for row in found.find("tr")]
        tall = sum("rowspan" in cell.attributes for cell in found.find("th"))
        widths = {sum(row) for row in spans[:1] + spans[1 + tall :]}
        assert len(widths) == 1, found.find("caption")[0].content
        assert all(sum(row) == widths.copy().pop() - tall for row in spans[1 : 1 + tall])


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def test_the_table_of_lines_is_that_of_summarize(page: Element, found: Numbers) -> None:
    head, *rows = table(page, "Look of x: every share")
    assert head == [
        *("group", "source", "target", "n", "observed", "95 % interval", "as people see it", "gap", "verdict"),
        "against data x",
    ]
    shown = set()
    for row in rows:
        if len(row) == 1:
            concept = row[0].removesuffix(" field x")
            continue
        group, source, target, n, share, interval, people, gap, verdict, relation = row
        (line,) = [e for e in found.lines if (e.source, e.concept, e.group) == (source, concept, group)]
        shown.add((source, concept, group))
        assert target == percent(line.target)
        assert n == f"{line.n:,}"
        assert share == percent(line.share)
        assert interval == f"{percent(line.low)} to {percent(line.high)}"
        seen = found.predicted.get((source, concept, line.attribute, group))
        assert people == (
            f"{percent(seen.estimate)} {percent(seen.low)} to {percent(seen.high)}" if seen is not None else "–"
        )
        assert (seen is not None) == ((source, concept) == ("plain x", "p x"))
        assert float(gap.replace("−", "-")) == pytest.approx(100 * line.gap, abs=0.0501)
        assert verdict[2:] == line.verdict
        expected = f"{line.likely_relation} {line.relation_probability or 0:.0%} ({percent(line.reference or 0)})"
        assert relation == ("–" if line.relation is None else expected.replace("%", " %", 1))
    assert len(shown) == len(found.lines) == 15
    assert {line.relation for line in found.lines} >= {None, "amplified"}


def test_the_other_tables_hold_their_numbers(page: Element, found: Numbers) -> None:
    _, *rows = table(page, "Look of x: deviation from target")
    for row, one in zip(rows, found.deviations, strict=True):
        assert row[:4] == [one.source, str(one.concepts), str(one.n), f"{one.tv_mean:.3f}"]
        assert row[4:6] == [f"{one.noise_floor:.3f}", f"{one.process:.3f}"]
        assert row[6] == "–"  # fewer than five concepts
        assert row[7] == f"{one.tv_worst:.3f} ({one.worst_concept})"
        assert row[8] == f"{one.within_chance} of {one.concepts}"
        metrics = (
            one.kl_mean,
            one.smoothed_kl_mean,
            one.fd_mean,
            one.pairwise_bias_mean,
            one.parity_gap_mean,
            one.deviation_ratio_mean,
        )
        assert row[9:15] == [f"{value:.3f}" for value in metrics if value is not None]
        assert row[15] == percent(one.unknown / one.n)
    _, *rows = table(page, "Images that could not be read")
    assert rows[1] == ["plain x", "look of x", "4", "200", "2.0 %"]
    _, *rows = table(page, "Look of x: what the reader makes of labelled images (blue: right), measured on pictures x")
    assert rows[0] == ["a x (100)", "90 90.0 %", "5 5.0 %", "5 5.0 %", "0 0.0 %"]
    assert rows[2] == ["c x (0)", "0 –", "0 –", "0 –", "0 –"]
    _, *rows = table(page, "Cost and quality")
    assert rows == [
        ["data x", "–", "–", "–"],
        ["plain x", "1.00×", "2.5", "0.01"],
        ["instructed x", "2.00×", "–", "0.02"],
    ]
    rows = table(page, "The same images, read by both")
    assert ["unknown", "plain x", "look of x", "4", "1", "−3"] in rows
    assert ["unknown", "data x", "look of x", "0", "1", "+1"] in rows
    _, _, first, second = table(page, "Look of x, sorted by the gap of instructed x")
    assert first[:5] == ["p x field x", "60 % +10", "20 % −10", "20 % 0", "0 %"]
    assert (second[0], second[5], second[8], second[9]) == ("q x", "11 % −39", "4 %", "–")


def test_fields_and_what_people_see_have_their_tables(page: Element, found: Numbers) -> None:
    _, (field,), *rows = table(page, "Deviation from target by field of prompts")
    assert field == "field x"
    own = deviations([tally for tally in found.study.tallies if tally.concept == "p x"])
    assert [row[0] for row in rows] == [one.source for one in own]
    assert [row[4] for row in rows] == [f"{one.tv_mean:.3f}" for one in own]
    assert found.plain()["fields"]["field x"]["concepts"] == ["p x"]
    _, (head,), *rows = table(page, "Shares as people would see them")
    assert head == "Look of x, plain x: p x; 40 of 100 images labelled"
    (prediction,) = found.predictions
    for row, line in zip(rows, prediction.groups, strict=True):
        shares = [line.group, *map(percent, (line.human, line.machine, line.estimate))]
        assert row == [*shares, f"{percent(line.low)} to {percent(line.high)}"]
    assert [row[1] for row in rows] == ["52.5 %", "42.5 %", "2.5 %"]  # 21, 17 and 1 of 40 labels


def signed(gap: float) -> str:
    return f"{gap * 100:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def test_differences_are_those_of_each_concept(page: Element, found: Numbers) -> None:
    tallies = [t for t in found.study.tallies if t.concept in {"p x", "q x"}]
    of = {name: {t.concept: t for t in tallies if t.source == f"{name} x"} for name in ("data", "plain", "instructed")}
    for before, after, concepts in (("data", "plain", 2), ("plain", "instructed", 1)):
        rows_of = [
            row
            for concept, tally in of[before].items()
            if concept in of[after]
            for row in unpaired_differences(tally, of[after][concept])
        ]
        tested = [row for row in rows_of if row.before or row.after]
        adjusted_p = {id(row): p for row, p in zip(tested, holm([row.p for row in tested]).tolist(), strict=True)}
        expected = {(row.concept, row.group): replace(row, p_holm=adjusted_p.get(id(row), 1.0)) for row in rows_of}
        head, *rows = table(page, f"Look of x: share of each group in {after} x against {before} x")
        assert head == [
            "prompt",
            "group",
            "difference",
            "95 % interval",
            "adjusted p",
            f"{before} x",
            f"{after} x",
            "p",
        ]
        assert len(rows) == len(expected) == 3 * concepts
        assert [expected[row[0], row[1]].p_holm for row in rows] == sorted(row.p_holm for row in expected.values())
        for concept, group, difference, interval, adjusted, first, second, p in rows:
            row = expected[concept, group]
            assert difference == signed(row.difference)
            assert interval == f"{signed(row.low)} to {signed(row.high)}"
            assert [adjusted, p] == [probability(one).replace("\u00a0", " ") for one in (row.p_holm, row.p)]
            assert first == f"{percent(row.before)} of {row.n_before}"
            assert second == f"{percent(row.after)} of {row.n_after}"
        sure = sum(row.p_holm < 0.05 for row in expected.values())
        assert f"{after} x against {before} x, {sure} of {len(rows)} differ (adjusted p below 0.05)" in page.text
    assert "for independent draws" in page.text


def test_corrected_shares_are_those_of_the_audit() -> None:
    matrix = Confusion(
        attribute="gender",
        groups=["man", "woman"],
        counts=[[90, 5, 5], [10, 80, 10]],
        measured_on="faces",
        sources=["plain", "instructed"],
    )
    tallies = [
        Tally(source=source, concept=concept, attribute="gender", counts={"woman": 9 * k, "man": 70}, unknown=k)
        for source, k in (("plain", 1), ("instructed", 6))
        for concept in ("cook", "nurse")
    ]
    given = Study(title="t", sources=[], tallies=tallies, unit="prompt", confusions=[matrix])
    page = Page(report(numbers(given))).root
    _, *rows = table(page, "Gender: corrected for the reader's errors, over all prompts")
    for rows_of_source, (source, k) in zip((rows[:3], rows[3:]), (("plain", 1), ("instructed", 6)), strict=True):
        whole = Tally(
            source=source, concept="", attribute="gender", counts={"woman": 18 * k, "man": 140}, unknown=2 * k
        )
        assert rows_of_source == [
            [f"{source}: {whole.n} images of 2 prompts"],
            *(
                [
                    line.group,
                    percent(line.share),
                    percent(line.corrected),
                    f"{percent(line.low)} to {percent(line.high)}",
                ]
                for line in corrected(whole, matrix)
            ),
        ]
    assert "errs on these images as it did on the labelled ones" in page.text
    assert "all but those called corrected are as read" in page.text
    bare = Page(report(numbers(replace(given, confusions=[])))).root
    assert "orrected" not in bare.text
    assert "nothing here says how often it errs" in bare.text


def test_a_correction_that_is_refused_says_why(page: Element) -> None:
    notes = [p.content for p in page.find("p") if "is not corrected" in p.content]
    assert notes == [
        "Look of x of data x, plain x, instructed x is not corrected for the reader's errors: "
        "the confusion matrix has no image of 'c x': label some, or leave the group out."
    ]
    assert not [t for t in page.find("table") if "corrected for" in t.find("caption")[0].content]


def test_sources_stopped_by_precision_are_named_beside_tests(found: Numbers) -> None:
    sources = [replace(source, stopped=0.05 if source.kind == "plain" else None) for source in found.study.sources]
    page = Page(report(numbers(replace(found.study, sources=sources)))).root
    assert "hold for plain x as for other sources" in page.text


def test_people_seen_shares_of_sources_stopped_by_precision_are_named_alone(tmp_path: Path) -> None:
    counts = {"woman": 40, "man": 60}
    tally = Tally(source="plain", concept="cook", attribute="gender", counts=counts)
    both = [[20, 2, 0], [1, 27, 0], [0, 0, 0]]
    seen = Labelled(source="plain", concept="cook", attribute="gender", groups=list(counts), counts=both, table="l.csv")
    for stopped, said in ((0.1, True), (None, False)):
        study = Study(title="t", sources=[Source(name="plain", stopped=stopped)], tallies=[tally], labelled=[seen])
        told = numbers(study)
        assert told.predictions[0].groups
        assert not told.corrections + told.comparisons
        assert any("shares as people would see them hold for plain" in one for one in limits(told)) is said


def test_pictures_are_turned_upright_and_large_ones_left_out(
    found: Numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (64, 32), "red").save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGB", (90, 90)).save(tmp_path / "large.png")
    monkeypatch.setattr("fair_diffusion.files.pictures.MAX_PIXELS", 90 * 90 - 1)
    samples = [
        Sample(image=tmp_path / name, source=found.study.sources[0].name, concept="cook", labels={}, confidence={})
        for name in ("turned.jpg", "large.png")
    ]
    html = report(replace(found, study=replace(found.study, samples=samples)))
    (uri,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", html)
    assert Image.open(BytesIO(base64.b64decode(uri))).size == (32, 64)


def test_dumbbells_draw_the_lines(page: Element, found: Numbers) -> None:
    figures = [e for e in page.find("table") if e.attributes.get("class") == "dumbbell"]
    assert len(figures) == 3
    rows = figures[0].find("tr")[1:]
    assert [row.find("th")[0].content for row in rows] == ["q x", "field x", "p x"]
    rows = [row for row in rows if row.find("td")]
    plain = next(line for line in found.lines if line.source == "plain x")
    alone = f"plain x {percent(plain.share)} ({percent(plain.low)} to {percent(plain.high)})".replace(" %", "\u00a0%")
    assert alone in rows[1].find("svg")[0].attributes["aria-label"]
    marks = [use.attributes["x"] for use in rows[1].find("use", class_="mark")]
    assert marks == ["60.00%", "60.00%", "51.00%"]
    (band,) = rows[1].find("rect")
    assert (band.attributes["x"], band.attributes["width"]) == ("45.00%", "10.00%")


def test_pictures(page: Element) -> None:
    images = page.find("img")
    assert len(images) == SHOWN
    assert {image.attributes["alt"][:5] for image in images} == {"p x, "}
    assert "The picture cannot be shown" in page.text
    assert f"{SHOWN} of the 30, drawn with seed 0" in page.text
    assert "drawn x" in page.text
    for image in images:
        assert len(image.attributes["src"]) < 12_000


def test_everything_that_people_wrote_is_text(tmp_path: Path, page: Element) -> None:
    hostile = report(numbers(study(tmp_path, HOSTILE)))
    tree = Page(hostile).root
    tags, expected = (Counter(element.tag for element in one.all()) for one in (tree, page))
    assert tags == expected
    assert "<script" not in hostile
    assert "49" not in tree.find("h1")[0].text
    assert tree.find("h1")[0].text == f"title {AS_TEXT}"
    for text in ("note", "file", "g", "drawn"):
        assert f"{text} {AS_TEXT}" in tree.text


def test_names_in_corrected_shares_are_text(tmp_path: Path) -> None:
    trees = []
    for name in ("x", HOSTILE):
        given = study(tmp_path, name)
        matrix = replace(given.confusions[0], counts=[[90, 5, 5, 0], [0, 99, 0, 1], [5, 5, 88, 2]])
        trees.append(Page(report(numbers(replace(given, confusions=[matrix])))).root)
    plain, hostile = trees
    assert Counter(e.tag for e in hostile.all()) == Counter(e.tag for e in plain.all())
    assert len([e for e in plain.find("table") if "corrected for" in e.text]) == 1
    assert f"plain {AS_TEXT}: 200 images of 2 prompts" in hostile.text


def test_long_names_and_bytes_that_are_no_text(found: Numbers) -> None:
    tallies = [replace(tally, concept=tally.concept + "y" * 5_000) for tally in found.study.tallies]
    html = report(numbers(replace(found.study, tallies=tallies, samples=[], title="\udc80")))
    html.encode()
    assert html.count("y" * 5_000) == html.count("y" * 81) // 61 == 6  # once for both prompts in each of three figures
    assert "\\udc80" in html


def test_the_same_study_gives_the_same_bytes(found: Numbers, html: str) -> None:
    assert report(found) == html


def test_a_page_of_150_occupations_stays_small() -> None:
    tallies = [
        Tally(source=source, concept=f"occupation {k}", attribute="gender", counts={"woman": k, "man": 250 - k})
        for source in ("data", "plain", "instructed")
        for k in range(153)
    ]
    sources = [Source(name=name, kind=name) for name in ("data", "plain", "instructed")]
    html = report(numbers(Study(title="t", sources=sources, tallies=tallies)))
    assert len(html.encode()) < 600_000
    page = Page(html).root
    assert len(page.find("table", class_="dumbbell")[0].find("tr")) == 154
    for words in ("all 918 shares", "plain against data", "instructed against plain, 0 of 153 differ"):
        (details,) = [e for e in page.find("details") if words in e.text]
        assert "open" not in details.attributes


def test_a_study_of_one_bare_tally() -> None:
    tally = Tally(source="a", concept="b", attribute="c", counts={"x": 1, "y": 0})
    page = Page(report(numbers(Study(title="t", sources=[], tallies=[tally])))).root
    ids = {element.attributes["id"] for element in page.find("h2")}
    assert ids == {"shares", "gaps", "numbers", "impact", "readers", "how", "limits"}
    assert "No confusion matrix of the reader is given" in page.text
    assert "merely assumed" in page.text


def test_small_words() -> None:
    assert [probability(p) for p in (1.0, 0.0494, 0.001, 0.0009)] == ["1.000", "0.049", "0.001", "<\u00a00.001"]
    assert [points(gap) for gap in (0.071, -0.0714, 0, -0.0001)] == ["+7.1", "−7.1", "0.0", "0.0"]
    assert short("x" * 80) == "x" * 80
    assert short("x" * 81) == "x" * 79 + "…"
    assert read_as({"gender": "man", "skin_tone": None}, {"gender": 0.987}) == "man (0.99), skin tone unknown"
    assert read_as({}, {}) == "nothing"


Colour = tuple[float, float, float]


def colours(css: str) -> dict[str, Colour]:
    found = re.findall(r"--(\w+): #(\w{3,6});", css)
    whole = {name: value if len(value) == 6 else "".join(2 * c for c in value) for name, value in found}
    return {name: tuple(int(value[k : k + 2], 16) / 255 for k in (0, 2, 4)) for name, value in whole.items()}  # type: ignore[misc]


def luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def over(top: Colour, alpha: float, below: Colour) -> Colour:
    mixed: Any = tuple(alpha * a + (1 - alpha) * b for a, b in zip(top, below, strict=True))
    return mixed  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough(mode: int) -> None:
    css = resources.files("fair_diffusion.report").joinpath("templates", "report.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[mode]
    named = colours(block)
    heat = float(re.findall(r"--heat: ([\d.]+);", block)[0])
    for ground in (named["paper"], named["soft"]):
        assert contrast(named["ink"], ground) >= 7
        assert contrast(named["quiet"], ground) >= 4.5
        assert contrast(named["link"], ground) >= 4.5
        for k in range(5):
            assert contrast(named[f"c{k}"], ground) >= 3
    for tint in ((230, 159, 0), (86, 180, 233)):
        full: Any = tuple(c / 255 for c in tint)
        assert contrast(named["ink"], over(full, heat, named["paper"])) >= 4.5
