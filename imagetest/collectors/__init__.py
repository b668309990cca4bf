"""Collectors: each reads one family of facts of a machine, with nothing but a shell, and changes nothing."""
