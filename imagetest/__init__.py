"""Bake a machine image, boot a throwaway from it, prove it, and promote only what passes."""

from __future__ import annotations

from imagetest.marks import control, not_applicable

__all__ = ["control", "not_applicable"]
