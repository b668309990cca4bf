"""What the user configured, checked as a whole, and the adapters that it names."""
