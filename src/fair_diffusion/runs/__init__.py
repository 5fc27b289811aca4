"""Runs on disk: their file names and columns, how they are written and read, and suites of many runs."""
