"""Keywords of requests: what is taken, what is refused and how, and that type checkers see the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pytest
import torch
from untrained import pipe_of

from fair_diffusion.control.strengths import Strengths
from fair_diffusion.models import loading
from fair_diffusion.models.options import LoadingOptions, check_options
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy
from fair_diffusion.rebalance import Rebalance, rebalance
from fair_diffusion.rebalance.request import RebalanceFields
from fair_diffusion.request import Request, RequestFields

WRONG: Mapping[str, Any] = {
    "prompt": 7,
    "n": "3",
    "seed": 0.5,
    "instruct": 3,
    "policy": "doctor: half women",
    "method": 1,
    "control": True,
    "steps": "10",
    "guidance": "7.5",
    "negative_prompt": ["old"],
    "guidance_rescale": None,
    "repair_budget": "all",
    "batch_size": 2.0,
    "size": 512,
    "hold": 4,
    "lot": 3,
    "file": 12,
    "loss": 0,
    "attributes": ["glasses"],
}
"""A value of a wrong type for every field of a request."""


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    return pipe_of(tiny_sd)


def test_a_wrong_type_is_named_with_its_field_and_value() -> None:
    assert WRONG.keys() == {field.name for field in fields(Request)}
    for name, value in WRONG.items():
        with pytest.raises(ValueError, match=f"^{name} is ") as caught:
            Request(**{"prompt": "a doctor"} | {name: value})
        assert repr(value) in str(caught.value)
        assert "; give " in str(caught.value)


@pytest.mark.parametrize("name", ["n", "seed", "steps", "batch_size", "guidance", "guidance_rescale", "repair_budget"])
def test_true_is_no_number(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is True; give a"):
        Request(prompt="a doctor", **{name: True})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["n", "seed", "method", "guidance_rescale", "repair_budget", "batch_size", "prompt"])
def test_none_is_refused_where_nothing_is_usual(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is None; give "):
        Request(**{"prompt": "a doctor"} | {name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["", "512", "15x512", "512x8193", "0x0", "-64x64", "64x64x64", "64 x 64", "1e3x64"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match=r"^size is .*such as 768x512, each from 16 to 8192"):
        Request(prompt="a doctor", size=size)


@pytest.mark.parametrize(("size", "pixels"), [(None, None), ("768x512", (768, 512)), ("16x8192", (16, 8192))])
def test_a_size_is_width_and_height(size: str | None, pixels: tuple[int, int] | None) -> None:
    assert Request(prompt="a doctor", size=size).pixels == pixels


@pytest.mark.parametrize(
    ("theirs", "mend"),
    [
        ("num_inference_steps", "it is called 'steps' here"),
        ("guidance_scale", "it is called 'guidance' here"),
        ("num_images_per_prompt", "it is called 'n' here"),
        ("generator", "give seed=0: image i is drawn from seed + i"),
        ("callback_on_step_end", "it is called 'on_step' here"),
        ("height", 'give size="768x512", width and height'),
    ],
)
def test_keywords_of_diffusers_are_answered_with_ours(pipe: FairPipeline, theirs: str, mend: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown argument '{theirs}'; {re.escape(mend)}"):
        pipe("a doctor", **{theirs: 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("theirs", ["revision", "variant", "cache_dir", "token"])
def test_options_of_the_hub_are_answered_with_a_folder(theirs: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown argument '{theirs}'; download the model first .* its folder"):
        FairPipeline.from_pretrained("pocket", **{theirs: "main"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^unknown argument 'torch_dtype'; it is called 'dtype' here"):
        FairPipeline.from_pretrained("pocket", torch_dtype="float32")  # type: ignore[call-arg]


def test_a_number_type_of_torch_is_a_dtype() -> None:
    check_options({"dtype": torch.bfloat16})
    pipe = FairPipeline.from_pretrained("pocket", dtype=torch.bfloat16)
    assert pipe.backbone.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"unknown dtype 'int8'; use one of float32"):
        FairPipeline.from_pretrained("pocket", dtype=torch.int8)


def test_arguments_beside_the_request_are_checked_too(pipe: FairPipeline, tmp_path: Path) -> None:
    one, drawn = Request(prompt="a doctor", steps=1), list[int]()
    wrong: Mapping[str, Any] = {"ledger": "ledger.sqlite", "strengths": {}, "compare_plain": 1, "on_step": 3}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name} is {re.escape(repr(value))}; give "):
            pipe.many([one], **{name: value})
    with pytest.raises(ValueError, match=r"^on_step is 3; give "):
        pipe.each([one], on_step=3)  # type: ignore[arg-type]
    draws: list[tuple[Any, int]] = [(pipe.many, 0), (pipe.each, 1)]  # `each` draws what came before a wrong request
    for draw, before in draws:
        for value in (one, None, "a doctor"):
            with pytest.raises(ValueError, match=r"^requests is .*; give a list of Request"):
                draw(value)
        with pytest.raises(ValueError, match=r"^requests\[1\] is 'a doctor'; give a Request"):
            list(draw([one, "a doctor"], on_step=lambda _: drawn.append(1)))
        assert len(drawn) == before
    for value in (3, None):
        with pytest.raises(ValueError, match=f"^model is {value}; give a hub id, a folder"):
            FairPipeline.from_pretrained(value, perceiver="clip", judge="clip")
    assert Strengths.load(str(tmp_path / "none.json")) == Strengths()


def test_requests_of_a_generator_are_all_drawn(pipe: FairPipeline) -> None:
    asked: dict[str, Any] = {"prompt": "a doctor", "steps": 1, "method": "none"}
    results = pipe.many(Request(seed=seed, **asked) for seed in (4, 7))
    assert [result.seed for result in results] == [4, 7]
    assert pipe.many([]) == []
    assert list(pipe.each([])) == []


def test_several_prompts_are_sent_to_many(pipe: FairPipeline) -> None:
    with pytest.raises(ValueError, match=r"^prompt is \['a doctor', 'a nurse'\]; give one text, .*FairPipeline.many"):
        pipe(["a doctor", "a nurse"])  # type: ignore[arg-type]


def test_numbers_of_numpy_and_paths_as_text_are_kept_as_plain_values(tmp_path: Path) -> None:
    given: dict[str, Any] = {"n": np.int64(3), "seed": np.uint8(7), "steps": np.int32(2), "guidance": np.float32(2.5)}
    given |= {"guidance_rescale": Fraction(1, 2), "repair_budget": 1, "batch_size": np.int64(4)}
    given |= {"method": "edit", "file": str(tmp_path / "edit.safetensors")}
    asked = Request(prompt="a doctor", **given)
    assert (asked.n, asked.seed, asked.steps, asked.batch_size) == (3, 7, 2, 4)
    assert {type(value) for value in (asked.n, asked.seed, asked.steps, asked.batch_size)} == {int}
    assert (asked.guidance, asked.guidance_rescale, asked.repair_budget) == (2.5, 0.5, 1.0)
    assert {type(value) for value in (asked.guidance, asked.guidance_rescale, asked.repair_budget)} == {float}
    assert asked.file == tmp_path / "edit.safetensors"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepss": 3}, "unknown argument 'stepss'; did you mean 'steps'?"),
        ({"Seed": 3}, "unknown argument 'Seed'; did you mean 'seed'?"),
        ({"n": 1, "negativ_prompt": "old"}, "unknown argument 'negativ_prompt'; did you mean 'negative_prompt'?"),
        ({"xyzzy": 3}, "unknown argument 'xyzzy'; use one of: n, seed, instruct"),
    ],
)
def test_an_unknown_keyword_is_named_with_the_nearest(pipe: FairPipeline, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        pipe("a doctor", **given)


def test_a_rebalancing_and_a_loading_name_theirs(pipe: FairPipeline, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"policy": Policy.from_sentence("doctor: half women"), "prompt": "a doctor"}
    with pytest.raises(ValueError, match=r"unknown argument 'dept'; did you mean 'depth'\?"):
        rebalance(pipe, tmp_path, tmp_path / "new", dept=0.5, **asked)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"unknown argument 'offlod'; did you mean 'offload'\?"):
        FairPipeline.from_pretrained("pocket", offlod="model")  # type: ignore[call-arg]


WRONG_OPTIONS: Mapping[str, Any] = {
    "dtype": 16,
    "device": 0,
    "offload": True,
    "vae_slicing": "yes",
    "vae_tiling": 1,
    "attention": ["sdpa"],
    "compile": None,
    "lora": 3,
    "textual_inversion": [Path("words.safetensors"), 3],
    "config": 1.5,
}


def test_a_wrong_option_of_loading_is_named_with_its_value() -> None:
    assert WRONG_OPTIONS.keys() == LoadingOptions.__annotations__.keys()
    for name, value in WRONG_OPTIONS.items():
        with pytest.raises(ValueError, match=f"^{name} is ") as caught:
            check_options({name: value})
        assert repr(value) in str(caught.value)
    check_options({"dtype": None, "vae_tiling": True, "lora": ["a", "b"], "textual_inversion": "words.safetensors"})


def test_wrong_values_of_a_rebalancing_are_named() -> None:
    wrong: dict[str, Any] = {"way": 1, "depth": "deep", "n": None}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name} is {value!r}; give "):
            Rebalance(**{"prompt": "a doctor"} | {name: value})


def hints(of: Callable[..., Any]) -> dict[str, Any]:
    return {name: kind for name, kind in get_type_hints(of).items() if name != "return"}


def test_what_type_checkers_see_is_what_is_taken() -> None:
    asked = hints(Request)
    assert hints(RequestFields) == {name: kind for name, kind in asked.items() if name != "prompt"}
    # nobody names for a folder what it says itself or with its prompts, nor what only methods that move no image take
    own = {"prompt", "n", "instruct", "policy", "attributes", "control", "file", "loss", "lot"}
    assert hints(RebalanceFields) == {name: kind for name, kind in hints(Rebalance).items() if name not in own}
    loaded = {name: kind for name, kind in hints(loading.load).items() if name in LoadingOptions.__annotations__}
    assert hints(LoadingOptions) == loaded


if TYPE_CHECKING:  # an ignore that ignores nothing is an error: so these are errors

    def _wrong(pipe: FairPipeline) -> None:
        pipe("a doctor", stepss=3)  # type: ignore[call-arg]
        pipe("a doctor", steps="3")  # type: ignore[arg-type]
        pipe("a doctor", strengths=3)  # type: ignore[arg-type]
        FairPipeline.from_pretrained("pocket", dtyp="float16")  # type: ignore[call-arg]
        FairPipeline.from_pretrained("pocket", compile="yes")  # type: ignore[arg-type]
        rebalance(pipe, Path(), Path(), policy=Policy(), depth="deep")  # type: ignore[arg-type]
        pipe("a doctor", n=3, steps=10, method="switch", strengths=Strengths())
