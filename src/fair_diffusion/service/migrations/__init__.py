"""How the schema came to be: one file per revision. A database is upgraded when it is opened."""
