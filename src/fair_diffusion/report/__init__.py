"""Reports: a study as one self-contained page, with its figures, tables and contact sheets."""
