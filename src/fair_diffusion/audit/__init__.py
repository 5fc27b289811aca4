"""Audits: tallies of groups, the numbers of a study, and corrections for the readers' errors."""
