"""AWS with machines behind its instances, one for all tests of this folder."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import boto3
import pytest
from botocore.stub import Stubber

from imagetest.drivers.ec2 import Ec2Driver
from imagetest.execute import tags
from imagetest.model.plan import BootPlan
from imagetest.ports import Booted
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import ignore, let_go, make_access
from tests.dockyard import SSHD, Dockyard
from tests.drivers import images

WITHOUT_INIT = ("FROM {machine}", "RUN rm /sbin/init", SSHD)
"""An image that boots its SSH server, as it would systemd."""

OWN_KEY = images.with_host_key("ed25519")[1]

ENDS = 'CMD ["/bin/sh", "-c", "echo nothing to do here; exit 3"]'

TELLS = (
    'CMD ["/bin/sh", "-c", "echo -----BEGIN SSH HOST KEY KEYS-----; cat /etc/ssh/own.pub; '
    'echo -----END SSH HOST KEY KEYS-----; mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e"]'
)
"""Says its host key as cloud-init does, and serves SSH."""


@pytest.fixture(scope="module")
def aws(dockyard: Dockyard) -> Iterator[AwsWithBodies]:
    published = {
        "server": WITHOUT_INIT, "init": images.INIT, "ends": images.plain(command=ENDS),
        "own key": (*WITHOUT_INIT[:-1], OWN_KEY, SSHD), "own key, told": (*WITHOUT_INIT[:-1], OWN_KEY, TELLS),
    }  # fmt: skip
    built = {name: dockyard.build(*lines) for name, lines in published.items()}
    with AwsWithBodies(images=built) as server:
        yield server


@pytest.fixture
def _account(aws: AwsWithBodies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have boto3 find the emulation and nothing of the user's."""
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def driver(_account: None) -> Iterator[Ec2Driver]:
    made = Ec2Driver()
    yield made
    made.close()


@pytest.fixture
def ec2(aws: AwsWithBodies) -> Iterator[Any]:
    """Look at the account without the driver's help."""
    client = aws.client("ec2")
    yield client
    client.close()


class Boot(Protocol):
    """Boots an AMI until the end of a context; what is given besides is the plan, and `cloud` the part of EC2."""

    def __call__(self, name: str, *, resource: str = "", **plan: Any) -> AbstractContextManager[Booted]: ...


@pytest.fixture
def boot(driver: Ec2Driver, aws: AwsWithBodies, tmp_path: Path) -> Boot:
    @contextmanager
    def boot(name: str, *, resource: str = "", **plan: Any) -> Iterator[Booted]:
        resource = resource or f"imagetest-test-{secrets.token_hex(4)}@{aws.region}"
        found = driver.identify(f"{aws.region}:{aws.ami(name)}", name="web")
        access = make_access(tmp_path / resource)
        try:
            up = driver.boot(found, BootPlan(**plan), resource=resource, access=access, progress=ignore)
            yield up
            let_go(up)
        finally:
            driver.destroy(resource)

    return boot


def left(ec2: Any) -> list[str]:
    """Return whatever there is in the account that carries a tag of imagetest's."""
    filters = [{"Name": "tag-key", "Values": [tags.RESOURCE]}]
    live = [*filters, {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    found = [one for row in ec2.describe_instances(Filters=live)["Reservations"] for one in row["Instances"]]
    found += ec2.describe_volumes(Filters=filters)["Volumes"]
    found += ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    found += ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    found += ec2.describe_key_pairs(Filters=filters)["KeyPairs"]
    return [str(one) for one in found]


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    yield from stubbed_client("ec2")


def stubbed_client(service: Literal["ec2", "ebs"]) -> Iterator[Stubber]:
    """Give a client whose answers a test writes beforehand; all of them must have been asked for."""
    client = boto3.client(
        service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"  # noqa: S106 - none
    )  # fmt: skip
    with Stubber(client) as made:
        yield made
        made.assert_no_pending_responses()
    client.close()
