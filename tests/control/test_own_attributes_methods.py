"""Every method with an attribute that a person defines: images are steered as asked, or one sentence refuses before."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from untrained import HEADS, pipe_of, weights

from fair_diffusion import FairPipeline
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.backbones import adapt
from fair_diffusion.methods import METHODS
from fair_diffusion.perception import judge, pocket
from fair_diffusion.policy import Policy
from fair_diffusion.readers.target import read_target
from fair_diffusion.rebalance import rebalance
from fair_diffusion.report.report import report
from fair_diffusion.request import Request
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.learn.bottleneck import middle_shape

POLICY = """version: 1
attributes:
  hair:
    label: kind of hair
    groups:
      white-haired: {phrases: [person with white hair]}
      curly-haired: {phrases: [person with curly hair]}
      bald: {phrases: [bald person]}
"""
HAIR = ("white-haired", "curly-haired", "bald")
ALONE = "rules:\n- every: occupation\n  targets: {hair: {white-haired: 50%, curly-haired: 50%}}\n"
JOINT = """rules:
- every: occupation
  joint:
  - {gender: woman, hair: white-haired, share: 50%}
  - {gender: man, hair: curly-haired, share: 50%}
"""
ASKED: dict[str, Any] = {"n": 4, "steps": 3}


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    heads = {**HEADS, "hair": HAIR}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return pipe_of(tiny_sd, perceiver=pocket.build(heads).eval(), judge=judge.build(heads).eval())


@pytest.fixture
def sure_pipe(tiny_sd: Any, pipe: FairPipeline) -> FairPipeline:
    """The same with a perceiver that is sure of everything: what is not sure is not held."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        perceiver = pocket.build({**HEADS, "hair": HAIR}).eval()
    for head in perceiver.heads.values():
        for parameter in head.parameters():
            parameter.data *= 1000
    return pipe_of(tiny_sd, perceiver=perceiver, judge=pipe.judge)


def learnt(pipeline: Any, name: str, folder: Path, groups: dict[str, tuple[str, ...]]) -> Path | None:
    """A file that holds what a method learnt of some groups, at random; None if it needs none."""
    path, generator = folder / f"{name}.safetensors", torch.Generator().manual_seed(0)
    backbone = adapt(pipeline)
    shape = middle_shape(backbone)
    if name == "bottleneck":
        pairs = [(attribute, group) for attribute, names in groups.items() for group in names]
        Directions({pair: 3 * torch.randn(shape, generator=generator) for pair in pairs}, Cost()).save(path)
    elif name == "edit":
        save_file({key: 1.3 * tensor for key, tensor in pipeline.unet.state_dict().items()}, path)
    elif name == "distribution-heads":
        times = backbone.fork().timesteps(ASKED["steps"]).float()
        weight = {
            attribute: torch.randn(len(times), len(names) + 1, math.prod(shape), generator=generator)
            for attribute, names in groups.items()
        }
        biases = {attribute: torch.zeros(each.shape[:2]) for attribute, each in weight.items()}
        BottleneckHeads(times, groups, weight, biases).save(path, Cost())
    else:
        return None
    return path


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("rules", [ALONE, JOINT], ids=["alone", "joint"])
@pytest.mark.parametrize("name", [*METHODS, "distribution-heads"])
def test_every_method_steers_an_attribute_of_ones_own(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, name: str, rules: str
) -> None:
    before, row, policy = weights(tiny_sd), METHODS[name.removesuffix("-heads")], Policy.from_yaml(POLICY + rules)
    groups = {"gender": HEADS["gender"], "hair": HAIR}
    file = learnt(tiny_sd, name, tmp_path, groups)
    for control in row.controls:
        result = pipe(
            "a doctor", method=row.name, control=control, file=file, policy=policy, compare_plain=True, **ASKED
        )
        assert result.plain is not None
        plain = {record.seed: image for record, image in zip(result.plain.records, result.plain.images, strict=True)}
        changed = 0
        for record, image in zip(result.records, result.images, strict=True):
            assert record.definitions == policy.attributes.own
            assert {"hair", "gender"} <= record.judged.keys()
            twin = plain.get(record.seed)
            if twin is not None:
                change = int(np.abs(np.asarray(image, int) - np.asarray(twin, int)).max())
                assert (change > 0) == record.steered, (name, change)
                changed += change > 0
        assert bool(changed) == (row.name not in ("none", "rejection"))
        told = sorted(record.assigned.get("hair", "") for record in result.records)
        assert told == (["curly-haired"] * 2 + ["white-haired"] * 2 if row.assigns else [""] * 4)
        names = {row.attribute for row in result.audit}
        assert names == ({"hair"} if rules == ALONE else {"gender × hair"})
    assert weights(tiny_sd) == before


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.reads_text])
def test_words_of_the_definition_reach_the_prompt_of_methods_that_write_there(pipe: FairPipeline, name: str) -> None:
    result = pipe("a doctor", method=name, policy=Policy.from_yaml(POLICY + ALONE), **ASKED)
    used = {record.used_prompt for record in result.records if record.steered}
    if name in ("prompt", "switch"):
        assert used <= {"a white-haired doctor", "a curly-haired doctor"}
        assert used
    elif name == "hint":
        assert all("kind of hair" in text for text in used)


@pytest.mark.parametrize("name", ["bottleneck", "distribution-heads"])
def test_a_file_that_did_not_learn_the_attribute_is_refused_before_anything_is_drawn(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, name: str
) -> None:
    method, steps = name.removesuffix("-heads"), list[Any]()
    file = learnt(tiny_sd, name, tmp_path, {"gender": HEADS["gender"]})
    with pytest.raises(ValueError, match="hair") as caught:
        pipe(
            "a doctor", method=method, file=file, policy=Policy.from_yaml(POLICY + ALONE), on_step=steps.append, **ASKED
        )
    assert len(str(caught.value).splitlines()) == 1
    assert not steps


@pytest.mark.parametrize("name", ["bottleneck", "distribution-heads"])
def test_of_many_requests_none_is_drawn_if_a_file_lacks_what_one_asks_for(
    pipe: FairPipeline, tiny_sd: Any, tmp_path: Path, name: str
) -> None:
    asked: dict[str, Any] = {"policy": Policy.from_yaml(POLICY + ALONE), **ASKED}
    file, steps = learnt(tiny_sd, name, tmp_path, {"gender": HEADS["gender"]}), list[Any]()
    requests = [
        Request(prompt="a nurse", method="prompt", **asked),
        Request(prompt="a doctor", method=name.removesuffix("-heads"), file=file, **asked),
    ]
    with pytest.raises(ValueError, match="hair"):
        pipe.many(requests, on_step=steps.append)
    assert not steps


def test_an_attribute_of_ones_own_is_held_if_nobody_asks_for_it(sure_pipe: FairPipeline) -> None:
    women = Policy.from_yaml(POLICY + "rules:\n- every: occupation\n  targets: {gender: {woman: 100%}}\n")
    once = ASKED | {"repair_budget": 0}  # an image that misses its group is made again without what it was to keep
    result = sure_pipe("a doctor", policy=women, method="switch", **once)
    steered = [record for record in result.records if record.steered]
    assert steered
    assert all("hair" in record.held for record in steered)
    free = sure_pipe("a doctor", policy=women, method="switch", hold="gender", **ASKED)
    assert not any("hair" in record.held for record in free.records)
    stated = sure_pipe("a bald doctor", policy=women, method="switch", **ASKED)
    assert not any("hair" in record.held for record in stated.records)


def test_rebalance_and_its_audit_know_the_definition(pipe: FairPipeline, tmp_path: Path) -> None:
    plain = pipe("a doctor", method="none", **ASKED)
    (tmp_path / "plain").mkdir()
    for k, image in enumerate(plain.images):
        image.save(tmp_path / "plain" / f"{k}.png")
    policy = Policy.from_yaml(POLICY + ALONE)
    (result,) = rebalance(
        pipe, tmp_path / "plain", tmp_path / "out", prompt="a doctor", policy=policy, steps=3, repair_budget=0
    )
    assert [(row.attribute, row.group, row.quota) for row in result.audit] == [
        ("hair", "white-haired", 2),
        ("hair", "curly-haired", 2),
        ("hair", "bald", 0),
    ]
    assert result.definitions.own == policy.attributes.own
    for record in result.records:
        assert record.definitions == policy.attributes.own
        assert record.assigned["hair"] in ("white-haired", "curly-haired")
    found = read_target(tmp_path / "out", scratch=tmp_path)
    (hair,) = [tally for tally in found.study.tallies if tally.attribute == "hair" and tally.target]
    assert tuple(hair.counts) == HAIR


def test_runs_are_read_by_the_definition_that_drew_them(pipe: FairPipeline, tmp_path: Path) -> None:
    mine, text = Policy.from_yaml(POLICY + ALONE), POLICY.replace("      bald: {phrases: [bald person]}\n", "")
    other = Policy.from_yaml(text + ALONE)
    for name, policy in (("one", mine), ("two", other)):
        pipe(f"a {name} doctor", policy=policy, method="prompt", **ASKED).save(tmp_path / name)
    for name, policy, groups in (("one", mine, HAIR), ("two", other, HAIR[:2])):
        study = read_target(tmp_path / name, scratch=tmp_path).study
        (hair,) = [tally for tally in study.tallies if tally.attribute == "hair"]
        assert tuple(hair.counts) == groups  # whatever a policy says today
        assert study.sources[0].facts["definition of hair"] == policy.attributes.own["hair"]
        assert policy.attributes.own["hair"] in report(numbers(study))
    both = read_target(tmp_path, scratch=tmp_path).study
    assert {tuple(tally.counts) for tally in both.tallies if tally.attribute == "hair"} == {HAIR}
    assert [note for note in both.notes if note.startswith("hair is defined in 2 ways")]
    assert sum(tally.n for tally in both.tallies if tally.attribute == "hair") == 8
