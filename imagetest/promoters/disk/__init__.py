"""Publish disks of virtual machines: in a folder, or in a bucket of S3."""

from __future__ import annotations

from imagetest.promoters.disk.promoter import DiskPromoter

__all__ = ["DiskPromoter"]
