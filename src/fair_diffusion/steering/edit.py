"""Edited weights: the model draws with the weights, or the LoRA, in a file. No image is assigned a group.

The loop puts the weights into the model while it draws such images, and takes them out afterwards (`models.edits`).
"""

from __future__ import annotations

from fair_diffusion.models.edits import read as check_file
from fair_diffusion.steering.plain import guide

__all__ = ["check_file", "guide"]
