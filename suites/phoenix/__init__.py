"""Whether a machine rises from its image the same every time, and what it needs for that: compared, not believed."""
