"""What the project claims, as commands that print a table."""
