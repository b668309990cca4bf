"""The migrations of the registry."""
