"""AWS without an account: EC2 whose instances are machines, over HTTP on loopback.

    with AwsWithBodies(images={"debian-12-amd64-20261101": "example/debian:12"}) as aws:
        aws.client("ec2").run_instances(ImageId=aws.ami("debian-12-amd64-20261101"), MinCount=1, MaxCount=1)

Raises ConfigError on import when moto is not installed.
"""

from __future__ import annotations

import importlib.util

from imagetest.errors import ConfigError

MOTO = "5.2.5"
"""The version of moto that this is made for: it reaches into moto, so that another one may not do."""

if importlib.util.find_spec("moto") is None:
    raise ConfigError("imagetest.testing.aws needs moto", hint="pip install 'imagetest[aws-testing]'")

from imagetest.testing.aws.session import AwsWithBodies  # noqa: E402 - only once moto is known to be there

__all__ = ["MOTO", "AwsWithBodies"]
