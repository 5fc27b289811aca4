"""Readers of what can be audited, one file each: a target becomes tallies, and one row for each image read."""
