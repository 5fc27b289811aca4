"""Requests that follow a perceiver's gradient, on small random models and perceivers whose groups can be told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_readers import clip_folder
from torch import Tensor
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessorPil

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Backbone, Guide, OnStep, StepInfo, adapt, advance
from fair_diffusion.backbones.pixel import with_schedule
from fair_diffusion.control import descent, distribution, loop
from fair_diffusion.control.order import Order, Steps
from fair_diffusion.control.readers import Differentiable, Readers
from fair_diffusion.methods import METHODS
from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.opening import open_perceiver
from fair_diffusion.perception.probabilities import probabilities
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, Target, built_in
from fair_diffusion.request import Request
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.distribution import DistributionGuidance
from fair_diffusion.steering.fairness_loss import VARIANTS
from fair_diffusion.steering.latents import (
    LatentDescent,
    Start,
    forward,
    from_images,
    from_latents,
    from_seeds,
    stages,
)

STEPS = 4
HALF = Policy.from_sentence("doctor: half women, half men").rules[0].targets
FAST = LatentDescent(iterations=3, steps=3, rate=0.1)


class Bright:
    """Pictures brighter than `middle` are women, darker ones men."""

    def __init__(self, middle: float, slope: float) -> None:
        self.groups = {"gender": ("woman", "man")}
        self.middle, self.slope = middle, slope

    def probabilities(self, images: Tensor, attribute: str) -> Tensor:
        p = (self.slope * (images.mean(dim=(1, 2, 3)) - self.middle)).sigmoid()
        return torch.stack([0.99 * p, 0.99 * (1 - p), 0.01 * torch.ones_like(p)], dim=1)


def request(n: int, **settings: Any) -> Request:
    usual: dict[str, Any] = {"prompt": "a man", "n": n, "steps": STEPS, "guidance": 2.0, "method": "latents"}
    return Request(**usual | settings)


def plain(backbone: Backbone) -> Callable[[int], Guide]:
    text = backbone.encode(["" if backbone.distilled else "a man"])
    return lambda n: Guide(text[[0] * n], backbone.empty()[[0] * n], 2.0)


def drawn(order: Order, on_step: OnStep | None = None) -> Order:
    assert list(loop.draw([order], on_step)) == [[order]]
    return order


def draw_latents(
    backbone: Backbone,
    asked: Request,
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    perceiver: Any,
    on_step: OnStep | None = None,
    *,
    early: Any = None,
    start: Start | None = None,
    settings: LatentDescent | None = None,
) -> Order:
    def control(order: Order) -> Steps:
        return descent.draw(order, start=start, settings=settings)

    brief, readers = Brief(backbone, asked, targets=targets), Readers(perceiver, early)
    return drawn(Order(brief=brief, quotas=quotas, readers=readers, drawn_by=control), on_step)


def draw_distribution(
    backbone: Backbone,
    asked: Request,
    targets: Sequence[Target],
    perceiver: Any,
    *,
    early: Any = None,
    settings: DistributionGuidance | None = None,
) -> Order:
    def control(order: Order) -> Steps:
        return distribution.draw(order, settings=settings)

    brief, readers = Brief(backbone, replace(asked, method="distribution"), targets=targets), Readers(perceiver, early)
    return drawn(Order(brief=brief, readers=readers, drawn_by=control))


def drawn_plain(backbone: Backbone, asked: Request) -> Order:
    nobody: Any = None
    return drawn(Order(brief=Brief(backbone, asked.plain), readers=Readers(nobody)))


def brightness(order: Order) -> np.ndarray[Any, Any]:
    return np.array([np.asarray(shown.image).mean() / 255 for shown in order.finished])


def dim(backbone: Backbone, n: int = 6) -> Bright:
    """A perceiver for which all of the plain images but the brightest are men, as descent sees them."""
    start = from_seeds(backbone, range(n), steps=STEPS)
    way = stages(start, plain(backbone)(n), range(n), lambda clean, t: backbone.decode(clean), steps=FAST.steps)
    values = forward(way, start.noise)[-1].mean(dim=(1, 2, 3)).sort().values
    return Bright(float(values[-2:].mean()), float(5 / values.std()))


def target(shares: str) -> tuple[Target, ...]:
    return Policy.from_sentence(f"doctor: {shares}").rules[0].targets


@pytest.mark.parametrize("family", ["sd", "pixel"])
def test_latents_meet_quotas_and_leave_alone_what_fits(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = with_schedule(tiny("pixel").unet) if family == "pixel" else tiny("sd")
    backbone = adapt(pipeline)
    asked = request(6, batch_size=4)
    perceiver, before = dim(backbone), drawn_plain(backbone, asked)
    quotas, counted = plan(HALF, 6, 0), backbone.evaluations
    order = draw_latents(backbone, asked, HALF, quotas, perceiver, settings=FAST)
    groups = [shown.assigned["gender"] for shown in order.finished]
    assert groups.count("woman") == groups.count("man") == 3
    assert order.control == "all"
    alone = [i for i, shown in enumerate(order.finished) if not shown.steered_to]
    assert alone
    assert len(alone) < 6
    for i in alone:
        assert order.finished[i].strength == 0
        assert order.finished[i].image.tobytes() == before.finished[i].image.tobytes()
    women = np.array([group == "woman" for group in groups])
    moved = np.array([bool(shown.steered_to) for shown in order.finished])
    assert (brightness(order) - brightness(before))[women & moved].mean() > 0
    # rows through the network, and one more for each that went backwards: half of what the second pass counts
    spent = sum(shown.evaluations for shown in order.finished)
    forwards = backbone.evaluations - counted
    looked = spent - 6 * order.plain_evaluations
    once = 6 * FAST.steps * plain(backbone)(1).passes(backbone)
    assert forwards - 6 * order.plain_evaluations == once + (looked - once) * 2 // 3


@pytest.mark.parametrize("begin", ["images", "latents"])
def test_pictures_come_from_where_the_start_says(tiny_sd: Any, begin: str) -> None:
    """What fits is drawn as the usual loop draws it from there; the records name the seeds of the start."""
    backbone, sure, seeds = adapt(tiny_sd), Bright(-1, 100), [7, 3]  # all are women to it
    if begin == "images":
        pictures = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        start = from_images(backbone, pictures, seeds, steps=STEPS)
    else:
        start = from_latents(backbone, torch.randn(2, *backbone.latent_shape), steps=STEPS)
    quotas, guide = [[2, 0, 0]], plain(backbone)
    order = draw_latents(backbone, request(2), HALF, quotas, sure, start=start, settings=FAST)
    usual = advance(start.batch(range(2), start.noise), guide(2))
    assert [shown.image.tobytes() for shown in order.finished] == [p.tobytes() for p in backbone.images(usual.latents)]
    assert [shown.seed for shown in order.finished] == (seeds if begin == "images" else [0, 1])
    with pytest.raises(ValueError, match="the start has 2 images, the request 3; give as many"):
        draw_latents(backbone, request(3), HALF, [[3, 0, 0]], sure, start=start)
    other = from_seeds(backbone, seeds, steps=STEPS + 1)
    with pytest.raises(ValueError, match="a run of 5 times, while the request's 4 steps make 4; give both the same"):
        draw_latents(backbone, request(2), HALF, quotas, sure, start=other)


@pytest.mark.parametrize(
    ("loss", "said"),
    [("assigned", "2 of 2 images not surely"), ("mean", "the batch mean not"), ("confident", "the batch")],
)
def test_what_descent_could_not_settle_is_told(tiny_sd: Any, loss: str, said: str) -> None:
    backbone, women = adapt(tiny_sd), target("all women")
    asked, settings = request(2, method="latents", loss=loss), LatentDescent(iterations=1)
    for middle, notes in ((-1, 0), (2, 1)):  # all are women to it; none can be
        perceiver, quotas = Bright(middle, 100), plan(women, 2, 0)
        order = draw_latents(backbone, asked, women, quotas, perceiver, settings=settings)
        assert len(order.notes) == notes
        assert all(note.startswith(f"descent ended with {said}") for note in order.notes)


def test_requests_know_every_loss() -> None:
    assert sorted(METHODS["latents"].losses) == sorted(VARIANTS)
    with pytest.raises(ValueError, match="unknown loss 'median'; use one of assigned, mean, confident"):
        request(1, method="latents", loss="median")
    with pytest.raises(ValueError, match="loss is 'mean', which method 'switch' does not use"):
        request(1, method="switch", loss="mean")
    assert request(1, method="latents").assigns
    assert request(1, method="latents", loss="mean").plain == request(1).plain


@pytest.mark.parametrize("variant", ["mean", "confident"])
def test_the_mean_variants_assign_nothing(tiny_sd: Any, variant: str) -> None:
    backbone = adapt(tiny_sd)
    asked = request(2, method="latents", loss=variant)
    assert not asked.assigns
    order = draw_latents(backbone, asked, HALF, [], dim(backbone), settings=FAST)
    assert [shown.assigned for shown in order.finished] == [{}, {}]
    assert any(shown.strength for shown in order.finished)


def test_interrupted_before_the_noise_is_ready_there_is_no_image_and_later_those_that_are_finished(
    tiny_sd: Any,
) -> None:
    backbone = adapt(tiny_sd)
    for last, finished in ((3, 0), (STEPS, 2)):

        def stop(info: StepInfo, last: int = last) -> None:
            if (info.steps == STEPS and info.images[0] == 2) or (last == 3 and info.step == 1):
                raise KeyboardInterrupt

        order = draw_latents(
            backbone,
            request(4, batch_size=2),
            HALF,
            plan(HALF, 4, 0),
            dim(backbone),
            stop,
            settings=FAST,
        )
        assert order.interrupted
        assert len(order.finished) == finished
        *before, last_note = order.notes
        assert last_note == f"interrupted after {finished} of 4 images"
        assert all(finished and note.startswith("descent ended") for note in before)


@pytest.mark.parametrize("family", ["sd", "sd3", "pixel"])
def test_distribution_guidance_moves_all_images_together_to_the_target(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family))
    asked = request(6, batch_size=4)
    perceiver, before = dim(backbone), drawn_plain(backbone, asked)
    wanted = target("all women")
    settings = DistributionGuidance(strength=0.5, until=1.0)
    order = draw_distribution(backbone, asked, wanted, perceiver, settings=settings)
    assert brightness(order).mean() > brightness(before).mean() + 0.5 * brightness(before).std()
    assert all(shown.strength == 1 and shown.assigned == {} for shown in order.finished)
    # every guided step goes back through the network once
    assert [shown.evaluations for shown in order.finished] == [2 * order.plain_evaluations] * 6
    half = DistributionGuidance(until=0.5)
    order = draw_distribution(backbone, request(2), wanted, perceiver, settings=half)
    assert [shown.evaluations for shown in order.finished] == [order.plain_evaluations * 3 // 2] * 2


class Early:
    """Notes the times it is asked at; what it sees of clean latents is a man as far as `seen` of their mean says."""

    def __init__(self, seen: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        self.groups: dict[str, tuple[str, ...]] = {"gender": ("man", "woman")}
        self.seen, self.times = seen, list[float]()

    def foresee(self, clean: Tensor, t: float, attribute: str) -> Tensor:
        self.times.append(t)
        p = self.seen(clean.mean(dim=(1, 2, 3)))
        return torch.stack([p, 1 - p, 0 * p], dim=1)


def test_an_early_reader_is_asked_where_it_can_read_all(tiny_sd: Any) -> None:
    backbone, perceiver, early = adapt(tiny_sd), Bright(0.5, 10), Early()
    draw_distribution(backbone, request(1), HALF, perceiver, early=early)
    assert len(early.times) == 3  # of 4 steps 60 %, rounded up
    early.times.clear()
    draw_latents(backbone, request(1), HALF, [[1, 0, 0]], perceiver, early=early, settings=FAST)
    short = from_seeds(backbone, [0], steps=STEPS).short(FAST.steps)
    assert set(early.times) == {float(short[-1])}
    early.times.clear()
    perceiver.groups["skin_tone"] = ("light", "dark")
    tones = Policy.from_sentence("doctor: skin tone uniform").rules[0].targets
    early.groups["skin_tone"] = ("light",)  # of what is asked for, it knows this one alone
    draw_distribution(backbone, request(1), tones, perceiver, early=early)
    quotas = plan(tones, 1, 0)
    draw_latents(backbone, request(1), tones, quotas, perceiver, early=early, settings=FAST)
    assert not early.times


def test_an_early_reader_leads_where_the_perceiver_is_content(tiny_sd: Any) -> None:
    backbone, sure, asked = adapt(tiny_sd), Bright(-1, 100), request(3)  # all are women to it
    start = from_seeds(backbone, range(3), steps=STEPS)
    clean = list[Tensor]()

    def seen(m: Tensor) -> Tensor:
        clean.append(m.detach())
        return (2 * m).sigmoid()

    settings = LatentDescent(iterations=20, steps=3, rate=0.2)
    quotas = [[3, 0, 0]]
    draw_latents(backbone, asked, HALF, quotas, sure, early=Early(seen), start=start, settings=settings)
    assert (clean[-1] < clean[0] - 0.1).all()


def test_an_early_reader_has_a_say_in_the_targets_that_it_knows(tiny_sd: Any) -> None:
    backbone, sure, early = adapt(tiny_sd), Bright(-1, 100), Early(lambda m: 0.5 + 0 * m)
    sure.groups["skin_tone"] = ("light", "dark")  # all are light to it
    said = "doctor: half women, half men; skin tone: half light, half dark"
    both = Policy.from_sentence(said).rules[0].targets
    assert len(both) == 2
    quotas = [[int(cell in {("woman",), ("light",)}) for cell in target.shares] for target in both]
    for second in (early, None):
        order = draw_latents(backbone, request(1), both, quotas, sure, early=second, settings=FAST)
        looked = order.finished[0].evaluations - order.plain_evaluations
        assert looked == FAST.steps * 2 * (1 + 3 * FAST.iterations * (second is not None))


def test_an_image_moves_until_the_early_reader_agrees(tiny_sd: Any) -> None:
    backbone, sure = adapt(tiny_sd), Bright(-1, 100)  # all are women to it
    quotas = [[2, 0, 0]]
    for early, moves in ((None, False), (Early(lambda m: 0 * m), False), (Early(lambda m: 0.5 + 0 * m), True)):
        order = draw_latents(backbone, request(2), HALF, quotas, sure, early=early, settings=FAST)
        looked = sum(shown.evaluations for shown in order.finished) / 2 - order.plain_evaluations
        # one pass through the short sampler to see, and three more for each iteration
        assert looked == FAST.steps * 2 * (1 + 3 * FAST.iterations * moves)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_in_half_precision_descend(tiny_sd: Any, dtype: torch.dtype) -> None:
    backbone = adapt(copy.deepcopy(tiny_sd).to(dtype))
    start = from_seeds(backbone, range(3), steps=STEPS)
    assert start.noise.dtype == dtype
    quotas = [[3, 0, 0]]
    order = draw_latents(backbone, request(3), target("all women"), quotas, Bright(0.6, 40), settings=FAST)
    assert all(shown.strength for shown in order.finished)
    before = drawn_plain(backbone, request(3))
    assert (brightness(order) > brightness(before)).all()


def resnet(folder: Path, tokenizer: Any) -> str:
    labels = ["Male", "Female"]
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", id2label=dict(enumerate(labels)),
        label2id={label: k for k, label in enumerate(labels)},
    )  # fmt: skip
    torch.manual_seed(3)
    ResNetForImageClassification(config).save_pretrained(folder / "model")
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder / "model")
    (folder / "labels.yaml").write_text("gender: {woman: [Female], man: [Male]}\n")
    return f"classifier:{folder / 'model'},{folder / 'labels.yaml'}"


def clip(folder: Path, tokenizer: Any) -> str:
    return f"clip:{clip_folder(folder / 'model', tokenizer)}"


@pytest.mark.parametrize("saved", [resnet, clip])
def test_a_model_from_a_folder_leads(tiny_sd: Any, tmp_path: Path, saved: Callable[[Path, Any], str]) -> None:
    perceiver = open_perceiver(saved(tmp_path, tiny_sd.tokenizer))
    assert isinstance(perceiver, Differentiable)
    backbone, wanted = adapt(tiny_sd), target("all women")
    asked = request(2)

    def women(order: Order) -> float:
        return float(probabilities(perceiver, [shown.image for shown in order.finished])["gender"][:, 0].mean())

    quotas = plan(wanted, 2, 0)
    order = draw_latents(backbone, asked, wanted, quotas, perceiver, settings=FAST)
    assert women(order) > women(drawn_plain(backbone, asked))


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("method", ["latents", "distribution"])
def test_the_pipeline_dispatches_and_keeps_records(tiny_sd: Any, method: str) -> None:
    heads = {name: built_in()[name].group_names for name in ("gender", "skin_tone")}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        readers: dict[str, Any] = {"perceiver": pocket.build(heads).eval(), "judge": judge.build(heads).eval()}
    early: Any = Early()
    pipe = FairPipeline(tiny_sd, name="tiny", early=early, **readers)
    result = pipe("a doctor", n=2, steps=2, instruct="doctor: half women, half men", method=method)
    assert [record.method for record in result.records] == [method] * 2
    assert early.times
    assert result.control == "all"
    assert all(record.steered == bool(record.strength) for record in result.records)
    assert all(record.evaluations > record.plain_evaluations for record in result.records)
    if method == "latents":
        assert [record.assigned["gender"] for record in result.records].count("woman") == 1
    else:
        assert not any(record.assigned for record in result.records)
    plain = pipe("a female doctor", n=1, steps=1, instruct="doctor: half women, half men", method=method)
    assert not any(record.steered for record in plain.records)
