"""The main interface: `pytest --image NAME` bakes, boots, checks, gates, promotes and reports."""
