"""Suites and comparisons by many workers: what that costs, how it grows, and what it survives."""
