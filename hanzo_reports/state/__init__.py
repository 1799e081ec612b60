"""The database of everything that is not an event: its tables and their migrations."""
