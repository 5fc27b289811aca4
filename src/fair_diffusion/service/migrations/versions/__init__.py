"""One file per revision. A released one is never changed: the next change of the schema is a new file."""
