"""Steering: ways to move one image to its assigned group, one method per file."""

from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.distribution import DistributionGuidance
from fair_diffusion.steering.hint import with_hint
from fair_diffusion.steering.inversion import INVERSIONS, taken_back
from fair_diffusion.steering.latents import LatentDescent
from fair_diffusion.steering.prompt import with_group
from fair_diffusion.steering.semantic import SemanticGuidance, SemanticSteering
from fair_diffusion.steering.steering import Extra, Steering, SteeringRun
from fair_diffusion.steering.switch import switched

__all__ = [
    "INVERSIONS",
    "BottleneckHeads",
    "DistributionGuidance",
    "Extra",
    "LatentDescent",
    "SemanticGuidance",
    "SemanticSteering",
    "Steering",
    "SteeringRun",
    "switched",
    "taken_back",
    "with_group",
    "with_hint",
]
