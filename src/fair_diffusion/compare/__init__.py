"""Comparisons: several ways to meet a target, with the same model, prompts and seeds, in one table.

A `Way` is one method with one control, or edited weights. `compare` draws and reads what its folder lacks, `outcomes`
computes the lines of the table, and `write` writes a page and Parquet tables.
"""

from fair_diffusion.compare.comparison import Comparison, compare, settings
from fair_diffusion.compare.measure import Drawing
from fair_diffusion.compare.outcome import Facts, Outcome, outcomes
from fair_diffusion.compare.reference import Reference, read_reference
from fair_diffusion.compare.way import PLAIN, WAYS, Way, read_ways
from fair_diffusion.compare.write import write

__all__ = [
    "PLAIN",
    "WAYS",
    "Comparison",
    "Drawing",
    "Facts",
    "Outcome",
    "Reference",
    "Way",
    "compare",
    "outcomes",
    "read_reference",
    "read_ways",
    "settings",
    "write",
]
