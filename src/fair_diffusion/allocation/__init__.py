"""Allocation: how many images each group gets, and which image shows which group."""

from fair_diffusion.allocation.assignment import assign
from fair_diffusion.allocation.least_change import least_change
from fair_diffusion.allocation.plan import assign_randomly, plan
from fair_diffusion.allocation.quotas import quotas

__all__ = ["assign", "assign_randomly", "least_change", "plan", "quotas"]
