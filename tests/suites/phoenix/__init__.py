"""Tests of the phoenix suite."""
