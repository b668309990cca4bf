"""Tests of the registry, on SQLite and on PostgreSQL."""
