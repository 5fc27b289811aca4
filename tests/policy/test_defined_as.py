"""By what definitions of attributes are known."""

from __future__ import annotations

from dataclasses import replace

from fair_diffusion.policy import Attributes, Policy, built_in
from fair_diffusion.policy.defined_as import BUILT_IN, defined_as, defined_in

GENDER = built_in()["gender"]
OTHER = replace(GENDER, groups=(replace(GENDER.groups[0], phrases=("person in a skirt",)), *GENDER.groups[1:]))


def test_a_definition_is_known_by_what_it_changes() -> None:
    assert defined_as(GENDER) == BUILT_IN
    assert defined_as(replace(GENDER, note="As we see it.", guideline=("Look twice.",))) == BUILT_IN
    assert defined_as(OTHER) == OTHER.digest != GENDER.digest
    glasses = Attributes.named("glasses")["glasses"]
    assert defined_as(glasses) == glasses.digest


def test_the_key_of_a_target_tells_the_same() -> None:
    for own in (GENDER, replace(GENDER, note="As we see it."), OTHER):
        for sentence in ("nurse: half women", "nurse: half women, half men; age uniform"):
            for target in Policy.from_sentence(sentence, Attributes([*built_in().values(), own])).rules[0].targets:
                for name in target.attributes:
                    assert defined_in(target.key, name) == defined_as(target.definition(name))
