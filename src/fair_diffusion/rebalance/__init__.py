"""Rebalance existing images: move the fewest to other groups, and write all to a new folder. Originals never change."""

from fair_diffusion.rebalance.flow import check_apart, rebalance
from fair_diffusion.rebalance.originals import Original, Originals, find_originals, read_prompts
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.rebalance.result import RebalancedRecord, RebalancedResult

__all__ = [
    "Original",
    "Originals",
    "Rebalance",
    "RebalancedRecord",
    "RebalancedResult",
    "check_apart",
    "find_originals",
    "read_prompts",
    "rebalance",
]
