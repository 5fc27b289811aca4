"""One file for each kind of target that can be audited: a target becomes tallies, and one row per image."""
