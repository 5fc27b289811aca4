"""A folder rebalanced end to end, by a random model and readers of texture: flat pictures are men, drawn ones women."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.readers import Readers
from fair_diffusion.files.pictures import SIDE
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.reader import Reader
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Attributes, Policy, built_in
from fair_diffusion.readers.target import read_target
from fair_diffusion.rebalance import RebalancedResult, rebalance
from fair_diffusion.rebalance.one_prompt import OnePrompt
from fair_diffusion.runs.format import PNG_KEY, SHEET

HALF = Policy.from_sentence("doctor: half women")
SETTINGS: dict[str, Any] = {"steps": 3, "guidance": 2.0, "batch_size": 2}


class Texture(Reader):
    """Sees a man in a flat picture, and a woman in any other."""

    def __init__(self) -> None:
        super().__init__(nn.Identity(), 3, {"gender": built_in()["gender"].group_names})

    def features(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) + 2

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        drawn = x.flatten(1).std(dim=1) - x.mean(dim=(2, 3)).std(dim=1) > 0.02
        logits = torch.zeros(len(x), len(self.groups["gender"]) + 1)
        for group, chosen in (("woman", drawn), ("man", ~drawn)):
            logits[chosen, self.groups["gender"].index(group)] = 9
        return {"gender": logits}


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    return FairPipeline(tiny_sd, name="tiny", perceiver=Texture(), judge=Texture())


def photos(folder: Path) -> Path:
    """Six flat pictures of three formats and sizes, one turned by its camera; a broken one; and a text."""
    (folder / "more").mkdir(parents=True)
    for k, name in enumerate(["a.png", "b.png", "more/a.png", "more/d.png"]):
        Image.new("RGB", (16, 16), (60 * k, 60 * k, 60 * k)).save(folder / name)
    Image.new("RGB", (40, 24), (99, 99, 99)).save(folder / "c.jpg")
    turned = Image.new("RGB", (20, 36), (50, 50, 50))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "a.jpg", exif=exif)
    (folder / "more" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "notes.txt").write_text("not an image")
    return folder


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def done(pipe: FairPipeline, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, RebalancedResult]:
    """Originals, the new folder, and the result of making half of six men women."""
    folder = photos(tmp_path_factory.mktemp("originals") / "photos")
    before, out = hashes(folder), folder.parent / "new"
    (result,) = rebalance(pipe, folder, out, policy=HALF, prompt="a doctor", **SETTINGS)
    assert hashes(folder) == before
    return folder, out, result


def test_what_fits_is_copied_and_the_rest_is_moved(done: tuple[Path, Path, RebalancedResult]) -> None:
    folder, out, result = done
    assert [record.original for record in result.records] == [
        *("a.jpg", "a.png", "b.png", "c.jpg", "more/a.png", "more/d.png")
    ]
    assert result.counts() == {"untouched": 3, "moved": 3, "repaired": 0, "put back": 0, "missed": 0, "broken": 1}
    for record in result.records:
        same = (out / record.file).read_bytes() == (folder / record.original).read_bytes()
        assert same == (record.file == record.original and not record.steered)
        assert same != record.steered
        assert record.judged == {"gender": "woman" if record.steered else "man"} == record.assigned
        assert record.judged_before == record.natural == {"gender": "man"}
        assert (record.pixel_distance is not None) == (record.evaluations > 0) == record.steered
        assert (record.reconstruction_error is not None) == (record.encoder_error is not None) == record.steered
    assert result.summary()["broken"] == [line for line in result.broken if line.startswith("more/broken.png: ")]
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    rest = {"notes.txt", "more/broken.png"}  # what was not read is copied
    assert there == {"records.parquet", "result.json", SHEET, *(record.file for record in result.records)} | rest


def test_the_audit_is_of_all_images_before_and_after(done: tuple[Path, Path, RebalancedResult]) -> None:
    _, _, result = done
    for part, women in ((result.before, 0), (result, 3)):
        rows = {row.group: row for row in part.audit}
        assert (rows["woman"].count, rows["man"].count, rows["woman"].quota) == (women, 6 - women, 3)
        assert part.audit == part.perceived_audit
    assert [found["tv"] for found in result.before.deviations()] == [0.5]
    assert [found["tv"] for found in result.deviations()] == [0]
    # inversion at 0.8 of three steps: two without guidance back, two with guidance on
    assert result.summary()["cost"]["evaluations"] == 3 * (2 + 2 * 2)
    assert result.summary()["cost"]["plain_evaluations"] == 6 * 3 * 2
    assert result.reconstruction_evaluations == 3 * 2 * 2


def test_moved_pictures_keep_size_and_carry_their_record(
    pipe: FairPipeline, tmp_path: Path, done: tuple[Path, Path, RebalancedResult]
) -> None:
    folder = done[0]
    (result,) = rebalance(
        pipe, folder, tmp_path / "new", policy=Policy.from_sentence("doctor: all women"), prompt="a doctor", **SETTINGS
    )
    files = {record.original: record for record in result.records}
    # a.png is there already
    assert {name: record.file for name, record in files.items() if name.endswith("jpg")} == {
        "a.jpg": "a.jpg.png",
        "c.jpg": "c.png",
    }
    sizes = {"a.jpg": (36, 20), "c.jpg": (40, 24), "more/a.png": (16, 16)}
    for name, size in sizes.items():
        with Image.open(tmp_path / "new" / files[name].file) as picture:
            assert picture.size == size
            record = json.loads(picture.info[PNG_KEY])
        assert (record["original"], record["used_prompt"]) == (name, "a female doctor")


def test_the_folder_is_one_that_audits_read(done: tuple[Path, Path, RebalancedResult], tmp_path: Path) -> None:
    _, out, result = done
    findings = read_target(out, scratch=tmp_path)
    assert findings.images is not None
    assert findings.images["file"].to_pylist() == [record.file for record in result.records]
    (tally,) = findings.study.tallies
    assert {group: tally.counts[group] for group in ("woman", "man")} == {"woman": 3, "man": 3}
    assert tally.target is not None
    assert tally.target["woman"] == 0.5
    assert len(findings.study.samples) == 6
    assert not findings.study.broken
    assert json.loads((out / "result.json").read_text()) == result.summary()
    rows = pq.read_table(out / "records.parquet").to_pylist()
    assert [row["original"] for row in rows] == [record.original for record in result.records]


def test_it_tells_what_made_it_and_how_the_judge_errs(
    pipe: FairPipeline, tmp_path: Path, done: tuple[Path, Path, RebalancedResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, result = done
    assert result.made_with["instruction"] == HALF.text == "doctor: half women"
    assert result.made_with["policy"].startswith("doctor: ")
    errs = Confusion(attribute="gender", groups=["woman", "man"], counts=[[9, 1, 0], [2, 8, 0]], measured_on="tests")
    monkeypatch.setattr(pipe, "confusions", [errs])
    asked: dict[str, Any] = {"policy": Policy.from_sentence("nurse: half men"), "prompt": "a doctor", "n": 1}
    (silent,) = rebalance(pipe, photos(tmp_path / "photos"), tmp_path / "new", **asked, **SETTINGS)
    assert silent.rule is None
    assert silent.made_with["instruction"] == "nurse: half men"
    assert silent.confusions == [errs]


def test_pictures_are_opened_when_asked_for(done: tuple[Path, Path, RebalancedResult]) -> None:
    _, out, result = done
    assert len(result.images) == 6
    assert [image.size for image in result.images[1:3]] == [(16, 16), (16, 16)]
    with Image.open(out / SHEET) as sheet:
        assert sheet.tobytes() == result.contact_sheet().tobytes()


def test_semantic_guidance_moves_too(pipe: FairPipeline, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (result,) = rebalance(
        pipe, folder, tmp_path / "new", policy=HALF, prompt="a doctor", method="semantic", n=2, **SETTINGS
    )
    (moved,) = [record for record in result.records if record.steered]
    # beside what switching costs: at the one step of the window towards a woman and away from a man
    assert moved.evaluations == 2 + 2 * 2 + 2
    assert moved.used_prompt == "a doctor"


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux-dev", "flux-schnell", "pixart", "lcm"])
def test_every_family(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    other = FairPipeline(tiny(family), name=family, perceiver=Texture(), judge=Texture())
    folder = photos(tmp_path / "photos")
    for way, method in (("inversion", "switch"), ("sdedit", "semantic")):
        asked: dict[str, Any] = {"prompt": "a doctor", "n": 2, "way": way, "method": method}
        (result,) = rebalance(other, folder, tmp_path / way, policy=HALF, **asked, **SETTINGS)
        assert result.counts()["moved"] == 1
        assert not result.missed
        assert result.moved()["reconstruction_error"]


def test_a_model_without_text_is_refused_before_anything_is_read(tiny: Callable[[str], Any], tmp_path: Path) -> None:
    other = FairPipeline(tiny("pixel"), name="pixel", perceiver=Texture(), judge=Texture())
    folder = photos(tmp_path / "photos")
    asked: dict[str, Any] = {"policy": HALF, "prompt": "a doctor"}
    with pytest.raises(ValueError, match=r"'pixel' draws without text, .* name a text-to-image model"):
        rebalance(other, folder, tmp_path / "new", progress=lambda *_: pytest.fail("images are read"), **asked)
    assert not (tmp_path / "new").exists()


def test_prompts_are_rebalanced_apart(pipe: FairPipeline, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    said = dict.fromkeys(["a.png", "b.png", "more/a.png", "more/d.png"], "a doctor") | {"c.jpg": "a female doctor"}
    results = rebalance(pipe, folder, tmp_path / "new", policy=HALF, prompts=said, **SETTINGS)
    doctors, stated = results
    assert (doctors.prompt, doctors.counts()["moved"], doctors.counts()["untouched"]) == ("a doctor", 2, 2)
    assert (stated.rule, stated.counts()["untouched"], stated.verdict) == (None, 1, None)
    assert "states" in stated.reason
    assert (tmp_path / "new" / "001" / "c.jpg").read_bytes() == (folder / "c.jpg").read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["000", "001", "rest"]
    assert (tmp_path / "new" / "rest" / "notes.txt").read_text() == "not an image"
    assert [tally.n for tally in read_target(tmp_path / "new", scratch=tmp_path).study.tallies] == [4, 1]


def test_what_is_left_out_of_any_prompt_is_told(pipe: FairPipeline, tmp_path: Path) -> None:
    """Of the first and the last prompt no image can be read."""
    folder = photos(tmp_path / "photos")
    (folder / "0.png").write_bytes(b"no image")
    said = {"0.png": "a nurse", "a.png": "a doctor", "more/broken.png": "a pilot", "gone.png": "a cook"}
    (result,) = rebalance(pipe, folder, tmp_path / "new", policy=HALF, prompts=said, **SETTINGS)
    assert [line.split(":")[0] for line in result.broken] == ["gone.png", "0.png", "more/broken.png"]
    assert json.loads((tmp_path / "new" / "001" / "result.json").read_text())["broken"] == result.broken
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["001", "rest"]
    assert (tmp_path / "new" / "rest" / "0.png").read_bytes() == b"no image"


def test_large_originals_are_perceived_as_everywhere_and_written_at_their_size(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What steering asks about is the very picture that the records are about."""
    folder, seen = tmp_path / "photos", list[Image.Image]()
    folder.mkdir()
    Image.new("RGB", (2 * SIDE, 8), (99, 99, 99)).save(folder / "a.png")

    perceive, read = Readers.perceive, pipe.judge.read

    def perceived(self: Readers, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
        seen.extend(pictures)
        return perceive(self, pictures, defined)

    monkeypatch.setattr(Readers, "perceive", perceived)

    def judged(pictures: Sequence[Image.Image]) -> Mapping[str, list[Reading]]:
        seen.extend(pictures)
        return read(pictures)

    monkeypatch.setattr(pipe.judge, "read", judged)
    asked: dict[str, Any] = {"policy": Policy.from_sentence("doctor: all women"), "prompt": "a doctor"}
    (result,) = rebalance(pipe, folder, tmp_path / "new", **asked, **SETTINGS)
    assert result.counts()["moved"] == 1
    _, steering, recorded = seen  # the judge has read the original first
    assert steering.size == recorded.size == (SIDE, 4)
    assert steering.tobytes() == recorded.tobytes()
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.size == (2 * SIDE, 8)


def test_a_moved_picture_never_takes_the_name_of_the_overview(pipe: FairPipeline, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "contact-sheet.jpg")
    asked: dict[str, Any] = {"policy": Policy.from_sentence("doctor: all women"), "prompt": "a doctor"}
    (result,) = rebalance(pipe, tmp_path / "photos", tmp_path / "new", **asked, **SETTINGS)
    assert [record.file for record in result.records] == ["contact-sheet.jpg.png"]
    with Image.open(tmp_path / "new" / "contact-sheet.jpg.png") as picture:
        assert PNG_KEY in picture.info


def test_what_guidance_leads_away_from_is_kept(pipe: FairPipeline, tmp_path: Path) -> None:
    away: dict[str, Any] = {"negative_prompt": "blurry", "guidance_rescale": 0.5}
    results = [
        rebalance(
            pipe, photos(tmp_path / name / "in"), tmp_path / name / "out", policy=HALF, prompt="a doctor", n=2, **asked
        )[0]
        for name, asked in (("with", SETTINGS | away), ("without", SETTINGS))
    ]
    assert {(record.negative_prompt, record.guidance_rescale) for record in results[0].records} == {("blurry", 0.5)}
    moved = [next(record.pixel_distance for record in result.records if record.steered) for result in results]
    assert moved[0] != moved[1]


def test_giving_up_is_the_verdict_and_leaves_the_originals(pipe: FairPipeline, tmp_path: Path) -> None:
    """Nothing that the model draws is flat, so nobody becomes a man; the drawn picture stays as it was."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((16, 16), 90).convert("RGB").save(folder / "a.png")
    all_men = Policy.from_sentence("doctor: all men")
    (result,) = rebalance(pipe, folder, tmp_path / "new", policy=all_men, prompt="a doctor", way="sdedit", **SETTINGS)
    assert result.missed
    assert (result.counts()["missed"], result.counts()["put back"]) == (1, 1)
    assert "everything was tried: 1 of 1 images" in result.notes[-1]
    assert (tmp_path / "new" / "a.png").read_bytes() == (folder / "a.png").read_bytes()
    assert result.records[0].evaluations > 0


@pytest.mark.parametrize("at", ["reading", "moving"])
def test_an_interrupt_leaves_nothing(pipe: FairPipeline, tmp_path: Path, at: str) -> None:
    folder = photos(tmp_path / "photos")
    before = hashes(tmp_path)

    def stop(what: str, done: float, total: float) -> None:
        if what == at and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebalance(pipe, folder, tmp_path / "new", policy=HALF, prompt="a doctor", progress=stop, **SETTINGS)
    assert hashes(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_progress_reaches_its_end(pipe: FairPipeline, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[float, float]]] = {}
    rebalance(
        pipe,
        photos(tmp_path / "photos"),
        tmp_path / "new",
        policy=HALF,
        prompt="a doctor",
        progress=lambda what, done, total: seen.setdefault(what, []).append((done, total)),
        **SETTINGS,
    )
    assert seen["reading"][-1:] == [(7, 7)]
    assert seen["moving"] == [(1, 3), (2, 3), (2.5, 3), (3, 3)]


@pytest.mark.parametrize(
    ("out", "said"),
    [("full", "is not empty"), ("photos/new", "lies in the folder of the originals"), ("photos", "lies in the folder")],
)
def test_folders_that_cannot_be_are_refused_before_anything_runs(
    pipe: FairPipeline, tmp_path: Path, out: str, said: str
) -> None:
    folder = photos(tmp_path / "photos")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before, spent = hashes(tmp_path), pipe.backbone.evaluations
    with pytest.raises(ValueError, match=said):
        rebalance(pipe, folder, tmp_path / out, policy=HALF, prompt="a doctor", **SETTINGS)
    assert (hashes(tmp_path), pipe.backbone.evaluations) == (before, spent)


def test_what_cannot_be_is_said(pipe: FairPipeline, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no image")
    asked: Mapping[str, Any] = {"policy": HALF, "prompt": "a doctor"}
    with pytest.raises(ValueError, match=r"none of 1 images in .* can be read; a\.png: "):
        rebalance(pipe, folder, tmp_path / "new", **asked)
    with pytest.raises(ValueError, match="unknown way 'magic'"):
        rebalance(pipe, folder, tmp_path / "new", way="magic", **asked)
    with pytest.raises(ValueError, match=r"depth is 0\.2, but semantic guidance ends after 80%"):
        rebalance(pipe, folder, tmp_path / "new", method="semantic", depth=0.2, steps=10, **asked)
    with pytest.raises(ValueError, match="negative prompt does nothing at guidance 1"):
        rebalance(pipe, folder, tmp_path / "new", negative_prompt="blurry", guidance=1, **asked)
    with pytest.raises(ValueError, match="cannot read 'age'"):
        rebalance(pipe, folder, tmp_path / "new", policy=Policy.from_sentence("doctor: half young"), prompt="a doctor")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("how", ["interrupt", "error", "none"])
def test_what_others_put_into_the_new_folder_meanwhile_stays(pipe: FairPipeline, tmp_path: Path, how: str) -> None:
    folder, out = photos(tmp_path / "photos"), tmp_path / "new"

    def meanwhile(what: str, done: float, total: float) -> None:
        if what == "moving":
            out.mkdir(exist_ok=True)
            (out / "thesis.txt").write_text("precious")
            if how != "none":
                raise {"interrupt": KeyboardInterrupt, "error": RuntimeError}[how]

    with pytest.raises((KeyboardInterrupt, RuntimeError, ValueError)) as error:
        rebalance(pipe, folder, out, policy=HALF, prompt="a doctor", progress=meanwhile, **SETTINGS)
    assert how != "none" or "is not empty any more; name a new folder" in str(error.value)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "photos"]


def test_originals_that_vanish_or_change_meanwhile_lose_nothing(pipe: FairPipeline, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    whole = hashes(folder)

    def meanwhile(what: str, done: float, total: float) -> None:
        if what == "moving" and folder.exists():
            shutil.rmtree(folder)

    (result,) = rebalance(
        pipe, folder, tmp_path / "new", policy=HALF, prompt="a doctor", progress=meanwhile, **SETTINGS
    )
    assert result.counts()["moved"] == 3
    kept = [record.file for record in result.records if not record.steered]
    assert {name: hashes(tmp_path / "new")[name] for name in kept} == {name: whole[name] for name in kept}
    assert not [path for path in (tmp_path / "new").rglob("*") if path.name.startswith(".")]


def test_an_original_that_is_gone_before_it_is_copied_is_named(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos(tmp_path / "photos")
    check = OnePrompt.check

    def checked(self: OnePrompt) -> None:
        check(self)
        (folder / "b.png").unlink()

    monkeypatch.setattr(OnePrompt, "check", checked)
    (result,) = rebalance(pipe, folder, tmp_path / "new", policy=HALF, prompt="a doctor", **SETTINGS)
    assert "b.png: not there" in result.broken
    assert len(result.records) == 5
