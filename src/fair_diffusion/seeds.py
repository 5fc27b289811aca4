"""Seeds: the range that a request may name, and that derived seeds stay apart from."""

SEEDS = 2**53
"""Seeds are below this number: JSON readers keep whole numbers exactly up to here."""
