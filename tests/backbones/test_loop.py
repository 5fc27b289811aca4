from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from fair_diffusion.backbones import Batch, Guide, StableDiffusion, StepInfo, advance, begin, denoise

PROMPTS = ["a man", "a cook", "a pilot", "a man", "a judge"]
SEEDS = [11, 12, 13, 14, 15]


@pytest.fixture
def backbone(tiny_sd: Any) -> StableDiffusion:
    return StableDiffusion(tiny_sd)


def run(backbone: StableDiffusion, images: range = range(5), **settings: Any) -> list[Batch]:
    arguments: dict[str, Any] = {
        "prompts_cond": backbone.encode([PROMPTS[i] for i in images]),
        "empty_cond": backbone.encode([""]),
        "seeds": [SEEDS[i] for i in images],
        "steps": 4,
        "guidance": 7.0,
    }
    return list(denoise(backbone, **arguments | settings))


def latents(batches: list[Batch]) -> torch.Tensor:
    return torch.cat([batch.latents for batch in batches])


@pytest.mark.parametrize("scheduler", ["DDIM", "EulerAncestralDiscrete", "DPMSolverMultistep"])
def test_an_image_is_the_same_whatever_its_neighbours(tiny_sd: Any, scheduler: str) -> None:
    kind = getattr(diffusers, f"{scheduler}Scheduler")
    parts = {**tiny_sd.components, "scheduler": kind.from_config(tiny_sd.scheduler.config)}
    backbone = StableDiffusion(type(tiny_sd)(**parts, requires_safety_checker=False))
    together = latents(run(backbone, batch_size=5))
    # a quarter of 1/255: kernels round differently by the number of rows
    for batch_size in (1, 2, 4, 50):
        torch.testing.assert_close(latents(run(backbone, batch_size=batch_size)), together, atol=1e-3, rtol=0)
    torch.testing.assert_close(latents(run(backbone, range(3, 5))), together[3:], atol=1e-3, rtol=0)


def test_batches(backbone: StableDiffusion) -> None:
    batches = run(backbone, batch_size=2)
    assert [batch.images for batch in batches] == [range(2), range(2, 4), range(4, 5)]
    assert [len(batch.latents) for batch in batches] == [2, 2, 1]
    assert not batches[0].latents.requires_grad
    assert run(backbone, range(0)) == []


@pytest.mark.parametrize(("guidance", "each"), [(7.0, 8), (1.0, 4), (0.0, 4)])
def test_evaluations(backbone: StableDiffusion, guidance: float, each: int) -> None:
    batches = run(backbone, guidance=guidance, batch_size=3)
    assert [batch.evaluations.tolist() for batch in batches] == [[each] * 3, [each] * 2]
    assert backbone.evaluations == 5 * each


def test_steps_are_told(backbone: StableDiffusion) -> None:
    told: list[StepInfo] = []
    batches = run(backbone, batch_size=3, on_step=told.append)
    assert [(info.images, info.step, info.steps) for info in told] == [
        (images, step, 4) for images in (range(3), range(3, 5)) for step in range(4)
    ]
    assert [info.timestep for info in told[:4]] == backbone.timesteps(4).tolist()
    assert torch.equal(told[3].latents, batches[0].latents)
    # the last step of DDIM lands on its own prediction but for the noise left at the first training time
    assert (told[3].clean() - batches[0].latents).abs().mean() < (told[0].clean() - batches[0].latents).abs().mean()


def test_raising_from_the_callback_stops(backbone: StableDiffusion) -> None:
    class Cancelled(Exception):
        pass

    def cancel(info: StepInfo) -> None:
        if info.images[0] == 4 and info.step == 1:
            raise Cancelled

    finished = []
    batches = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS),
        empty_cond=backbone.encode([""]),
        seeds=SEEDS,
        steps=4,
        guidance=7,
        batch_size=2,
        on_step=cancel,
    )
    for _ in range(2):
        finished.append(next(batches))
        assert torch.is_grad_enabled()
    with pytest.raises(Cancelled):
        next(batches)
    assert [batch.images for batch in finished] == [range(2), range(2, 4)]
    assert backbone.evaluations == 2 * (4 * 4 + 2)
    torch.testing.assert_close(latents(finished), latents(run(backbone, batch_size=2))[:4])


def test_two_runs_may_interleave(tiny_sd: Any, backbone: StableDiffusion) -> None:
    alone = latents(run(backbone, batch_size=2))

    def disturb(info: StepInfo) -> None:
        run(backbone, range(1), steps=2)

    assert torch.equal(latents(run(backbone, batch_size=2, on_step=disturb)), alone)


def test_each_image_may_have_its_own_negative_prompt(backbone: StableDiffusion) -> None:
    negative = backbone.encode(["", "ugly", "", "", "dark"])
    mixed, plain = latents(run(backbone, empty_cond=negative)), latents(run(backbone))
    changed = (mixed - plain).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert changed.tolist() == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": [1]}, "5 rows for 1 seeds"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"rescale": 1.5}, "guidance rescale is 1.5; use 0 to 1"),
    ],
)
def test_wrong_input(backbone: StableDiffusion, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(backbone, **settings)
    with pytest.raises(ValueError, match="empty_cond has 2 rows for 5 seeds"):
        run(backbone, empty_cond=backbone.encode(["", ""]))


SAMPLERS = ["DDIM", "PNDM", "DPMSolverMultistep", "UniPCMultistep", "HeunDiscrete", "EulerAncestralDiscrete"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_goes_on_in_part_and_with_others(tiny_sd: Any, sampler: str) -> None:
    """Whatever the sampler remembers of earlier steps goes along with each image."""
    kind = getattr(diffusers, f"{sampler}Scheduler")
    parts = {**tiny_sd.components, "scheduler": kind.from_config(tiny_sd.scheduler.config)}
    backbone = StableDiffusion(type(tiny_sd)(**parts, requires_safety_checker=False))

    def guide(images: list[int]) -> Guide:
        return Guide(backbone.encode([PROMPTS[i] for i in images]), backbone.encode([""])[[0] * len(images)], 3.0)

    def warm(images: list[int]) -> Batch:
        begun = begin(backbone, images, seeds=[SEEDS[i] for i in images], steps=6)
        return advance(begun, guide(images), until=4)

    first, second = warm([0, 1, 2]), warm([3, 4])
    whole = torch.cat([advance(first, guide([0, 1, 2])).latents, advance(second, guide([3, 4])).latents])
    mixed = Batch.join([second.take([1]), first.take([2, 0])])
    assert mixed.images == [4, 2, 0]
    assert mixed.evaluations.tolist() == [8] * 3
    end = advance(mixed, guide([4, 2, 0]))
    torch.testing.assert_close(end.latents, whole[[4, 2, 0]], atol=1e-3, rtol=0)
    torch.testing.assert_close(mixed.clean(), torch.cat([second.clean(), first.clean()])[[1, 4, 2]], atol=0, rtol=0)
    # what was saved is as it was
    torch.testing.assert_close(advance(first, guide([0, 1, 2])).latents, whole[:3], atol=0, rtol=0)


def test_batches_at_different_steps_do_not_join(backbone: StableDiffusion) -> None:
    guide = Guide(backbone.encode(["a man"]), backbone.encode([""]), 3.0)
    begun = begin(backbone, [0], seeds=[1], steps=4)
    with pytest.raises(ValueError, match=r"batches after \[0, 2\] steps cannot go on together"):
        Batch.join([begun, advance(begun, guide, until=2)])
    with pytest.raises(ValueError, match="no step is done yet"):
        begun.clean()
