"""Edit the occupations in the pocket model's cross-attention until they show gender, or skin tone, evenly.

The perceiver reads what the integral loop draws; the judge takes no part.

    python -m recipes.pocket.concept_editing gender|skin_tone   → work/pocket/concept-editing-ATTRIBUTE.safetensors

The file is a weight edit, see `fair_diffusion.models.edits`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.backbones import adapt
from fair_diffusion.models.pocket import GUIDANCE
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.perception import pocket
from fair_diffusion.policy import built_in
from fair_diffusion.steering.learn.concept_editing import learn, observer
from recipes.pocket.bottleneck import STEPS, prompts
from recipes.pocket.captions import Mix
from recipes.pocket.data import WORK, load


def perceive(pictures: Sequence[Image.Image], attribute: str) -> NDArray[np.float64]:
    """The perceiver's probabilities of the groups that a default target names; the rest lacks to 1."""
    reader = pocket.load()
    columns = [reader.groups[attribute].index(group) for group in built_in()[attribute].default_shares]
    return reader.every_probability(pictures)[attribute][:, columns].double().numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attribute", choices=("gender", "skin_tone"))
    attribute = parser.parse_args().attribute
    groups, shares = zip(*built_in()[attribute].default_shares.items(), strict=True)
    desired = [float(share) for share in shares]
    neutral, grouped = prompts(list(Mix(load(WORK)[1]).concepts))
    backbone = adapt(load_pocket())

    def observe(texts: Sequence[str]) -> NDArray[np.float64]:
        """What the model draws now, and how far that is from the target."""
        found = draw(texts)
        far = np.abs(found - desired).sum(axis=1) + 1 - found.sum(axis=1)
        print("mean total variation", far.mean() / 2, flush=True)
        return found

    draw = observer(backbone, lambda pictures: perceive(pictures, attribute), steps=STEPS, guidance=GUIDANCE)
    edit = learn(
        backbone,
        neutral,
        [grouped[attribute, group] for group in groups],
        desired=desired,
        observe=observe,
    )
    edit.save(WORK / f"concept-editing-{attribute}.safetensors")
    print(edit.cost)
