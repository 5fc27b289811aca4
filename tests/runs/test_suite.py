"""Suites: what is drawn, what is kept, when it stops."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from audit_examples import put, record, write_run

from fair_diffusion.readers.run import read_run
from fair_diffusion.request import Request
from fair_diffusion.runs import suite
from fair_diffusion.runs.occupations import read_occupations
from fair_diffusion.runs.parts import PART
from fair_diffusion.runs.suite import Suite, check_work, draw_suite

SUITE = Suite(model="fake", prompt="a photo of a {}")


@dataclass
class Drawn:
    records: list[dict[str, Any]]
    interrupted: bool = False

    def save(self, folder: Path) -> None:
        write_run(folder, self.records)


class Pipe:
    """Draws women only of nurses, every second one of others; counts its calls."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls: list[tuple[str, int, int]] = []
        self.weights = "none"
        self.stop_after = stop_after

    def each(self, requests: Iterable[Request], *, on_step: Any) -> Iterator[tuple[int, Drawn]]:
        return enumerate(self.draw(request.prompt, request.n, request.seed) for request in requests)

    def draw(self, prompt: str, n: int, seed: int) -> Drawn:
        self.calls.append((prompt, n, seed))
        groups = ["woman" if "nurse" in prompt or k % 2 else "man" for k in range(n)]
        records = [record(k, g, prompt=prompt, method="none", rule=None, seed=seed + k) for k, g in enumerate(groups)]
        return Drawn(records, interrupted=len(self.calls) == self.stop_after)


def test_the_shipped_list_is_long_and_each_has_a_field() -> None:
    found = read_occupations("occupations")
    assert len(found) >= 150
    assert all(found.values())
    assert {"nurse", "firefighter"} <= set(found)
    assert min(Counter(found.values()).values()) >= 5


def test_the_professions_of_equisteer_are_a_list_by_name() -> None:
    assert len(read_occupations("equisteer")) == 8
    assert {"CEO", "fashion designer"} <= set(read_occupations("equisteer"))


def test_lists_of_ones_own(tmp_path: Path) -> None:
    assert read_occupations(str(put(tmp_path, "a.txt", "nurse\n# not this\n\n head  cook \n"))) == {
        "nurse": "",
        "head cook": "",
    }
    assert read_occupations(str(put(tmp_path, "a.yaml", "health: [nurse]\nfood: [cook]"))) == {
        "nurse": "health",
        "cook": "food",
    }
    assert read_occupations(str(put(tmp_path, "b.yaml", "[nurse]"))) == {"nurse": ""}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "", "names no occupation"),
        ("a.txt", "x" * 300, "no name of an occupation"),
        ("a.txt", "a\x1b[1m", "no name of an occupation"),
        ("a.yaml", "health: nurse", "must say `field:"),
        ("a.yaml", "{", "no YAML"),
        ("gone/a.txt", None, "no list of occupations"),
    ],
)
def test_wrong_lists(name: str, content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        put(tmp_path, name, content)
    with pytest.raises(ValueError, match=said):
        read_occupations(str(tmp_path / name))


def test_prompts_have_their_article() -> None:
    assert SUITE.prompt_for("architect") == "a photo of an architect"
    assert SUITE.prompt_for("nurse") == "a photo of a nurse"
    assert replace(SUITE, prompt="{}, studio").prompt_for("actor") == "actor, studio"
    with pytest.raises(ValueError, match="mark the place"):
        Suite(model="x", prompt="a photo")


def test_parts_are_drawn_once_and_an_interrupt_goes_on(tmp_path: Path) -> None:
    work = tmp_path / "work"
    pipe = Pipe(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        draw_suite(pipe, SUITE, ["nurse", "cook"], work, images=PART + 10)
    again = Pipe()
    told: list[tuple[int, int | None]] = []
    draw_suite(again, SUITE, ["nurse", "cook"], work, images=PART + 10, progress=lambda *k: told.append(k))
    assert pipe.calls == [
        ("a photo of a nurse", PART, 0),
        ("a photo of a nurse", 10, PART),
        ("a photo of a cook", PART, 0),
    ]
    assert again.calls == [("a photo of a cook", PART, 0), ("a photo of a cook", 10, PART)]
    assert told[-1] == (2 * (PART + 10), 2 * (PART + 10))
    found = {t.concept: t for t in read_run(work, scratch=tmp_path, attributes=["gender"]).study.tallies}
    assert (found["nurse"].counts["woman"], found["cook"].counts["woman"]) == (60, 30)


def test_two_processes_at_once_are_told_and_the_same_command_goes_on(tmp_path: Path) -> None:
    class Overtaken(Pipe):
        def draw(self, prompt: str, n: int, seed: int) -> Drawn:
            draw_suite(Pipe(), SUITE, ["nurse"], tmp_path / "work", images=4)
            return super().draw(prompt, n, seed)

    with pytest.raises(ValueError, match=r"another process drew .*nurse.* the same command goes on"):
        draw_suite(Overtaken(), SUITE, ["nurse", "cook"], tmp_path / "work", images=4)
    pipe = Pipe()
    draw_suite(pipe, SUITE, ["nurse", "cook"], tmp_path / "work", images=4)
    assert pipe.calls == [("a photo of a cook", 4, 0)]


def test_more_images_later_add_to_those_that_are_there(tmp_path: Path) -> None:
    draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "work", images=4)
    pipe = Pipe()
    draw_suite(pipe, SUITE, ["cook"], tmp_path / "work", images=9)
    assert pipe.calls == [("a photo of a cook", 5, 4)]


def test_other_settings_and_other_folders_are_refused(tmp_path: Path) -> None:
    draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "work", images=1)
    with pytest.raises(ValueError, match="drawn with steps 25, not 5"):
        draw_suite(Pipe(), replace(SUITE, steps=5), ["cook"], tmp_path / "work", images=1)
    put(tmp_path, "mine/thesis.txt", "precious")
    with pytest.raises(ValueError, match="no work folder"):
        draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "mine", images=1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_other_weights_and_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = Pipe(), Pipe()
    first.weights, other.weights = "sha256 a", "sha256 b"
    draw_suite(first, SUITE, ["cook"], tmp_path / "work", images=1)
    with pytest.raises(ValueError, match="drawn with weights 'sha256 a', not 'sha256 b'"):
        draw_suite(other, SUITE, ["cook"], tmp_path / "work", images=2)
    monkeypatch.setattr(suite, "versions", lambda: {"torch": "1"})
    with pytest.raises(ValueError, match=r"drawn with versions \{.*, not \{'torch': '1'\}"):
        draw_suite(first, SUITE, ["cook"], tmp_path / "work", images=2)
    assert other.calls == []


def test_fields_of_the_request_reach_the_pipeline_and_the_file_counts_by_its_hash(tmp_path: Path) -> None:
    told: list[Request] = []

    class Noting(Pipe):
        def each(self, requests: Iterable[Request], *, on_step: Any) -> Iterator[tuple[int, Drawn]]:
            return super().each(self.noted(requests), on_step=on_step)

        def noted(self, requests: Iterable[Request]) -> Iterator[Request]:
            for request in requests:
                told.append(request)
                yield request

    fields: dict[str, Any] = {"control": "all", "steps": 7, "guidance": 2.0}
    fields |= {"negative_prompt": "", "guidance_rescale": 0.0, "repair_budget": 0.0}
    descent = fields | {"method": "latents", "loss": "mean"}
    draw_suite(Noting(), replace(SUITE, **descent), ["cook"], tmp_path / "descent", images=1)
    fields |= {"method": "bottleneck", "file": put(tmp_path, "a.safetensors", "vectors")}
    asked = replace(SUITE, **fields)
    draw_suite(Noting(), asked, ["cook"], tmp_path / "work", images=1, options={"batch_size": 3})
    expected = [descent, fields | {"batch_size": 3}]
    assert [
        {name: getattr(request, name) for name in some} for request, some in zip(told, expected, strict=True)
    ] == expected
    moved = replace(asked, file=fields["file"].rename(tmp_path / "b.safetensors"))
    check_work(tmp_path / "work", moved, ["cook"], images=1)
    other = replace(asked, file=put(tmp_path, "c.safetensors", "other vectors"))
    with pytest.raises(ValueError, match="drawn with file"):
        check_work(tmp_path / "work", other, ["cook"], images=1)


def test_a_folder_of_before_these_fields_is_gone_on_with(tmp_path: Path) -> None:
    draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "work", images=1)
    file = tmp_path / "work" / "suite.json"
    settings = json.loads(file.read_text())
    for name in ("control", "loss", "negative_prompt", "guidance_rescale", "repair_budget", "file"):
        assert settings.pop(name) is None
    file.write_text(json.dumps(settings))
    check_work(tmp_path / "work", SUITE, ["cook"], images=1)
    draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "work", images=2)
    with pytest.raises(ValueError, match="drawn with loss None, not 'mean'"):
        check_work(tmp_path / "work", replace(SUITE, loss="mean"), ["cook"], images=2)


def test_a_request_that_draws_nothing_leaves_no_folder(tmp_path: Path) -> None:
    class Failing(Pipe):
        def draw(self, prompt: str, n: int, seed: int) -> Drawn:
            raise ValueError("this model cannot")

    with pytest.raises(ValueError, match="this model cannot"):
        draw_suite(Failing(), SUITE, ["cook"], tmp_path / "work", images=1)
    with pytest.raises(KeyboardInterrupt):
        draw_suite(Pipe(stop_after=1), SUITE, ["cook"], tmp_path / "work", images=1)
    assert not (tmp_path / "work").exists()


def test_what_would_be_refused_is_known_before_anything_is_drawn_or_written(tmp_path: Path) -> None:
    work = tmp_path / "deep" / "work"
    check_work(work, SUITE, ["cook"], images=1)
    assert not list(tmp_path.iterdir())
    draw_suite(Pipe(), SUITE, ["cook"], work, images=2)
    (part,) = (path.parent for path in work.glob("*/result.json"))
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    check_work(work, SUITE, ["cook"], images=2)
    usual: dict[str, Any] = {"suite": SUITE, "concepts": ["cook"], "images": 2}
    for settings in ({"suite": replace(SUITE, seed=1)}, {"images": 1}, {"until": 0.1}, {"concepts": ["nurse"]}):
        with pytest.raises(ValueError, match="name another"):
            check_work(work, **usual | settings)
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before
    (part / "result.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged; remove it, and it is drawn anew"):
        check_work(work, SUITE, ["cook"], images=2)
    (work / "suite.json").write_text("7")
    with pytest.raises(ValueError, match=r"suite\.json is damaged"):
        check_work(work, SUITE, ["cook"], images=2)
    with pytest.raises(ValueError, match="cannot be written"):
        check_work(part / "result.json" / "new", SUITE, ["cook"], images=2)


def test_precision_ends_a_concept_early_and_names_those_that_stay_uncertain(tmp_path: Path) -> None:
    pipe = Pipe()
    uncertain = draw_suite(
        pipe, SUITE, ["nurse", "cook"], tmp_path / "work", images=400, until=0.05, attributes=["gender"]
    )
    drawn = Counter(prompt for prompt, _, _ in pipe.calls)
    assert uncertain == ["cook"]
    assert drawn["a photo of a cook"] * PART == 400
    assert drawn["a photo of a nurse"] * PART < 400


def test_a_folder_drawn_to_a_precision_says_so_whenever_it_is_read(tmp_path: Path) -> None:
    work = tmp_path / "work"
    draw_suite(Pipe(), SUITE, ["nurse"], work, images=400, until=0.1, attributes=["gender"])
    assert [source.stopped for source in read_run(work, scratch=tmp_path).study.sources] == [0.1]
    for other in (None, 0.05):
        with pytest.raises(ValueError, match=f"drawn with until 0.1, not {other}; name another work folder"):
            draw_suite(Pipe(), SUITE, ["nurse"], work, images=400, until=other)
    draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "fixed", images=4)
    assert [source.stopped for source in read_run(tmp_path / "fixed", scratch=tmp_path).study.sources] == [None]


def test_a_folder_that_holds_more_than_is_asked_for_is_refused(tmp_path: Path) -> None:
    draw_suite(Pipe(), SUITE, ["nurse", "cook"], tmp_path / "work", images=9)
    with pytest.raises(ValueError, match=r"nurse-\w+-00000 is of an occupation that is not asked for"):
        draw_suite(Pipe(), SUITE, ["cook"], tmp_path / "work", images=9)
    with pytest.raises(ValueError, match=r"holds 9 images of .*, and 4 are asked for"):
        draw_suite(Pipe(), SUITE, ["nurse", "cook"], tmp_path / "work", images=4)


def test_what_a_killed_process_left_is_passed_over_and_other_peoples_files_stay(tmp_path: Path) -> None:
    work = tmp_path / "work"
    draw_suite(Pipe(), SUITE, ["cook"], work, images=PART)
    write_run(work / ".part-0123", [record(0, "woman")])
    (theirs,) = (tmp_path / "work" / f"{path.name[:-5]}{PART:05d}" for path in work.glob("cook-*"))
    put(theirs, "thesis.txt", "precious")
    with pytest.raises(ValueError, match="is not empty; name a new folder"):
        draw_suite(Pipe(), SUITE, ["cook"], work, images=PART + 1)
    assert (theirs / "thesis.txt").read_text() == "precious"
    (theirs / "thesis.txt").unlink()
    theirs.rmdir()
    pipe = Pipe()
    draw_suite(pipe, SUITE, ["cook"], work, images=PART + 1)
    assert pipe.calls == [("a photo of a cook", 1, PART)]
