"""What a service of many requests keeps and shares: a database with jobs, ledger, keys, policies, labels and images.

`Database` opens it (SQLite in a file, or PostgreSQL by URL). Clients put jobs with `Jobs`, workers take them with
`Claims`, and both may run in any number of processes.
"""
