"""Suites and comparisons that many workers draw, on one machine or on many.

A campaign is a suite or a comparison. Its cells are jobs in the database of `service`: each is one part of a suite, or
one prompt of a comparison with all its ways. Workers claim cells, draw them in mixed batches, and write each part whole
or not at all. The driver puts cells, a window at a time, and notes those that arrive; at its end the study is read from
the parts. The database says what is to be drawn and by whom; the parts say what is drawn. Ray, Slurm and plain
processes only start workers.
"""
