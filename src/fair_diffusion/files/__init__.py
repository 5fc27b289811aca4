"""Files and folders that are whole or not there at all, tables, pictures, and text that is safe to show."""
