"""Definitions of attributes: data that travels with a policy, and that nothing else names."""

from __future__ import annotations

import ast
from pathlib import Path

import fair_diffusion
from fair_diffusion.policy import Attributes, Target, built_in
from fair_diffusion.policy.target import cells, uniform

ROOT = Path(fair_diffusion.__file__).parent


def test_nothing_outside_the_policy_names_a_built_in_group() -> None:
    # "medium" is also a quality of pictures in the service's requests
    groups = set(built_in().group_names) - {"medium"}
    named = []
    for module in sorted(ROOT.rglob("*.py")):
        if module.is_relative_to(ROOT / "policy"):
            continue
        tree = ast.parse(module.read_text(encoding="utf-8"))
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in groups]
        named += [f"{module.relative_to(ROOT)}:{node.lineno} {node.value!r}" for node in texts]
    assert not named


def test_definitions_are_read_once_and_are_equal_by_content() -> None:
    same = Attributes(built_in().values())
    assert built_in() is built_in()
    assert same == built_in()
    assert hash(same) == hash(built_in())
    assert Attributes([built_in()["age"]]) != built_in()
    assert built_in()["age"].digest == same["age"].digest != same["gender"].digest


def test_a_target_has_the_definitions_of_its_attributes() -> None:
    joint = Target(("age", "gender"), dict.fromkeys(cells(("age", "gender")), uniform("age").shares["old",] / 3))
    assert joint.definitions == (built_in()["age"], built_in()["gender"])
    assert joint.group_names == (built_in()["age"].group_names, built_in()["gender"].group_names)
