"""How many images each group gets, and which image shows which."""

from fair_diffusion.allocation.assignment import assign
from fair_diffusion.allocation.quotas import quotas

__all__ = ["assign", "quotas"]
