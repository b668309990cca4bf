"""Bake a machine image, boot a throwaway from it, prove it, and promote only what passes."""

from __future__ import annotations

from imagetest.marks import control, mutates, not_applicable

__all__ = ["control", "mutates", "not_applicable"]
