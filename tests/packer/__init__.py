"""The shipped templates, baked for real."""
