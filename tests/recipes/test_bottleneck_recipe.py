"""The prompts from which the pocket model's directions are learnt."""

from __future__ import annotations

from recipes.pocket.bottleneck import prompts


def test_prompts_are_parallel() -> None:
    neutral, grouped = prompts(["artist", "pilot"])
    assert neutral == ["a photo of an artist", "a photo of a pilot"]
    assert len(grouped) == 3 + 5
    assert grouped["gender", "woman"] == ["a photo of a female artist", "a photo of a female pilot"]
    assert grouped["gender", "androgynous"][1] == "a photo of an androgynous pilot"
    assert grouped["skin_tone", "dark"][0] == "a photo of a dark-skinned artist"
