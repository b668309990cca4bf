"""Publish AMIs: copies, permissions, a parameter for each channel, and what becomes of those before."""

from __future__ import annotations

from imagetest.promoters.ami.promoter import AmiPromoter

__all__ = ["AmiPromoter"]
