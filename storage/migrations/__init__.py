"""The database's shape through time: dated migrations in `versions/`, applied by `storage/migrate.py`."""
