"""Hardening and hygiene that every image of the Debian family should have."""
