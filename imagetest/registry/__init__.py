"""The Store: what was assessed and promoted, in SQLite or PostgreSQL, append-only."""
