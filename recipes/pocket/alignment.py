"""Fine-tune a LoRA of the pocket UNet until the occupations show gender, or skin tone, evenly.

The perceiver gives both the groups and the features in which images stay near their plain twins; the judge takes no
part.

    python -m recipes.pocket.alignment gender|skin_tone         → work/pocket/alignment-ATTRIBUTE.safetensors

Ten times the published rate and far fewer than the published iterations, for a processor's sake. The file is a LoRA
that diffusers loads (with `peft`).
"""

from __future__ import annotations

import argparse

from torch import Tensor

from fair_diffusion.backbones import adapt
from fair_diffusion.models.pocket import GUIDANCE
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.perception import pocket
from fair_diffusion.policy import built_in
from fair_diffusion.steering.learn.alignment import RATE, learn
from recipes.pocket.bottleneck import prompts
from recipes.pocket.captions import Mix
from recipes.pocket.data import WORK, load

IMAGES, STEPS = 8, 8
"""Per iteration, and of the short run that gradients go through."""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attribute", choices=("gender", "skin_tone"))
    parser.add_argument("--iterations", type=int, default=150)
    given = parser.parse_args()
    shares, reader = built_in()[given.attribute].default_shares, pocket.load()
    columns = [reader.groups[given.attribute].index(group) for group in shares]

    def probabilities(pixels: Tensor) -> Tensor:
        """Of the groups that the target names; the others are left out."""
        return reader.probabilities(pixels, given.attribute)[:, columns]

    lora = learn(
        adapt(load_pocket()),
        prompts(list(Mix(load(WORK)[1]).concepts))[0],
        shares=[float(share) for share in shares.values()],
        probabilities=probabilities,
        features=lambda pixels: reader.features(reader.pixels(pixels)),
        iterations=given.iterations,
        images=IMAGES,
        steps=STEPS,
        guidance=GUIDANCE,
        rate=10 * RATE,
        on_step=lambda step, loss: print(step, round(loss, 4), flush=True) if step % 10 == 0 else None,
    )
    lora.save(WORK / f"alignment-{given.attribute}.safetensors")
    print(lora.cost)
