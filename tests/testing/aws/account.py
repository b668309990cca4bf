"""An account in the emulation, used through boto3 and over SSH as a client would use AWS."""

from __future__ import annotations

import base64
import io
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paramiko

from imagetest.execute import keys
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.aws.owners import LABEL

SYSTEMD, PLAIN = "debian-12-amd64-20261101", "plain-20261115"

KEY_NAME = "mine"

PATIENCE_SECONDS = 60

HOST_KEYS = "-----BEGIN SSH HOST KEY KEYS-----"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Clients, a key pair, and what was launched."""

    aws: AwsWithBodies
    ec2: Any
    key: keys.KeyPair
    launched: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, aws: AwsWithBodies) -> Account:
        """Import a key into an emulation."""
        key = keys.generate()
        ec2 = aws.client("ec2")
        ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=key.public.encode())
        return cls(aws=aws, ec2=ec2, key=key)

    def launch(self, name: str = PLAIN, *, ami: str = "", **settings: Any) -> str:
        """Launch an instance and return its id once it runs."""
        image = ami or self.aws.ami(name)
        made = self.ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, **{"KeyName": KEY_NAME, "InstanceType": "t3.micro", **settings}
        )
        instance = str(made["Instances"][0]["InstanceId"])
        self.launched.append(instance)
        self.wait(instance, "running")
        return instance

    def describe(self, instance: str) -> dict[str, Any]:
        """Return what the API says of an instance."""
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        one: dict[str, Any] = found[0]["Instances"][0]
        return one

    def wait(self, instance: str, state: str) -> dict[str, Any]:
        """Wait until the API says that an instance is in a state."""
        found: dict[str, Any] = eventually(lambda: self.describe(instance), lambda one: one["State"]["Name"] == state)
        return found

    def console(self, instance: str) -> str:
        """Return an instance's console."""
        return str(self.ec2.get_console_output(InstanceId=instance).get("Output", ""))

    def host_keys(self, instance: str) -> list[str]:
        """Return the public host keys that an instance printed to its console."""
        said = eventually(lambda: self.console(instance), lambda text: HOST_KEYS in text)
        lines: list[str] = said.split(HOST_KEYS)[1].split("-----END")[0].split("\n")[1:-1]
        return lines

    def ssh(self, instance: str, command: str, *, user: str = "root", key: str = "") -> tuple[int, str]:
        """Run a command over SSH, with the host key that the console tells; return its exit code and output."""
        address = str(self.describe(instance)["PublicIpAddress"])
        known = self.host_keys(instance)[0].split()
        with paramiko.SSHClient() as client:
            client.get_host_keys().add(address, known[0], paramiko.Ed25519Key(data=base64.b64decode(known[1])))
            private = paramiko.Ed25519Key.from_private_key(io.StringIO(key or self.key.private))
            connect(client, address, user, private)
            _, out, _ = client.exec_command(command, timeout=30)
            text = out.read().decode().strip()
            return out.channel.recv_exit_status(), text

    def clear(self) -> None:
        """Terminate what was launched."""
        if self.launched:
            self.ec2.terminate_instances(InstanceIds=self.launched)


def connect(client: paramiko.SSHClient, address: str, user: str, key: paramiko.PKey) -> None:
    """Connect as soon as the server listens; another host key, or a key that is refused, is told at once."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            client.connect(address, username=user, pkey=key, allow_agent=False, look_for_keys=False, timeout=10)
        except (paramiko.AuthenticationException, paramiko.BadHostKeyException):
            raise
        except (OSError, paramiko.SSHException, EOFError):
            assert time.monotonic() < deadline, f"no SSH server at {address}"
            time.sleep(0.1)
        else:
            return


def eventually(ask: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """Ask until an answer is good, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not good(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def machines(owner: str) -> tuple[int, int]:
    """Return how many containers and images there are of an emulation."""
    mine = f"label={LABEL}={owner}"
    return len(docker("ps", "--all", "--quiet", "--filter", mine)), len(images(owner))


def images(owner: str) -> list[str]:
    """Return the container images that an emulation made of machines."""
    return docker("images", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={owner}")


def docker(*arguments: str) -> list[str]:
    """Return the lines that a docker command prints."""
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.split()
