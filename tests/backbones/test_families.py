"""What the loop and the methods rely on, in every family."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from tiny_families import TEXT_FAMILIES

from fair_diffusion.backbones import (
    FAMILIES,
    Batch,
    Conditioning,
    Guide,
    Pixel,
    StableDiffusion,
    adapt,
    advance,
    begin,
)
from fair_diffusion.backbones.flux import Flux
from fair_diffusion.backbones.pixart import PixArtSigma
from fair_diffusion.backbones.sd3 import StableDiffusion3
from fair_diffusion.backbones.sdxl import StableDiffusionXL

KINDS = {
    "sd": StableDiffusion,
    "lcm": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "sd3": StableDiffusion3,
    "flux-dev": Flux,
    "pixart": PixArtSigma,
    "pixel": Pixel,
}


@pytest.mark.parametrize("family", KINDS)
def test_the_adapter_is_found_by_the_class(tiny: Callable[[str], Any], family: str) -> None:
    assert type(adapt(tiny(family))) is KINDS[family]


def test_a_class_derived_from_a_known_one_will_do(tiny: Callable[[str], Any]) -> None:
    class Mine(diffusers.DDPMPipeline):  # type: ignore[misc]
        pass

    assert isinstance(adapt(Mine(**tiny("pixel").components)), Pixel)


def test_an_unknown_class_is_named(tiny_sd: Any) -> None:
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(**tiny_sd.components, requires_safety_checker=False)
    with pytest.raises(ValueError, match=r"StableDiffusionImg2ImgPipeline is not supported.*FluxPipeline") as error:
        adapt(pipeline)
    assert all(name in str(error.value) for name in FAMILIES)


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_conditionings_are_rows(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family))
    told = backbone.encode(["a man", "a cook", "a man"])
    assert len(told) == 3
    assert len(told[[]]) == 0
    same(told[[0]], told[2:])
    same(Conditioning.cat([told[1:], told[[0]]]), told[torch.tensor([1, 2, 0])])
    same(backbone.encode(["a cook"]), told[1:2])
    assert len(backbone.empty()) == 1
    assert not told.embeddings.requires_grad


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_between_two_prompts(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family))
    one, other = backbone.encode(["a man"] * 3), backbone.encode(["a female man"] * 3)
    mixed = one.towards(other, torch.tensor([0.0, 1.0, 1.5]))
    same(mixed[:1], one[:1], exactly=True)
    same(mixed[1:2], other[:1], exactly=True)
    beyond = one.embeddings[2] + 1.5 * (other.embeddings[2] - one.embeddings[2])
    torch.testing.assert_close(mixed.embeddings[2], beyond)
    assert set(mixed.added) == set(one.added)
    for name, part in mixed.added.items():
        assert part.dtype == one.added[name].dtype
    if "mask" in mixed.added:
        assert torch.equal(mixed.added["mask"][2], other.added["mask"][2])


def same(one: Conditioning, other: Conditioning, *, exactly: bool = False) -> None:
    assert one.added.keys() == other.added.keys()
    tolerance = {"atol": 0, "rtol": 0} if exactly else {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(one.embeddings, other.embeddings, **tolerance)
    for name, part in one.added.items():
        torch.testing.assert_close(part, other.added[name], **tolerance)


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux-dev", "pixart", "lcm", "pixel"])
def test_a_batch_goes_on_in_part_and_with_others(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family))
    seeds = [11, 12, 13, 14]

    def guide(images: list[int]) -> Guide:
        empty = backbone.empty()[[0] * len(images)]
        cond = empty if family == "pixel" else backbone.encode([["a man", "a cook"][i % 2] for i in images])
        return Guide(cond, empty, 3.0)

    def warm(images: list[int]) -> Batch:
        return advance(begin(backbone, images, seeds=[seeds[i] for i in images], steps=4), guide(images), until=2)

    first, second = warm([0, 1, 2]), warm([3])
    whole = torch.cat([advance(first, guide([0, 1, 2])).latents, advance(second, guide([3])).latents])
    mixed = Batch.join([second, first.take([2, 0])])
    torch.testing.assert_close(advance(mixed, guide([3, 2, 0])).latents, whole[[3, 2, 0]], atol=1e-4, rtol=0)
    assert mixed.evaluations.tolist() == [guide([0]).passes(backbone) * 2] * 3


@pytest.mark.parametrize("family", ["sd3", "flux-dev", "flux-schnell"])
def test_clean_inverts_the_flow(tiny: Callable[[str], Any], family: str) -> None:
    backbone = adapt(tiny(family))
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(2, *backbone.latent_shape, generator=generator) for _ in range(2))
    for t in backbone.timesteps(5):
        noisy = backbone.sampler.scheduler.scale_noise(x0, t.expand(2), noise)
        torch.testing.assert_close(backbone.clean(noisy, noise - x0, t), x0, atol=1e-5, rtol=1e-5)
    # at times that the run has not, σ is the share of the training times
    torch.testing.assert_close(backbone.clean(0.3 * noise + 0.7 * x0, noise - x0, torch.tensor(300.0)), x0)


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux-dev", "pixart", "pixel"])
def test_pictures_there_and_back(tiny: Callable[[str], Any], family: str) -> None:
    """Encoding scales latents as decoding unscales them."""
    backbone = adapt(tiny(family))
    picture = Image.linear_gradient("L").resize((20, 20)).convert("RGB")
    with torch.no_grad():
        latents = backbone.encode_images([picture, picture])
        assert latents.shape == (2, *backbone.latent_shape)
        if family == "pixel":
            expected = latents / 2 + 0.5
        else:
            vae = tiny(family).vae
            mode = vae.encode(tiny(family).image_processor.preprocess(picture, 16, 16)).latent_dist.mode()
            expected = (vae.decode(mode).sample / 2 + 0.5).clamp(0, 1).expand(2, -1, -1, -1)
        torch.testing.assert_close(backbone.decode(latents), expected, atol=1e-5, rtol=0)
    assert backbone.images(latents)[0].size == expected.shape[2:]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "pixel"])
def test_half_precision_is_close(tiny: Callable[[str], Any], family: str, dtype: torch.dtype) -> None:
    """From the same noise, since a seed means other noise in another precision."""
    low = adapt(copy.deepcopy(tiny(family)).to(dtype))
    high = adapt(tiny(family))
    begun = begin(low, [0, 1], seeds=[1, 2], steps=3)
    same_noise = replace(begin(high, [0, 1], seeds=[1, 2], steps=3), latents=begun.latents.float())
    ends = []
    for backbone, batch in ((low, begun), (high, same_noise)):
        empty = backbone.empty()[[0, 0]]
        cond = empty if family == "pixel" else backbone.encode(["a man", "a cook"])
        end = advance(batch, Guide(cond, empty, 3.0)).latents
        ends.append(torch.cat([end.float().flatten(), backbone.decode(end).detach().flatten()]))
        assert end.dtype == backbone.dtype
    assert ends[0].isfinite().all()
    difference = (ends[0] - ends[1]).abs().mean() / ends[1].abs().mean()
    print(f"{family} {dtype}: {difference:.1e}")
    assert difference < 0.05


def test_a_model_that_is_moved_or_whose_sampler_is_changed_is_asked_anew(tiny: Callable[[str], Any]) -> None:
    """Device, number type and length of a run are kept, as long as they hold."""
    backbone = adapt(copy.deepcopy(tiny("sd")))
    before = backbone.dtype, backbone.visits(4), backbone.visits(4)
    backbone.pipeline.to(torch.bfloat16)
    backbone.pipeline.scheduler = diffusers.HeunDiscreteScheduler.from_config(backbone.pipeline.scheduler.config)
    assert before == (torch.float32, 4, 4)
    assert (backbone.dtype, backbone.visits(4), backbone.fork().visits(3)) == (torch.bfloat16, 7, 5)


def test_an_image_decoder_that_overflows_works_in_float32(tiny: Callable[[str], Any]) -> None:
    pipeline = copy.deepcopy(tiny("sdxl"))
    pipeline.vae.half().register_to_config(force_upcast=True)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    pixels = adapt(pipeline).decode(latents)
    assert pipeline.vae.dtype == torch.float16
    pipeline.vae.float()
    torch.testing.assert_close(pixels, adapt(pipeline).decode(latents.float()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("overflows", [True, False])
def test_an_image_coder_that_overflows_works_in_float32_both_ways(tiny: Callable[[str], Any], overflows: bool) -> None:
    pipeline = copy.deepcopy(tiny("sdxl"))
    pipeline.vae.half().register_to_config(force_upcast=overflows)
    worked: list[torch.dtype] = []
    for part in (pipeline.vae.encoder, pipeline.vae.decoder):
        part.register_forward_pre_hook(lambda _, args: worked.append(args[0].dtype))
    backbone = adapt(pipeline)
    picture = Image.effect_noise((16, 16), 60)
    latents = backbone.encode_images([picture])
    backbone.decode(latents.half())
    assert worked == [torch.float32 if overflows else torch.float16] * 2
    assert (pipeline.vae.dtype, latents.dtype) == (torch.float16, backbone.dtype)
    if overflows:
        pipeline.vae.float()
        torch.testing.assert_close(latents, adapt(pipeline).encode_images([picture]), atol=1e-6, rtol=0)


def test_pixel_models_follow_no_prompt(tiny: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="DDPMPipeline draws without text, so it follows no prompt; use a text-to-"):
        adapt(tiny("pixel")).encode(["a man"])


def test_pixel_models_that_do_not_fit() -> None:
    def model(channels: int, out: int) -> Any:
        return diffusers.UNet2DModel(
            sample_size=8,
            in_channels=channels,
            out_channels=out,
            block_out_channels=(8,),
            layers_per_block=1,
            norm_num_groups=8,
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
        )

    with pytest.raises(ValueError, match="draws 1 channels; use a model that draws 3"):
        Pixel(diffusers.DDPMPipeline(unet=model(1, 1), scheduler=diffusers.DDPMScheduler()))
    learned = diffusers.DDPMScheduler(variance_type="learned_range")
    with pytest.raises(ValueError, match=r"learned variance \(learned_range\).*DDIMScheduler"):
        Pixel(diffusers.DDPMPipeline(unet=model(3, 6), scheduler=learned))
