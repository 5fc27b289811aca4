"""One loop for many requests: an image is the same whoever its neighbours are, and batches fill across requests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from untrained import pipe_of, weights

from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.backbones import Guide, StepInfo, adapt
from fair_diffusion.methods import Method
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.request import Request
from fair_diffusion.result import Result
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.learn import alignment

PROMPTS = ["a photo of a firefighter", "a photo of a nurse", "a photo of a singer", "a photo of a cook"]
WOMEN: dict[str, Any] = {"instruct": "every occupation: all women", "repair_budget": 0}


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


@pytest.fixture
def pipe(tiny_sd: Any) -> FairPipeline:
    return pipe_of(tiny_sd)


def farthest(images: Sequence[Image.Image], others: Sequence[Image.Image]) -> int:
    """The largest difference of any pixel, of 255."""
    assert len(images) == len(others) > 0
    pairs = zip(images, others, strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pairs)


def share_beyond(difference: int, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> float:
    """The share of pixel values that are farther apart than `difference` of 255."""
    return float(
        np.mean(
            [np.abs(np.asarray(a, int) - np.asarray(b, int)) > difference for a, b in zip(images, others, strict=True)]
        )
    )


@pytest.mark.parametrize(
    ("method", "control"),
    [("none", None), ("prompt", None), ("switch", None), ("semantic", "all"), ("semantic", "natural-first")],
)
def test_strangers_in_a_batch_change_no_bit(pocket: FairPipeline, method: str, control: str | None) -> None:
    """Each image of three one-image requests, beside the image of its seed and place in a request of three."""
    prompts = PROMPTS[:3]
    asked: dict[str, Any] = {"method": method, "control": control, "steps": 4, "batch_size": 3, **WOMEN}
    if method == "semantic":  # a held group is a row more, so among strangers the batch would have another shape
        asked["hold"] = "none"
    mixed = pocket.many([Request(prompt=prompt, seed=7 + k, **asked) for k, prompt in enumerate(prompts)])
    for k, prompt in enumerate(prompts):
        own = pocket(prompt, n=3, seed=7, **asked)
        assert replace(mixed[k].records[0], index=k) == own.records[k]
        if control == "natural-first" and own.records[k].steered:  # beside others of another number of concepts
            assert farthest(mixed[k].images, [own.images[k]]) <= 1
        else:
            assert mixed[k].images[0].tobytes() == own.images[k].tobytes()


def test_each_request_of_a_mix_gets_what_it_would_get_alone(pocket: FairPipeline) -> None:
    usual: dict[str, Any] = {"steps": 4, "batch_size": 4}
    requests = [
        Request(prompt=PROMPTS[0], n=2, seed=1, instruct="firefighter: half women", **usual),
        Request(prompt=PROMPTS[1], n=1, seed=9, instruct="nurse: all men", method="semantic", **usual),
        Request(prompt=PROMPTS[3], n=2, seed=3, instruct="cook: skin tone uniform", method="semantic", **usual),
        Request(prompt=PROMPTS[2], n=3, seed=4, instruct="singer: half women", method="prompt", **usual),
        Request(prompt=PROMPTS[1], n=1, seed=6, instruct="nurse: all men; skin tone uniform", **usual),
        Request(prompt=PROMPTS[0], n=1, seed=5, method="none", negative_prompt="a man", **usual),
        Request(prompt=PROMPTS[2], n=2, seed=2, method="semantic", control="all", instruct="singer: all men", **usual),
        Request(prompt=PROMPTS[0], n=1, seed=8, method="none", **usual),
    ]
    for result, request in zip(pocket.many(requests), requests, strict=True):
        (alone,) = pocket.many([request])
        assert (result.prompt, result.seed, len(result.images)) == (request.prompt, request.seed, request.n)
        for record, own in zip(result.records, alone.records, strict=True):
            assert record.confidence == pytest.approx(own.confidence, abs=0.02)
            assert record.natural_confidence == pytest.approx(own.natural_confidence, abs=0.02)
            as_sure: dict[str, Any] = {"confidence": own.confidence, "natural_confidence": own.natural_confidence}
            assert replace(record, **as_sure) == own
        if request.method == "semantic":
            # Its threshold turns rounding into a jump: an element of the latents is edited, or not.
            assert share_beyond(1, result.images, alone.images) <= 0.002
            assert farthest(result.images, alone.images) <= 8
        else:
            assert farthest(result.images, alone.images) <= 1


REQUESTS = st.builds(
    Request,
    prompt=st.sampled_from(["a doctor", "a man", "a nurse", "a cook"]),
    n=st.integers(1, 3),
    seed=st.integers(0, 50),
    instruct=st.sampled_from([None, "every occupation: half women", "doctor: all men; skin tone uniform"]),
    method=st.sampled_from(["switch", "semantic", "prompt", "hint", "rejection", "none"]),
    steps=st.integers(1, 3),
    guidance=st.sampled_from([1.0, 3.0]),
    repair_budget=st.just(0.0),
    batch_size=st.integers(1, 4),
)


@settings(max_examples=8, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS, min_size=2, max_size=5))
def test_whatever_is_mixed(pipe: FairPipeline, requests: list[Request]) -> None:
    for result, request in zip(pipe.many(requests), requests, strict=True):
        (alone,) = pipe.many([request])
        assert [record.seed for record in result.records] == [record.seed for record in alone.records]
        assert [record.assigned for record in result.records] == [record.assigned for record in alone.records]
        assert farthest(result.images, alone.images) <= 1


def drawn_batches(pipe: FairPipeline, requests: Sequence[Request]) -> list[tuple[int, list[int]]]:
    """The step and the images of every step of every batch."""
    seen: list[tuple[int, list[int]]] = []
    pipe.many(requests, on_step=lambda info: seen.append((info.step, list(info.images))))
    return seen


def test_batches_fill_across_requests(pipe: FairPipeline) -> None:
    every = list(range(8))
    one: dict[str, Any] = {"prompt": "a doctor", "steps": 3}
    plain = [Request(seed=k, method="none", **one) for k in every]
    assert drawn_batches(pipe, plain) == [(0, every), (1, every), (2, every)]
    steered = [Request(seed=k, **WOMEN, **one) for k in every]
    assert drawn_batches(pipe, steered) == [(0, every), (1, every), (2, every)]  # the look is after the first step
    unequal = [replace(plain[0], n=n, batch_size=4) for n in (3, 1, 2, 2)]
    assert [images for step, images in drawn_batches(pipe, unequal) if step == 0] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    other = [*plain[:2], replace(plain[2], guidance=2.0), replace(plain[3], steps=2)]
    firsts = [images for step, images in drawn_batches(pipe, other) if step == 0]
    assert sorted(firsts) == [[0, 1], [2], [3]]


def stopped_at(image: int) -> Any:
    def stop(info: StepInfo) -> None:
        if info.images[0] == image:
            raise KeyboardInterrupt

    return stop


def test_an_interrupt_gives_what_every_request_has(pipe: FairPipeline) -> None:
    asked: dict[str, Any] = {"steps": 2, "batch_size": 2, "method": "none"}
    requests = [Request(prompt="a doctor", n=n, **asked) for n in (2, 4, 2)]
    done, begun, never = pipe.many(requests, on_step=stopped_at(4), compare_plain=True)
    assert [len(result.images) for result in (done, begun, never)] == [2, 2, 0]
    assert [result.stopped for result in (done, begun, never)] == [False, True, True]
    assert [len(result.records) for result in (done, begun, never)] == [2, 2, 0]
    assert (begun.notes, never.notes) == (["interrupted after 2 of 4 images"], ["interrupted after 0 of 2 images"])
    assert never.requested == 2
    assert never.audit == []
    assert done.plain is None
    whole = pipe.many(requests)
    assert [image.tobytes() for image in begun.images] == [image.tobytes() for image in whole[1].images[:2]]


def test_an_interrupt_ends_each_after_what_was_begun(pipe: FairPipeline) -> None:
    asked: dict[str, Any] = {"prompt": "a doctor", "n": 2, "steps": 2, "batch_size": 2, "method": "none"}
    begun: list[int] = []

    def requests() -> Iterator[Request]:
        for k in range(5):
            begun.append(k)
            yield Request(**asked)

    found = dict(pipe.each(requests(), on_step=stopped_at(4)))
    assert begun == [0, 1, 2]
    assert {k: (len(result.images), result.stopped) for k, result in found.items()} == {
        0: (2, False),
        1: (2, False),
        2: (0, True),
    }


@pytest.mark.parametrize("method", ["none", "prompt", "switch"])
def test_an_interrupt_keeps_an_image_whose_neighbour_waits_for_the_next_batch(pipe: FairPipeline, method: str) -> None:
    """The second request ends with one image in one batch and one in the next batch, which is interrupted."""

    def stop(info: StepInfo) -> None:
        if info.images[0] == 2 and info.step == 1:
            raise KeyboardInterrupt

    asked: dict[str, Any] = {"prompt": "a doctor", "steps": 2, "batch_size": 2, "method": method}
    if method != "none":
        asked["instruct"] = "doctor: all women"
    requests = [Request(n=1, seed=5, **asked), Request(n=2, seed=9, **asked)]
    begun = pipe.many(requests, on_step=stop)[1]
    assert begun.notes[-1] == "interrupted after 1 of 2 images"
    assert [record.seed for record in begun.records] == [9]


class Fails(Method):
    """A method that cannot guide."""

    def guide(self, images: Sequence[Aimed]) -> Guide:
        raise RuntimeError("out of memory")


def test_a_method_that_fails_raises_and_the_model_is_as_it_was(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path
) -> None:
    before, file = weights(tiny_sd), edit(tiny_sd, tmp_path)
    asked: dict[str, Any] = {"prompt": "a doctor", "instruct": "doctor: half women", "steps": 2, "batch_size": 2}
    requests = [
        Request(n=3, method="edit", file=file, **asked),
        Request(n=2, method=Fails(name="mine", does="fail"), **asked),
    ]
    with pytest.raises(RuntimeError, match="out of memory"):
        pipe.many(requests)
    assert weights(tiny_sd) == before


def edit(pipeline: Any, folder: Path) -> Path:
    """A file of edited weights."""
    save_file({name: 1.3 * tensor for name, tensor in pipeline.unet.state_dict().items()}, folder / "edit.safetensors")
    return folder / "edit.safetensors"


def lora(pipeline: Any, folder: Path) -> Path:
    """A file with a LoRA of the text encoder alone."""
    alignment.learn(
        adapt(pipeline),
        ["a man"],
        shares=[1.0, 0.0],
        probabilities=lambda pixels: torch.stack([(p := pixels.mean(dim=(1, 2, 3))), 1 - p], dim=1),
        features=lambda pixels: pixels.flatten(1),
        parts=("text_encoder",),
        iterations=2,
        images=2,
        steps=2,
        rate=1.0,
    ).save(folder / "lora.safetensors")
    return folder / "lora.safetensors"


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("made", [edit, lora])
def test_edits_act_on_their_own_requests_alone(pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, made: Any) -> None:
    """Whoever gets a result may use the model: no edit is in it then. What others draw or encode knows of no edit."""
    file, before = made(tiny_sd, tmp_path), weights(tiny_sd)
    under: dict[str, Any] = {"prompt": "a doctor", "instruct": "doctor: half women", "steps": 3, "batch_size": 2}
    requests = [
        Request(n=3, method="edit", file=file, **under),
        Request(n=1, method="latents", seed=3, **under),
        Request(n=1, method="switch", seed=4, **under),
        Request(n=3, method="none", **under),
        Request(n=1, method="edit", file=file, seed=9, **under),
        Request(n=1, method="none", seed=9, **under),
    ]
    found: dict[int, Result] = {}
    for k, result in pipe.each(requests):
        assert weights(tiny_sd) == before
        assert k not in found
        found[k] = result
    assert sorted(found) == list(range(len(requests)))
    for k, request in enumerate(requests):
        (alone,) = pipe.many([request])
        assert farthest(found[k].images, alone.images) <= 1
    assert farthest(found[4].images, found[5].images) > 1


def test_each_takes_requests_as_they_come_and_gives_each_back_once(pipe: FairPipeline) -> None:
    taken: list[int] = []

    def requests() -> Iterator[Request]:
        for k, n in enumerate((1, 3, 2, 4, 1, 2)):
            taken.append(k)
            yield Request(prompt="a doctor", n=n, seed=10 * k, steps=1, batch_size=2, method="none")

    given: list[int] = []
    for k, result in pipe.each(requests()):
        assert k in taken
        given.append(k)
        assert (result.seed, len(result.images)) == (10 * k, result.requested)
        if given == [k]:
            assert len(taken) < 6
    assert sorted(given) == list(range(6))


def test_a_wrong_request_costs_no_other_its_images(pipe: FairPipeline) -> None:
    def requests() -> Iterator[Request]:
        for seed in range(3):
            yield Request(prompt="a doctor", n=2, seed=seed, steps=1, batch_size=8, method="none")
        yield Request(prompt="a doctor", instruct="doctor: half robots", steps=1)
        raise AssertionError("no request is taken after a wrong one")

    found: list[tuple[int, int]] = []
    with pytest.raises(ValueError, match="robots"):
        found.extend((k, len(result.images)) for k, result in pipe.each(requests()))
    assert sorted(found) == [(0, 2), (1, 2), (2, 2)]


def test_a_ledger_keeps_every_prefix_of_single_images_within_one(pipe: FairPipeline, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    requests = [
        Request(prompt="a doctor", seed=seed, steps=1, method="prompt", instruct="doctor: 3/4 women")
        for seed in range(16)
    ]
    women = 0
    for k, result in enumerate(pipe.many(requests, ledger=ledger)):
        (record,) = result.records
        women += record.assigned["gender"] == "woman"
        assert abs(women - 0.75 * (k + 1)) < 1
    assert women == 12
    assert sum(row.asked for row in ledger.rows()) == 16
    assert {row.pending for row in ledger.rows()} == {0}


def test_a_ledger_with_many_requests_calls_no_deeper(pipe: FairPipeline, tmp_path: Path) -> None:
    """A call within a call for each request would end where Python allows no more."""

    def depth(n: int) -> int:
        deep = list[int]()
        asked: dict[str, Any] = {"prompt": "a doctor", "steps": 1, "method": "prompt", "instruct": "doctor: half women"}
        requests = [Request(seed=seed, **asked) for seed in range(n)]
        ledger = Ledger(tmp_path / f"{n}.sqlite")
        pipe.many(requests, ledger=ledger, on_step=lambda _: deep.append(len(inspect.stack(0))))
        return max(deep)

    assert depth(1) == depth(6)


def test_what_is_at_hand_is_drawn_while_no_next_request_is_there_yet(pipe: FairPipeline) -> None:
    """A request that comes in the middle of another one's run joins it, and no picture changes by it."""
    under: dict[str, Any] = {"prompt": "a doctor", "instruct": "doctor: half women", "steps": 4, "batch_size": 4}
    requests = [Request(n=1, seed=1, **under), Request(n=2, seed=5, **under), Request(n=1, seed=9, **under)]
    steps: list[tuple[int, ...]] = []
    before: list[int] = []

    def planned() -> Iterator[Any]:
        for request in requests:
            yield pipe.plan(request)
            before.append(len(steps))
            yield None
            assert len(steps) > before[-1]  # one batch at least went on
        while len(found) < len(requests):
            yield None

    found: dict[int, Result] = {}
    for part in pipe.run_together(planned(), lambda info: steps.append(tuple(info.images))):
        found.update(part)
    assert sorted(found) == [0, 1, 2]
    for k, request in enumerate(requests):
        assert farthest(found[k].images, pipe.many([request])[0].images) <= 1
