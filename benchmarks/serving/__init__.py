"""Serving against its bars: each part is a file with a `measure`, which gives lines of the table in serving.md."""
