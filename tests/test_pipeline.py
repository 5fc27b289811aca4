"""The flow end to end, on a small random model with untrained readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fair_diffusion.methods import METHODS
from fair_diffusion.models.cards import card_of
from fair_diffusion.models.provenance import sha256
from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.trained import TrainedPerceiver
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, built_in
from fair_diffusion.request import Request

HEADS = {name: built_in()[name].group_names for name in ("gender", "skin_tone")}
INSTRUCTION = "doctor: 50% woman, 50% man; skin tone uniform"


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return FairPipeline(tiny_sd, name="tiny", perceiver=pocket.build(HEADS).eval(), judge=judge.build(HEADS).eval())


def test_quotas_are_assigned_exactly(pipe: FairPipeline) -> None:
    published: dict[str, Any] = {"method": "semantic", "control": "all"}
    result = pipe("a doctor", n=10, seed=3, instruct=INSTRUCTION, steps=2, compare_plain=True, **published)
    groups = [record.assigned["gender"] for record in result.records]
    assert groups.count("woman") == groups.count("man") == 5
    assert {row.quota for row in result.audit if row.attribute == "skin_tone"} == {2}
    assert result.plain is not None
    assert [record.seed for record in result.plain.records] == [record.seed for record in result.records]
    assert not any(record.assigned for record in result.plain.records)
    # Two gender and five skin-tone concepts beside the empty prompt and the prompt.
    assert result.summary()["cost"]["ratio"] == pytest.approx(9 / 2)


def test_without_a_rule_nothing_is_steered(pipe: FairPipeline) -> None:
    plain = pipe("a female doctor", n=2, steps=2, instruct="doctor: half women")
    none = pipe("a female doctor", n=2, steps=2, method="none")
    assert plain.rule is None
    assert all(a.tobytes() == b.tobytes() for a, b in zip(plain.images, none.images, strict=True))
    assert plain.summary()["cost"]["ratio"] == 1


def test_the_prompt_method_changes_the_prompt_only(pipe: FairPipeline) -> None:
    result = pipe("a photo of a doctor", n=4, steps=1, instruct="doctor: half women", method="prompt")
    assert sorted(record.used_prompt for record in result.records) == [
        "a photo of a female doctor",
        "a photo of a female doctor",
        "a photo of a male doctor",
        "a photo of a male doctor",
    ]
    assert result.summary()["cost"]["ratio"] == 1


def test_a_negative_prompt_and_a_rescale_change_every_image_as_in_diffusers(pipe: FairPipeline, tiny_sd: Any) -> None:
    told: dict[str, Any] = {"negative_prompt": "old", "guidance_rescale": 0.7}
    result = pipe("a doctor", n=2, seed=3, steps=3, guidance=7.0, **told)
    theirs = tiny_sd(
        "a doctor",
        negative_prompt="old",
        guidance_rescale=0.7,
        guidance_scale=7.0,
        num_inference_steps=3,
        num_images_per_prompt=2,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in (3, 4)],
    ).images
    for mine, other in zip(result.images, theirs, strict=True):
        pixels = [torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).int() for image in (mine, other)]
        assert (pixels[0] - pixels[1]).abs().max() <= 1
    assert {(record.negative_prompt, record.guidance_rescale) for record in result.records} == {("old", 0.7)}
    plain = pipe("a doctor", n=2, seed=3, steps=3, guidance=7.0)
    assert all(a.tobytes() != b.tobytes() for a, b in zip(plain.images, result.images, strict=True))


@pytest.mark.parametrize("asked", [{"negative_prompt": "old"}, {"guidance_rescale": 0.5}])
def test_what_would_do_nothing_is_refused(
    pipe: FairPipeline, tiny: Callable[[str], Any], asked: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="does nothing at guidance 1; use a scale above 1"):
        pipe("a doctor", guidance=1, **asked)
    flux = FairPipeline(tiny("flux-dev"), name="flux", perceiver=pipe.perceiver, judge=pipe.judge)
    with pytest.raises(ValueError, match="means nothing to a model that is distilled"):
        flux("a doctor", **asked)


def test_the_card_says_how_long_when_and_how_strongly(pipe: FairPipeline, tiny_sd: Any) -> None:
    card = replace(card_of(tiny_sd), steps=10, guidance=3.0, start=0.5, end=0.7, switch=0.0)
    other = FairPipeline(tiny_sd, name="tiny", perceiver=pipe.perceiver, judge=pipe.judge, card=card)
    asked: dict[str, Any] = {"n": 4, "instruct": "doctor: all women", "repair_budget": 0, "steps": None}
    result = other("a doctor", method="semantic", **asked)
    assert {(record.steps, record.guidance) for record in result.records} == {(10, 3.0)}
    steered = [record.evaluations for record in result.records if record.steered]
    # at two steps towards women, and away from what the image would show instead, if that is known
    assert steered
    assert set(steered) <= {22, 24}
    none = other("a doctor", compare_plain=True, **asked)
    assert none.twins is not None
    assert none.twins.steered
    assert none.twins.pixel_distance == 0


def test_the_unread_end_of_a_negative_prompt_is_noted(pipe: FairPipeline) -> None:
    notes = pipe("a doctor", n=1, steps=1, guidance=2, negative_prompt="a man and words unseen").notes
    assert any("unseen" in note for note in notes)


def test_what_is_to_be_held_and_cannot_be_is_noted(pipe: FairPipeline) -> None:
    asked: dict[str, Any] = {"n": 2, "steps": 1, "instruct": "doctor: half women", "method": "prompt"}
    notes = pipe("a doctor", hold="skin_tone", **asked).notes
    assert any(note.startswith("skin_tone: not held, because") for note in notes)
    for hold in (None, "none"):
        assert not any("not held" in note for note in pipe("a doctor", hold=hold, **asked).notes)
    natural = pipe("a doctor", hold="skin_tone", **{**asked, "method": "switch", "steps": 3}).notes
    assert not any("not held" in note for note in natural)
    assert not any("not held" in note for note in pipe("a bench", hold="skin_tone", **asked).notes)


def test_an_image_does_not_depend_on_its_batch(pipe: FairPipeline) -> None:
    together = pipe("a doctor", n=4, seed=5, steps=3, instruct=INSTRUCTION, method="semantic", control="all")
    apart = pipe("a doctor", n=4, seed=5, steps=3, instruct=INSTRUCTION, method="semantic", control="all", batch_size=1)
    for a, b in zip(together.images, apart.images, strict=True):
        difference = torch.frombuffer(bytearray(a.tobytes()), dtype=torch.uint8).int() - torch.frombuffer(
            bytearray(b.tobytes()), dtype=torch.uint8
        )
        assert difference.abs().max() <= 1


def test_ties_of_rounding_even_out_over_prompts(pipe: FairPipeline) -> None:
    jobs = ["doctor", "nurse", "cook", "pilot", "judge", "farmer", "lawyer", "writer", "baker", "dancer"]
    asked: dict[str, Any] = {"instruct": "every occupation: half women; skin tone uniform", "seed": 3}

    def women_and_tones(n: int, *, alone: bool = False) -> tuple[int, list[int]]:
        plans = [
            pipe.plan(Request(prompt=f"a {job}", n=n, lot=None if alone else (3, k), **asked)).quotas
            for k, job in enumerate(jobs)
        ]
        return sum(gender[0] for gender, _ in plans), [
            sum(counts) for counts in zip(*(t for _, t in plans), strict=True)
        ]

    assert women_and_tones(1) == (5, [2, 2, 2, 2, 2])
    assert women_and_tones(4) == (20, [8, 8, 8, 8, 8])
    women, tones = women_and_tones(1, alone=True)  # by the prompt alone
    assert 0 < women < 10
    assert len([count for count in tones if count]) > 1


@pytest.mark.parametrize("method", ["switch", "semantic"])
def test_untouched_means_untouched(method: str) -> None:
    """Images of the pocket model that fit by themselves equal their plain twins bit for bit; the others do not."""
    pocket_model = FairPipeline.from_pretrained("pocket")
    asked: dict[str, Any] = {"n": 6, "steps": 5, "method": method, "repair_budget": 0, "compare_plain": True}
    result = pocket_model("a photo of a singer", instruct="singer: half women", **asked)
    assert result.plain is not None
    assert result.twins is not None
    pairs = zip(result.records, result.images, result.plain.images, strict=True)
    same = {record.index: image.tobytes() == twin.tobytes() for record, image, twin in pairs}
    assert same == {record.index: not record.steered for record in result.records}
    assert result.twins.untouched > 0
    assert result.twins.steered > 0
    assert result.twins.untouched + result.twins.steered == 6
    assert result.twins.untouched_difference == 0
    assert 0 < result.twins.pixel_distance < 0.3
    assert result.twins.feature_distance is not None
    assert 0 < result.twins.feature_distance < 1
    counts = result.summary()["images"]
    assert (counts["untouched"], counts["steered"]) == (result.twins.untouched, result.twins.steered)
    for record in result.records:
        dearer = method == "semantic" and record.steered
        assert (record.evaluations > record.plain_evaluations) == dearer


def test_a_record_says_what_ran(pipe: FairPipeline) -> None:
    def control(prompt: str, **asked: Any) -> set[str]:
        result = pipe(prompt, n=2, steps=2, instruct="doctor: half women", **asked)
        return {result.control, *(record.control for record in result.records)}

    assert control("a doctor") == {"natural-first"}
    assert control("a doctor", method="prompt") == {"all"}
    assert control("a doctor", method="semantic", control="all") == {"all"}
    assert control("a doctor", method="none") == control("a female doctor") == {"none"}
    every = pipe("a doctor", n=2, steps=1, instruct="doctor: half women", method="prompt")
    assert [record.missed for record in every.records] == [None, None]


def test_giving_up_is_the_verdict(pipe: FairPipeline) -> None:
    """Untrained readers are sure of nothing, so everything is given up."""
    result = pipe("a doctor", n=2, steps=2, instruct="doctor: half women")
    assert result.counts()["missed"] == 2
    assert result.missed
    assert result.summary()["verdict"] == "misses"
    assert "do not surely show what was assigned" in result.notes[-1]
    assert pipe("a doctor", n=2, steps=2).verdict is None


def test_an_interrupt_while_repairing_stops_everything(pipe: FairPipeline) -> None:
    steps: list[int] = []

    def stop(info: Any) -> None:
        steps.append(info.step)
        if len(steps) > 2 * 2:
            raise KeyboardInterrupt

    result = pipe(
        "a doctor", n=4, steps=2, batch_size=2, instruct="doctor: half women", compare_plain=True, on_step=stop
    )
    assert len(result.images) == 4
    assert result.interrupted
    assert result.plain is None
    assert result.verdict != "misses"
    assert result.notes[-1] == "interrupted while repairing"


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux-dev", "flux-schnell", "pixart", "lcm"])
def test_every_family(pipe: FairPipeline, tiny: Callable[[str], Any], family: str) -> None:
    other = FairPipeline(tiny(family), name=family, perceiver=pipe.perceiver, judge=pipe.judge)
    result = other("a doctor", n=3, steps=3, guidance=3.0, instruct="doctor: 33% woman, 67% man", compare_plain=True)
    assert sorted(record.assigned["gender"] for record in result.records) == ["man", "man", "woman"]
    assert result.records[0].plain_evaluations == 3 * (1 if other.backbone.distilled else 2)
    assert result.twins is not None
    assert result.twins.untouched_difference == 0


def test_a_model_without_text_is_told(pipe: FairPipeline, tiny: Callable[[str], Any]) -> None:
    other = FairPipeline(tiny("pixel"), name="pixel", perceiver=pipe.perceiver, judge=pipe.judge)
    for method in (row.name for row in METHODS.values() if row.reads_text):
        with pytest.raises(ValueError, match=r"DDPMPipeline draws without text, so it follows no prompt.*rejection"):
            other("a doctor", instruct="doctor: half women", method=method)


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("method", ["none", "rejection", "latents", "distribution"])
def test_a_model_without_text(pipe: FairPipeline, tiny: Callable[[str], Any], method: str) -> None:
    """Methods that read no text work, from the same noise; what the prompt says changes nothing, which is said."""
    other = FairPipeline(tiny("pixel"), name="pixel", perceiver=pipe.perceiver, judge=pipe.judge)
    asked: dict[str, Any] = {"n": 4, "steps": 3, "instruct": "doctor, nurse: half women", "compare_plain": True}
    result = other("a doctor", method=method, **asked)
    nurse = other("a nurse", method=method, **asked)
    assert result.plain is not None
    assert any("draws without text" in note for note in result.notes)
    assert [a.tobytes() for a in result.images] == [b.tobytes() for b in nurse.images]
    changed = [record.steered for record in result.records]
    same = [a.tobytes() == b.tobytes() for a, b in zip(result.images, result.plain.images, strict=False)]
    if method == "none":
        assert all(same)
        assert not any(changed)
    if method == "distribution":
        assert all(changed)
    if method in ("latents", "distribution"):
        assert [not each for each in same] == changed


@pytest.mark.parametrize("method", ["switch", "semantic"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps(pipe: FairPipeline, steps: int, method: str) -> None:
    """Windows are shares of the trajectory: even a run of one step has a look, and steering after it."""
    result = pipe("a doctor", n=6, steps=steps, instruct="doctor: all women", method=method, compare_plain=True)
    assert result.plain is not None
    assert {record.assigned["gender"] for record in result.records} == {"woman"}
    for record, image, twin in zip(result.records, result.images, result.plain.images, strict=True):
        if record.steered:
            assert record.evaluations >= record.plain_evaluations + (steps == 1 or method == "semantic")
        else:
            # of an image that is given up, the plain picture may be the best of its tries
            assert record.missed or record.evaluations == record.plain_evaluations
            assert image.tobytes() == twin.tobytes()
    published = pipe("a doctor", n=2, steps=steps, instruct="doctor: half women", method="semantic", control="all")
    twins = pipe("a doctor", n=2, steps=steps, method="none")
    if steps > 1:  # the only step of DDIM is the last one, at which a picture hardly changes
        assert all(a.tobytes() != b.tobytes() for a, b in zip(published.images, twins.images, strict=True))


def test_the_instruction_is_kept_as_it_was_written(pipe: FairPipeline) -> None:
    said = "Cooks: half women\nnurse:  80% men"
    settings: dict[str, Any] = {"n": 2, "steps": 2, "method": "prompt"}
    result = pipe("a cook", instruct=said, compare_plain=True, **settings)
    assert result.made_with["instruction"] == said
    assert result.plain is not None
    assert "instruction" not in result.plain.made_with
    yaml = "version: 1\nrules:\n  - name: cooks  # why not\n    concepts: [cook]\n    targets: {gender: uniform}"
    assert pipe("a cook", policy=Policy.from_yaml(yaml + "\n"), **settings).made_with["instruction"] == yaml
    assert pipe("a dog", instruct=said, **settings).made_with["instruction"] == said  # no rule fired
    assert pipe("a cook", instruct=said, n=1, steps=2, method="hint").made_with["instruction"] == said
    assert "instruction" not in pipe("a cook", n=1, steps=2).made_with


def test_a_switched_image_costs_what_a_plain_one_does(pipe: FairPipeline) -> None:
    result = pipe("a doctor", n=6, steps=5, instruct="doctor: half women")
    for record in result.records:  # one plain step of five before the look, two evaluations each
        assert record.evaluations == 10 + 8 * (record.repairs - record.reseeds) + 10 * record.reseeds
    assert all(record.used_prompt.split()[1] in ("female", "male") for record in result.records if record.steered)


def test_the_folder_holds_everything(pipe: FairPipeline, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = pipe("a doctor", n=3, steps=2, instruct="doctor: half women", compare_plain=True)
    result.save(out)
    with Image.open(out / "image-00001.png") as image:
        record = json.loads(image.info["fair-diffusion"])
    assert record["assigned"] == result.records[1].assigned
    assert pq.read_table(out / "records.parquet").num_rows == 6
    assert json.loads((out / "result.json").read_text())["n"] == 3
    assert (out / "contact-sheet.png").stat().st_size > 0
    with pytest.raises(ValueError, match="not empty"):
        result.save(out)


@pytest.mark.parametrize(("control", "step"), [("all", 0), ("natural-first", 1)])
def test_an_interrupt_keeps_finished_images(pipe: FairPipeline, control: str, step: int) -> None:
    def stop(info: Any) -> None:
        if info.images[0] == 2 and info.step == step:
            raise KeyboardInterrupt

    asked: dict[str, Any] = {"n": 4, "steps": 2, "batch_size": 2, "method": "semantic", "control": control}
    result = pipe("a doctor", instruct="doctor: half women", on_step=stop, **asked)
    assert len(result.images) == len(result.records) == 2
    assert result.summary()["requested"] == 4
    assert result.interrupted
    assert result.notes[-1] == "interrupted after 2 of 4 images"


@pytest.mark.parametrize(("stop_at", "twins"), [(0, 0), (2, 2)])
def test_an_interrupt_of_the_twins_keeps_the_images(
    pipe: FairPipeline, tmp_path: Path, stop_at: int, twins: int
) -> None:
    seen: list[int] = []

    def stop(info: Any) -> None:
        if info.images[0] == stop_at and seen.count(stop_at) == 1:
            raise KeyboardInterrupt
        seen.append(info.images[0])

    arguments: dict[str, Any] = {"n": 4, "steps": 1, "batch_size": 2, "instruct": "doctor: half women"}
    arguments |= {"method": "semantic", "control": "all"}
    result = pipe("a doctor", **arguments, compare_plain=True, on_step=stop)
    assert len(result.images) == 4
    assert len(result.plain.images if result.plain else []) == twins
    assert f"interrupted after {twins} of 4" in result.notes[-1]
    result.save(tmp_path / "run")
    assert (tmp_path / "run" / "contact-sheet.png").stat().st_size > 0


def test_twins_are_under_no_rule_and_no_quota(pipe: FairPipeline) -> None:
    result = pipe("a doctor", n=2, steps=2, instruct="doctor: half women", compare_plain=True)
    assert result.plain is not None
    assert {(record.rule, record.method) for record in result.plain.records} == {(None, "none")}
    assert {row.quota for row in result.plain.audit} == {None}
    assert (result.title, result.plain.title) == ("instructed", "plain")
    assert pipe("a doctor", n=1, steps=2, instruct="doctor: half women", method="none").title == "plain"


def test_one_group_alone_is_steered_away_from_the_usual_others(pipe: FairPipeline) -> None:
    result = pipe("a doctor", n=2, steps=1, instruct="doctor: all women", method="semantic", control="all")
    # Towards woman and away from man, beside the empty prompt and the prompt.
    assert result.summary()["cost"]["ratio"] == 2


def test_a_prompt_longer_than_the_model_reads_is_noted(pipe: FairPipeline) -> None:
    assert any("unseen" in note for note in pipe("a doctor and words unseen", n=1, steps=1).notes)
    assert pipe("a doctor", n=1, steps=1).notes == []


def test_the_deviation_is_that_of_the_worst_attribute(pipe: FairPipeline) -> None:
    result = pipe("a doctor", n=5, steps=2, instruct=INSTRUCTION, compare_plain=True)
    summary = result.summary()
    assert [found["attribute"] for found in summary["deviations"]] == ["gender", "skin_tone"]
    assert summary["deviation"]["tv"] == max(found["tv"] for found in summary["deviations"])
    assert summary["deviation"]["noise_floor"] > 0
    assert summary["plain"]["audit"][0]["target"] == 0.5
    assert pipe("a doctor", n=1, steps=2).summary()["deviation"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": " "}, "empty"),
        ({"prompt": "x" * 40_000}, "40000 characters"),
        ({"n": 0}, "n is 0"),
        ({"n": 10**9}, "n is 1000000000"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"control": "magic"}, "unknown control 'magic'"),
        (
            {"method": "switch", "control": "all"},
            "method 'switch' needs control 'natural-first', or none named; control 'all' goes with prompt, hint,",
        ),
        ({"repair_budget": float("nan")}, "repair_budget is nan"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance_rescale": 1.5}, "guidance_rescale is 1.5; use 0 to 1"),
        ({"negative_prompt": "x" * 40_000}, "the negative prompt: the prompt has 40000 characters"),
        ({"steps": 0}, "steps is 0"),
        ({"instruct": "doctor: 90% women, 90% men"}, "100 %"),
        ({"instruct": "doctor: half young"}, "cannot read 'age'"),
    ],
)
def test_wrong_arguments_are_named(pipe: FairPipeline, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipe(**({"prompt": "a doctor"} | arguments))


def test_a_perceiver_that_cannot_read(tiny_sd: Any) -> None:
    reader = pocket.build({"gender": HEADS["gender"]}).eval()
    blind = FairPipeline(tiny_sd, name="tiny", perceiver=reader, judge=judge.build(HEADS).eval())
    for method in ("semantic", "none"):
        with pytest.raises(ValueError, match="the perceiver of 'tiny' cannot read 'skin_tone'"):
            blind("a doctor", n=1, instruct="doctor: skin tone uniform", method=method)


def test_how_a_judge_errs_goes_into_results_whatever_the_model(tiny_sd: Any) -> None:
    groups = HEADS["gender"]
    errs = Confusion(attribute="gender", groups=groups, counts=[[1] * (len(groups) + 1)] * len(groups), measured_on="x")
    trained = TrainedPerceiver(judge.build({"gender": groups}).eval(), errs, seed=0)
    pipe = FairPipeline.from_pretrained(tiny_sd, perceiver=pocket.build(HEADS).eval(), judge=trained)
    assert pipe("a doctor", n=1, steps=1, method="none").confusions == [errs]


def test_an_unknown_model() -> None:
    with pytest.raises(ValueError, match="unknown model 'nothing'"):
        FairPipeline.from_pretrained("nothing")


def test_what_is_added_to_the_pocket_model_is_recorded(tmp_path: Path) -> None:
    save_file({"<mine>": torch.ones(1, 384)}, tmp_path / "words.safetensors")
    added = FairPipeline.from_pretrained("pocket", textual_inversion=str(tmp_path / "words.safetensors"))
    sha, words = added.weights.split(", ")
    assert sha.startswith("sha256 ")
    file = tmp_path / "words.safetensors"
    assert words == f"textual inversion {file.name} sha256 {sha256(file)}"
    with pytest.raises(ValueError, match="config 'x' is for a single file, and this pipeline is loaded"):
        FairPipeline.from_pretrained("pocket", config="x")
