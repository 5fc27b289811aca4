"""How often a way moves what nobody asked it to move."""

from __future__ import annotations

from typing import Any

from fair_diffusion.compare.drawn import Drawn, image_rows
from fair_diffusion.compare.measure import Ask
from fair_diffusion.compare.outcome import _moved
from fair_diffusion.policy import Policy, match


def drawn(*rows: tuple[int, bool, str | None, str]) -> Drawn:
    """A cell of images: seed, whether it was steered, skin tone and gender as the judge reads them."""
    made: list[dict[str, Any]] = [
        {"seed": seed, "steered": steered, "judged.skin_tone": tone, "judged.gender": gender}
        for seed, steered, tone, gender in rows
    ]
    return Drawn(images=image_rows(made), vectors=None, pictures=[], seconds=1.0, memory=1, notes=[])


def test_steered_images_are_compared_with_the_plain_ones_of_their_seeds() -> None:
    policy = Policy.from_sentence("nurse: half women; cook: half women; cook: skin tone uniform")
    nurse, cook = (
        Ask(instruction="half", policy=policy, prompt=prompt, matched=match(policy, prompt), seed=0)
        for prompt in ("a photo of a nurse", "a photo of a cook")
    )
    plain = drawn(*[(seed, False, "light", "woman") for seed in range(6)])
    nurses = drawn(
        (0, True, "dark", "man"),
        (1, True, "light", "man"),
        (2, False, "dark", "woman"),  # not steered
        (3, True, None, "man"),  # not read
        (9, True, "dark", "man"),  # no plain image has this seed
        (4, True, "dark", "man"),
        (5, True, "light", "woman"),
    )
    assert _moved([(nurse, nurses)], [(nurse, plain)]) == {"skin_tone": 0.5}
    both = _moved([(nurse, nurses), (cook, nurses)], [(nurse, plain), (cook, plain)])
    assert both == {"skin_tone": 0.5}  # of the cook, both attributes were asked for
    assert _moved([(nurse, plain)], [(nurse, plain)]) == {}  # nothing was steered
