"""Bake images with Packer, from templates in JSON and in HCL2."""

from __future__ import annotations

from imagetest.builders.packer.builder import PackerBuilder

__all__ = ["PackerBuilder"]
