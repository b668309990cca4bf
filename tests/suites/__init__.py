"""Proof that the shipped suites measure something."""
