"""Tests of what makes images."""
