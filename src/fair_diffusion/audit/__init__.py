"""What came out: tallies of groups, the lines and deviations of a study, and what the readers' errors do to them."""
