"""Files and folders that are written whole or not at all, format numbers, tables, pictures, and safe text."""
