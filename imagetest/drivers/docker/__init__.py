"""Boot images as Docker containers."""

from __future__ import annotations

from imagetest.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
