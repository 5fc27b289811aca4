from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from transformers import BertConfig, BertModel, BertTokenizer

from fair_diffusion.backbones import Conditioning, StableDiffusion, adapt

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    "dpm++-2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++-2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


@pytest.fixture
def backbone(tiny_sd: Any) -> StableDiffusion:
    return StableDiffusion(tiny_sd)


def with_scheduler(pipeline: Any, name: str, prediction: str = "epsilon") -> StableDiffusion:
    kind, settings = SCHEDULERS[name]
    parts = dict(pipeline.components)
    parts["scheduler"] = getattr(diffusers, kind)(**settings, prediction_type=prediction, steps_offset=1)
    return StableDiffusion(type(pipeline)(**parts, requires_safety_checker=False))


def test_conditioning_rows() -> None:
    cond = Conditioning(torch.arange(24.0).reshape(4, 2, 3))
    assert len(cond) == 4
    assert cond[[2, 0]].embeddings[:, 0, 0].tolist() == [12, 0]
    assert cond[1:3].embeddings[:, 0, 0].tolist() == [6, 12]
    assert len(cond[[]]) == 0
    torch.testing.assert_close(Conditioning.cat([cond[:1], cond[torch.tensor([1, 2, 3])]]).embeddings, cond.embeddings)


def test_encoding_is_the_same_alone_and_among_others(backbone: StableDiffusion) -> None:
    prompts = [f"a {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(40)]
    together = backbone.encode(prompts).embeddings
    assert together.shape == (40, 16, 32)
    torch.testing.assert_close(together[37:38], backbone.encode([prompts[37]]).embeddings)
    assert not together.requires_grad


def test_gradients_reach_the_text_encoder_where_they_are_asked_for(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    plain, learning = backbone.encode(["a man"]).embeddings, backbone.encode(["a man"], gradient=True).embeddings
    assert torch.equal(plain, learning)
    assert not plain.requires_grad
    weight = tiny_sd.text_encoder.get_input_embeddings().weight
    (gradient,) = torch.autograd.grad(learning.square().sum(), weight)
    assert gradient.abs().max() > 0
    with torch.no_grad():
        assert not backbone.encode(["a man"], gradient=True).embeddings.requires_grad


def test_another_text_encoder(tiny_sd: Any) -> None:
    """A BERT sees its padding too, as the pipeline has it: no attention mask."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man"]
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)}, model_max_length=16)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=37,
    )
    parts = {**tiny_sd.components, "tokenizer": tokenizer, "text_encoder": BertModel(config).eval()}
    backbone = StableDiffusion(type(tiny_sd)(**parts, requires_safety_checker=False))
    embeddings = backbone.encode(["a man", ""]).embeddings
    ids = torch.tensor([[2, 5, 6, 3] + [0] * 12, [2, 3] + [0] * 14])
    with torch.no_grad():
        torch.testing.assert_close(embeddings, parts["text_encoder"](ids).last_hidden_state)


def test_noise_belongs_to_the_seed(backbone: StableDiffusion) -> None:
    backbone.timesteps(4)
    noise = backbone.initial_latents([5, 6, 5])
    assert noise.shape == (3, 4, 8, 8)
    assert torch.equal(noise[0], noise[2])
    assert torch.equal(noise[1:2], backbone.initial_latents([6]))
    expected = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    assert torch.equal(noise[:1], expected)


def test_noise_needs_a_run(backbone: StableDiffusion) -> None:
    with pytest.raises(RuntimeError, match="timesteps"):
        backbone.initial_latents([0])


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_must_be_positive(backbone: StableDiffusion, steps: int) -> None:
    with pytest.raises(ValueError, match=f"not {steps}"):
        backbone.timesteps(steps)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_clean_inverts_the_noising(tiny_sd: Any, name: str, prediction: str) -> None:
    """Latents noised by the scheduler itself and the true output give back the clean latents."""
    backbone = with_scheduler(tiny_sd, name, prediction)
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    for t in backbone.timesteps(7):
        scheduler = backbone.sampler.scheduler
        noisy = scheduler.add_noise(x0, noise, t.expand(2))
        if hasattr(scheduler, "sigmas"):
            sigma = scheduler.sigmas[scheduler.index_for_timestep(t)]
            a, b = 1 / (1 + sigma**2).sqrt(), sigma / (1 + sigma**2).sqrt()
        else:
            signal = scheduler.alphas_cumprod[int(t)]
            a, b = signal.sqrt(), (1 - signal).sqrt()
        output = {"epsilon": noise, "v_prediction": a * noise - b * x0, "sample": x0}[prediction]
        torch.testing.assert_close(backbone.clean(noisy, output, t), x0, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["ddim", "euler", "euler-karras"])
def test_clean_is_what_the_scheduler_predicts(tiny_sd: Any, name: str) -> None:
    backbone = with_scheduler(tiny_sd, name)
    cond = backbone.encode(["a man", "a cook"])
    with torch.no_grad():
        for t in backbone.timesteps(5):
            latents = backbone.initial_latents([1, 2])
            output = backbone.predict(latents, t, cond)
            expected = backbone.fork().sampler.scheduler.step(output, t, latents).pred_original_sample
            torch.testing.assert_close(backbone.clean(latents, output, t), expected, atol=1e-3, rtol=1e-4)
            backbone.step(latents, output, t)


def test_unknown_prediction_type(tiny_sd: Any) -> None:
    backbone = with_scheduler(tiny_sd, "euler", "flow_prediction")
    t = backbone.timesteps(2)[0]
    with pytest.raises(ValueError, match="flow_prediction"):
        backbone.clean(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), t)


@pytest.mark.parametrize("name", ["dpm++-2m", "dpm++-2m-sde", "euler"])
def test_a_fork_goes_on_by_itself(tiny_sd: Any, name: str) -> None:
    backbone = with_scheduler(tiny_sd, name)
    cond = backbone.encode(["a man", "a cook"])

    def finish(run: StableDiffusion, latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        for t in times:
            latents = run.step(latents, run.predict(latents, t, cond), t)
        return latents

    with torch.no_grad():
        times = backbone.timesteps(8)
        half = finish(backbone, backbone.initial_latents([1, 2]), times[:4])
        forks = [backbone.fork(), backbone.fork()]
        first = finish(forks[0], half, times[4:])
        assert torch.equal(first, finish(forks[1], half, times[4:]))
        assert torch.equal(first, finish(backbone, half, times[4:]))
    assert backbone.evaluations == forks[0].evaluations == 2 * (4 + 3 * 4)


def test_the_pipeline_scheduler_is_left_alone(tiny_sd: Any) -> None:
    before = dict(vars(tiny_sd.scheduler))
    backbone = StableDiffusion(tiny_sd)
    backbone.timesteps(3)
    assert vars(tiny_sd.scheduler).keys() == before.keys()
    assert tiny_sd.scheduler.num_inference_steps == before["num_inference_steps"]


def test_gradients_reach_the_latents(backbone: StableDiffusion) -> None:
    t = backbone.timesteps(2)[0]
    latents = backbone.initial_latents([0]).requires_grad_()
    output = backbone.predict(latents, t, backbone.encode(["a man"]))
    (gradient,) = torch.autograd.grad(backbone.decode(backbone.clean(latents, output, t)).sum(), latents)
    assert gradient.abs().sum() > 0


def test_pictures(backbone: StableDiffusion) -> None:
    latents = torch.randn(18, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    pictures = backbone.images(latents)
    assert len(pictures) == 18
    assert {(picture.size, picture.mode) for picture in pictures} == {((16, 16), "RGB")}
    alone = backbone.images(latents[17:])[0]
    assert max(abs(a - b) for a, b in zip(alone.tobytes(), pictures[17].tobytes(), strict=True)) <= 1
    with torch.no_grad():
        pixels = backbone.decode(latents[:2])
    assert pixels.shape == (2, 3, 16, 16)
    assert 0 <= pixels.min() < pixels.max() <= 1


def test_encoding_pictures(tiny_sd: Any, backbone: StableDiffusion) -> None:
    picture = Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    with torch.no_grad():
        latents = backbone.encode_images([picture, picture.convert("RGBA")])
        pixels = tiny_sd.image_processor.preprocess(picture)
        expected = tiny_sd.vae.encode(pixels).latent_dist.mode() * tiny_sd.vae.config.scaling_factor
    assert latents.shape == (2, 4, 8, 8)
    torch.testing.assert_close(latents[:1], expected)
    torch.testing.assert_close(latents[0], latents[1])
    assert backbone.encode_images([picture.resize((40, 40))]).shape == (1, 4, 8, 8)
