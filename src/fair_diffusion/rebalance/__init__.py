"""Existing images: read them, move those that must move, write a new folder. The originals are never touched."""

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
