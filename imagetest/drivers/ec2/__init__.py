"""Boot AMIs as instances of Amazon EC2."""

from __future__ import annotations

from imagetest.drivers.ec2.driver import Ec2Driver

__all__ = ["Ec2Driver"]
