"""Steering: ways to move one image to its assigned group, one method per file."""

from fair_diffusion.steering.prompt import with_group
from fair_diffusion.steering.semantic import SemanticGuidance, SemanticSteering
from fair_diffusion.steering.steering import Extra, Steering, SteeringRun

__all__ = [
    "Extra",
    "SemanticGuidance",
    "SemanticSteering",
    "Steering",
    "SteeringRun",
    "with_group",
]
