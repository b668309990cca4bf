"""What a run of the project's tests and a run over an image share: what looks like a test here and is none."""

from __future__ import annotations

collect_ignore_glob = [
    "imagetest/cli/skeleton/*",  # the suite that `imagetest init` writes: it belongs to the project that it makes
    "imagetest/testing/*",  # contracts: they are collected where somebody subclasses them
]
