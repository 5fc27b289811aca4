"""The schema of the ledger's file, one revision after the other; `ledger_file` runs what is missing."""
