"""How commands reach an instance: a pinned SSH connection, one shell over it, and testinfra's backend on top."""
