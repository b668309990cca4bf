"""Tests of the promoters."""
