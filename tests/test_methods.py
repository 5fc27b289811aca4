"""The table of methods: each row has its file, steers, and can be replaced by a method of the user's own."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from untrained import pipe_of, weights

import fair_diffusion.steering
from fair_diffusion.backbones import adapt
from fair_diffusion.methods import CONTROLS, METHODS, Method
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import built_in
from fair_diffusion.request import Request
from fair_diffusion.steering import _home
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.learn.bottleneck import middle_shape

DOCS = Path(__file__).parents[1] / "docs" / "how-to" / "write-a-method.md"
GENDERS = built_in()["gender"].group_names
HALF: dict[str, Any] = {"n": 4, "steps": 3, "instruct": "doctor: half women, half men"}


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    return pipe_of(tiny_sd)


@pytest.mark.parametrize("name", METHODS)
def test_each_row_has_its_file(name: str) -> None:
    row = METHODS[name]
    home = import_module(f"fair_diffusion.steering.{row.home or row.name}")
    assert row.name == name
    assert callable(home.guide)
    assert hasattr(home, "check_file") == bool(row.learnt)
    assert set(row.controls) <= set(CONTROLS)
    assert row.learnt or not row.needs_file
    assert row.does
    assert not row.does.endswith(".")
    assert row.acts_on


def test_each_file_with_a_guide_is_the_home_of_a_row() -> None:
    folder = Path(fair_diffusion.steering.__file__).parent
    names = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    written = {name for name in names if hasattr(import_module(f"fair_diffusion.steering.{name}"), "guide")}
    assert written == {row.home or row.name for row in METHODS.values()}


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (Method(name="magic", does="nothing"), "No module named 'fair_diffusion.steering.magic'"),
        (Method(name="magic", does="nothing", home="cost"), "steering.cost defines no 'guide', which method 'magic'"),
        (
            Method(name="magic", does="nothing", home="plain", learnt="spells"),
            "steering.plain defines no 'check_file', which method 'magic'",
        ),
    ],
)
def test_a_row_without_its_file_is_an_error_at_import(row: Method, error: str) -> None:
    with pytest.raises(ImportError, match=error):
        _home(row)


def learnt(pipeline: Any, name: str, folder: Path) -> Path | None:
    """A file that holds what a method learnt, at random; None if it needs none."""
    path, generator = folder / f"{name}.safetensors", torch.Generator().manual_seed(0)
    backbone = adapt(pipeline)
    shape = middle_shape(backbone)
    if name == "bottleneck":
        Directions(
            {("gender", group): 3 * torch.randn(shape, generator=generator) for group in ("woman", "man")}, Cost()
        ).save(path)
    elif name == "edit":
        save_file({key: 1.3 * tensor for key, tensor in pipeline.unet.state_dict().items()}, path)
    elif name == "distribution-heads":
        times = backbone.fork().timesteps(HALF["steps"]).float()
        weight = torch.randn(len(times), len(GENDERS) + 1, math.prod(shape), generator=generator)
        biases = {"gender": torch.zeros(weight.shape[:2])}
        BottleneckHeads(times, {"gender": GENDERS}, {"gender": weight}, biases).save(path, Cost())
    else:
        return None
    return path


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("name", [*METHODS, "distribution-heads"])
def test_steered_images_differ_from_plain_ones_and_the_others_do_not(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, name: str
) -> None:
    before, row = weights(tiny_sd), METHODS[name.removesuffix("-heads")]
    result = pipe("a doctor", method=row.name, file=learnt(tiny_sd, name, tmp_path), compare_plain=True, **HALF)
    assert weights(tiny_sd) == before
    assert result.plain is not None
    plain = {record.seed: image for record, image in zip(result.plain.records, result.plain.images, strict=True)}
    for record, image in zip(result.records, result.images, strict=True):
        twin = plain.get(record.seed)
        assert record.method == row.name
        assert bool(record.steered_to) <= record.steered
        if twin is not None:
            change = int(np.abs(np.asarray(image, int) - np.asarray(twin, int)).max())
            assert (change > 0) == record.steered, (name, change)
    groups = sorted(record.assigned.get("gender", "") for record in result.records)
    assert groups == (["man", "man", "woman", "woman"] if row.assigns else [""] * 4)
    if row.name not in ("none", "rejection"):
        assert any(record.steered for record in result.records)
    else:
        assert not any(record.steered for record in result.records)


@pytest.mark.parametrize("name", METHODS)
def test_without_a_rule_every_method_draws_plain(pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, name: str) -> None:
    asked: dict[str, Any] = {"n": 2, "steps": 2, "instruct": "nurse: half women"}
    result = pipe("a doctor", method=name, file=learnt(tiny_sd, name, tmp_path), **asked)
    plain = pipe("a doctor", method="none", **asked)
    assert (result.rule, result.control) == (None, "none")
    assert [image.tobytes() for image in result.images] == [image.tobytes() for image in plain.images]
    assert not any(record.steered or record.assigned for record in result.records)


def example() -> dict[str, Any]:
    """What the example of the docs defines."""
    (block,) = re.findall(r"# Write a method\n.*?```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    defined: dict[str, Any] = {"__name__": "example"}
    exec(block, defined)
    return defined


def test_the_method_of_the_docs_runs_and_steers(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = FairPipeline.from_pretrained

    def few_steps(model: Any, **loaded: Any) -> FairPipeline:
        pipe = loading(model, **loaded)
        pipe.card = replace(pipe.card, steps=6)
        return pipe

    monkeypatch.setattr(FairPipeline, "from_pretrained", few_steps)
    result, mine = (example()[name] for name in ("result", "mine"))
    assert isinstance(mine, Method)
    assert mine.name not in METHODS
    assert {record.method for record in result.records} == {mine.name}
    groups = [record.assigned["gender"] for record in result.records]
    assert groups.count("woman") == groups.count("man") == len(groups) // 2
    plain = FairPipeline.from_pretrained("pocket")(result.prompt, n=len(groups), seed=result.seed, method="none")
    for record, image, twin in zip(result.records, result.images, plain.images, strict=True):
        assert record.steered
        assert record.used_prompt == result.prompt.replace("nurse", f"{record.assigned['gender']} nurse")
        assert np.abs(np.asarray(image, int) - np.asarray(twin, int)).max() > 10


def test_a_method_without_a_guide_is_refused(pipe: FairPipeline) -> None:
    class Bare(Method):
        """A method that says nothing."""

    with pytest.raises(
        ValueError, match=r"method 'bare' defines no 'guide'; define it as docs/how-to/write-a-method.md shows"
    ):
        pipe("a doctor", method=Bare(name="bare", does="nothing"), **HALF)


def test_a_method_of_your_own_is_checked_as_every_other() -> None:
    mine = Method(name="mine", does="something")
    assert Request(prompt="a doctor", method=mine).row is mine
    with pytest.raises(ValueError, match="method 'mine' needs control 'all', or none named"):
        Request(prompt="a doctor", method=mine, control="natural-first")
    with pytest.raises(ValueError, match="which method 'mine' does not use"):
        Request(prompt="a doctor", method=mine, file=Path("x.safetensors"))
