"""Distribution guidance in one step: what it lowers, what it leaves alone, and that the network is as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from untrained import pipe_of, weights

from fair_diffusion.backbones import Conditioning, Guide, adapt
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads, train
from fair_diffusion.steering.cost import Cost, cost_of
from fair_diffusion.steering.distribution import BottleneckGuide, CleanGuide, DistributionGuidance, middle
from fair_diffusion.steering.fairness_loss import floored, kl

GROUPS = {"gender": ("woman", "man")}


def to_women(p: Tensor) -> Tensor:
    return kl(p.double().mean(dim=0), floored([1.0, 0.0]))


def bright(clean: Tensor, t: float) -> Tensor:
    p = (2 * clean.mean(dim=(1, 2, 3))).sigmoid()
    return torch.stack([0.98 * p, 0.98 * (1 - p), 0.02 * torch.ones_like(p)], dim=1)


def parts(backbone: Any, n: int) -> dict[str, Any]:
    return {"cond": backbone.encode(["a man"])[[0] * n], "empty": backbone.empty()[[0] * n], "guidance": 2.0}


@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_the_predicted_clean_latents_lower_the_loss(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family)).fork()
    t = backbone.timesteps(4)[1]
    latents = backbone.initial_latents([0, 1, 2])
    plain, _ = Guide(**parts(backbone, 3)).predict(backbone, latents, t, 1)
    settings = DistributionGuidance(strength=0.2)
    guide = CleanGuide(**parts(backbone, 3), read=bright, loss=to_women, steps=4, settings=settings)
    guided, rows = guide.predict(backbone, latents, t, 1)
    before, after = (bright(backbone.clean(latents, output, t), 0) for output in (plain, guided))
    assert (after[:, 0] > before[:, 0]).all()
    assert to_women(after) < to_women(before)
    assert rows.bincount().tolist() == [4, 4, 4]  # empty and prompt, forwards and back
    late, rows = guide.predict(backbone, latents, t, 3)
    assert torch.equal(late, plain.detach())
    assert rows.bincount().tolist() == [2, 2, 2]


def test_the_change_is_in_proportion_to_the_output(tiny: Callable[[str], Any]) -> None:
    backbone = adapt(tiny("sd")).fork()
    t = backbone.timesteps(4)[1]
    latents = backbone.initial_latents([0, 1])
    plain, _ = Guide(**parts(backbone, 2)).predict(backbone, latents, t, 1)
    settings = DistributionGuidance(strength=0.2, clip=1e-9)
    guide = CleanGuide(**parts(backbone, 2), read=bright, loss=to_women, steps=4, settings=settings)
    guided, _ = guide.predict(backbone, latents, t, 1)
    ratio = (guided - plain).flatten(1).norm(dim=1) / plain.flatten(1).norm(dim=1)
    torch.testing.assert_close(ratio.detach(), torch.full((2,), 0.2), atol=1e-4, rtol=1e-3)


def test_the_change_of_an_image_does_not_depend_on_how_many_it_is_drawn_with(tiny: Callable[[str], Any]) -> None:
    """The mean over two images that are the same has half the gradient by each; n makes up for it."""
    backbone = adapt(tiny("sd")).fork()
    t = backbone.timesteps(4)[1]
    settings, changes = DistributionGuidance(strength=1.0, clip=1e3), []
    for n in (1, 2):
        latents = backbone.initial_latents([0] * n)
        plain, _ = Guide(**parts(backbone, n)).predict(backbone, latents, t, 1)
        guide = CleanGuide(**parts(backbone, n), read=bright, loss=to_women, steps=4, settings=settings)
        guided, _ = guide.predict(backbone, latents, t, 1)
        changes.append(float((guided - plain)[0].detach().norm()))
    assert changes[0] > 0
    assert changes[1] == pytest.approx(changes[0], rel=0.05)


def test_guidance_ends_after_its_share_of_the_steps() -> None:
    settings = DistributionGuidance(until=0.5)
    assert [settings.acts(step, 4) for step in range(4)] == [True, True, False, False]


def test_the_clip_of_heads_is_in_units_of_their_weights(tiny_sd: Any) -> None:
    """Below the clip, heads of twice the weights move the features half as far for the same gradient."""
    backbone = adapt(tiny_sd).fork()
    t, latents, changes = backbone.timesteps(4)[1], backbone.initial_latents([0]), []
    plain, _ = Guide(**parts(backbone, 1)).predict(backbone, latents, t, 1)
    settings = DistributionGuidance(strength=1.0, clip=10.0)
    for size in (1.0, 2.0):
        guide = BottleneckGuide(
            **parts(backbone, 1),
            heads=lambda h, t, size=size: (bright(h, t), size),  # type: ignore[misc]
            loss=to_women,
            steps=4,
            settings=settings,
        )
        guided, _ = guide.predict(backbone, latents, t, 1)
        changes.append(float((guided - plain).detach().norm()))
    assert changes[0] == pytest.approx(2 * changes[1], rel=0.05)
    assert changes[1] > 0


def heads(backbone: Any, times: Tensor) -> BottleneckHeads:
    torch.manual_seed(0)
    features = torch.randn(40, len(times), 32 * 4 * 4)
    women = (features[:, :, 0].mean(dim=1) > 0).double()
    return train(features, times, {"gender": torch.stack([women, 1 - women, 0 * women], dim=1)}, GROUPS, steps=60)


def test_features_in_the_middle_lower_the_heads_loss_and_the_network_is_as_it_was(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd).fork()
    times = backbone.timesteps(4)
    latents, found = backbone.initial_latents([0, 1, 2]), heads(backbone, times)
    before = {name: weight.clone() for name, weight in tiny_sd.unet.state_dict().items()}
    with torch.no_grad():
        plain, _ = Guide(**parts(backbone, 3)).predict(backbone, latents, times[1], 1)
    seen: list[Tensor] = []

    def read(features: Tensor, t: float) -> tuple[Tensor, float]:
        seen.append(found.probabilities(features, t, "gender").detach())
        return found.probabilities(features, t, "gender"), found.size(t, "gender")

    guide = BottleneckGuide(
        **parts(backbone, 3), heads=read, loss=to_women, steps=4, settings=DistributionGuidance(strength=0.3)
    )
    passed: list[Tensor] = []
    spy = tiny_sd.unet.up_blocks[0].register_forward_pre_hook(
        lambda module, args, kwargs: passed.append(kwargs["hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        guided, rows = guide.predict(backbone, latents, times[1], 1)
    spy.remove()
    after = found.probabilities(passed[0][-3:], float(times[1]), "gender")
    assert (after[:, 0] > seen[0][:, 0]).all()
    assert not torch.equal(guided, plain)
    assert rows.bincount().tolist() == [2, 2, 2]  # nothing goes back through the network
    assert not tiny_sd.unet.mid_block._forward_hooks
    with torch.no_grad():
        once_more, _ = Guide(**parts(backbone, 3)).predict(backbone, latents, times[1], 1)
    assert torch.equal(once_more, plain)
    assert all(torch.equal(weight, before[name]) for name, weight in tiny_sd.unet.state_dict().items())


def test_the_hook_goes_even_if_the_network_fails(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    with pytest.raises(RuntimeError, match="broken"), middle(backbone, lambda features: features):
        raise RuntimeError("broken")
    assert not tiny_sd.unet.mid_block._forward_hooks


def test_networks_without_a_middle_say_so(tiny: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="no middle block"), middle(adapt(tiny("sd3")), lambda features: features):
        pass


def test_a_compiled_network_says_so(tiny_sd: Any) -> None:
    """It would not notice the hook, and draw plain images that count as steered."""
    pipeline = copy.deepcopy(tiny_sd)
    pipeline.unet.compile(backend="eager")
    backbone = adapt(pipeline)
    with pytest.raises(ValueError, match="without compile"), middle(backbone, lambda features: features):
        pass
    cond = backbone.encode(["a man"])
    steered = Conditioning(cond.embeddings, {"mid_block": torch.ones(1, 32, 4, 4)})
    with pytest.raises(ValueError, match="without compile"):
        backbone.evaluate(torch.zeros(1, 4, 8, 8), torch.zeros(1), steered)


@pytest.mark.parametrize(("setting", "said"), [({"strength": 0.0}, "strength is 0"), ({"until": 1.5}, "until is 1.5")])
def test_wrong_settings_are_named(setting: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DistributionGuidance(**setting)


def test_heads_learn_and_come_back_from_a_file(tmp_path: Path) -> None:
    times = torch.tensor([900.0, 500.0])
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(200, 2, 3, 2, 2, generator=generator)
    women = (features[:, 0, 0, 0, 0] > 0).double()
    seen = {"gender": torch.stack([women, 1 - women, 0 * women], dim=1)}
    found = train(features[:150], times, {"gender": seen["gender"][:150]}, GROUPS, rate=0.02)
    right = found.probabilities(features[150:, 0], 900, "gender").argmax(dim=1) == 1 - women[150:].long()
    assert right.float().mean() > 0.9
    blind = found.probabilities(features[150:, 1], 500, "gender").argmax(dim=1) == 1 - women[150:].long()
    assert blind.float().mean() < 0.8
    # times between take the nearest
    torch.testing.assert_close(
        found.probabilities(features[:2, 0], 750, "gender"), found.probabilities(features[:2, 0], 900, "gender")
    )
    found.save(tmp_path / "heads.safetensors", Cost(steps=400, evaluations=None, seconds=2.5))
    assert cost_of(tmp_path / "heads.safetensors") == Cost(steps=400, evaluations=None, seconds=2.5)
    back = BottleneckHeads.load(tmp_path / "heads.safetensors")
    assert (back.groups, back.temperature) == (found.groups, found.temperature)
    torch.testing.assert_close(
        back.probabilities(features[:5, 1], 500, "gender"),
        found.probabilities(features[:5, 1], 500, "gender"),
        atol=1e-3,
        rtol=0,
    )


def test_a_file_of_heads_guides_in_the_middle_and_costs_no_evaluation(tiny_sd: Any, tmp_path: Path) -> None:
    pipe, path = pipe_of(tiny_sd), tmp_path / "heads.safetensors"
    heads(None, adapt(tiny_sd).fork().timesteps(4)).save(path, Cost())
    asked: dict[str, Any] = {"n": 2, "steps": 4, "guidance": 3.0, "instruct": "doctor: all women"}
    before = weights(tiny_sd)
    plain = pipe("a doctor", **asked, method="none")
    guided = pipe("a doctor", **asked, method="distribution", file=path)
    assert [a.tobytes() for a in guided.images] != [b.tobytes() for b in plain.images]
    assert [r.evaluations for r in guided.records] == [r.evaluations for r in plain.records]
    assert guided.made_with["learnt"].startswith("heads.safetensors, sha256 ")
    assert weights(tiny_sd) == before
    with pytest.raises(ValueError, match="cannot read 'skin_tone'"):
        pipe("a doctor", **asked | {"instruct": "doctor: skin tone uniform"}, method="distribution", file=path)


def test_wrong_heads_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(ValueError, match="holds no bottleneck heads"):
        BottleneckHeads.load(tmp_path / "x")
    found = heads(None, torch.tensor([1.0]))
    with pytest.raises(ValueError, match="cannot read 'age'; they know gender"):
        found.probabilities(torch.zeros(1, 512), 1, "age")
    with pytest.raises(ValueError, match="another model's"):
        found.probabilities(torch.zeros(1, 5), 1, "gender")
    with pytest.raises(ValueError, match="give 2 or more"):
        train(torch.zeros(1, 1, 4), torch.tensor([1.0]), {"gender": torch.zeros(1, 3)}, GROUPS)
