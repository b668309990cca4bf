"""The emulation for as long as a test needs it: a server in a process of its own, and how to reach it."""

from __future__ import annotations

import json
import os
import sys
import threading
import urllib.request
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imagetest.errors import ConfigError, EngineError, InfrastructureError, LeakError, UsageError
from imagetest.execute import process

CLEARING_SECONDS = 120.0
"""How long the server may take to remove its machines."""

ACCOUNT_KEY, ACCOUNT_SECRET = "testing", "testing"

CONTROL = "/imagetest/faults"


class AwsWithBodies:
    """AWS with machines: enter it to start it, leave it and nothing is left of it."""

    def __init__(self, *, images: Mapping[str, str], region: str = "us-east-1", user: str = "root") -> None:
        """Publish container images under names of AMIs; `user` is the account that gets an instance's key.

        An account that is not there is made at the first boot, with sudo, as cloud-init makes an image's default user.
        """
        self.region = region
        self._images = dict(images)
        self._user = user
        self._server: process.Child | None = None
        self._told: dict[str, str] = {}
        self._sessions = threading.Lock()

    def __enter__(self) -> Self:
        """Start the server.

        Raises ConfigError for an image that is not there, or a machine on which no instance could be reached;
        EngineError and InfrastructureError when it does not start.
        """
        settings = json.dumps({"images": self._images, "region": self.region, "user": self._user})
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
        argv = [sys.executable, "-m", "imagetest.testing.aws.server", settings]
        self._server = process.piped(*argv, cwd=Path.cwd(), env=kept)
        assert self._server.stdout is not None  # noqa: S101 - told to the type checker
        line = self._server.stdout.readline()
        try:
            self._told = json.loads(line)
        except ValueError as error:
            raise InfrastructureError(f"the emulation of AWS did not start: {self._complaint()}") from error
        if "error" in self._told:
            told = self._told
            self._end()
            kind = ConfigError if told["config"] else EngineError
            raise kind(str(told["error"]), hint=str(told["hint"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server with all its machines and images. Raises LeakError when some may be left."""
        self._end()

    @property
    def endpoint(self) -> str:
        """Return the URL of every service."""
        return self._answered("endpoint")

    @property
    def owner(self) -> str:
        """Return the value of the label `imagetest.aws` of all its containers and images."""
        return self._answered("owner")

    def ami(self, name: str, region: str = "") -> str:
        """Return the id of a published image. Raises UsageError when there is none of the name."""
        if region and region != self.region:
            filters = [{"Name": "name", "Values": [name]}]
            found = [one["ImageId"] for one in self.client("ec2", region).describe_images(Filters=filters)["Images"]]
        else:
            found = [one for known, one in json.loads(self._answered("amis")).items() if known == name]
        if not found:
            raise UsageError(f"no image {name!r} is published", hint=f"there are: {', '.join(self._images)}")
        return str(found[0])

    def client(self, service: str, region: str = "") -> Any:
        """Return a boto3 client that asks once: what it is answered is what the caller gets."""
        from botocore.config import Config

        once = Config(retries={"total_max_attempts": 1})
        with self._sessions:
            return self._session.client(
                service, region_name=region or self.region, endpoint_url=self.endpoint, config=once
            )

    @cached_property
    def _session(self) -> Any:
        """Return the one session, which reads the API's model once; a session is no thing for two threads."""
        import boto3

        return boto3.Session(aws_access_key_id=ACCOUNT_KEY, aws_secret_access_key=ACCOUNT_SECRET)

    def environ(self) -> dict[str, str]:
        """Return the environment in which any AWS SDK comes here, one that knows AWS_ENDPOINT_URL or one that does not.

        Nothing but AWS can be reached over HTTPS in it.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCOUNT_SECRET, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_POLL_DELAY_SECONDS": "1", "AWS_MAX_ATTEMPTS": "60",
            "AWS_CA_BUNDLE": self._answered("bundle"), "HTTPS_PROXY": self._answered("proxy"),
            "https_proxy": self._answered("proxy"), "NO_PROXY": "127.0.0.0/8,localhost",
            "no_proxy": "127.0.0.0/8,localhost",
        }  # fmt: skip

    def fail(self, operation: str, code: str, *, times: int = 1, message: str = "") -> None:
        """Have the next calls of an operation, such as RunInstances, answered with an error of AWS's."""
        order = {"operation": operation, "code": code, "times": times, "message": message or f"ordered: {code}"}
        self._control(json.dumps(order).encode())

    @property
    def called(self) -> list[str]:
        """Return the operations that were called, in order."""
        return [str(one) for one in self._control(None)]

    def _control(self, order: bytes | None) -> list[object]:
        request = urllib.request.Request(self.endpoint + CONTROL, data=order)  # noqa: S310 - loopback
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=30) as answer:
            found = json.load(answer)
        return list(found)

    def _answered(self, name: str) -> str:
        if self._server is None or name not in self._told:
            raise UsageError("the emulation of AWS is not running", hint="use it in a 'with' statement")
        return self._told[name]

    def _end(self) -> None:
        server, self._server, self._told = self._server, None, {}
        if server is None or server.stdin is None:
            return
        server.stdin.close()
        if not process.waited(server, CLEARING_SECONDS):
            server.kill()
            server.wait()
            raise LeakError("the emulation of AWS did not end", hint="its machines are removed when it next starts")
        said = server.stderr.read().decode(errors="replace").strip() if server.stderr is not None else ""
        for stream in (server.stdout, server.stderr):
            if stream is not None:
                stream.close()
        if server.returncode and self._told == {} and said:
            raise LeakError(f"the emulation of AWS may have left machines: {said.splitlines()[-1]}")

    def _complaint(self) -> str:
        server = self._server
        if server is None or server.stderr is None:
            return "it said nothing"
        said = server.stderr.read().decode(errors="replace").strip()
        self._end()
        return said.splitlines()[-1] if said else "it said nothing"
