"""One emulation for the tests of a module, with a machine that has systemd and one that has not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import SSHD, Dockyard
from tests.testing.aws.account import PLAIN, SYSTEMD, Account


@pytest.fixture(scope="package")
def images(dockyard: Dockyard) -> dict[str, str]:
    """Return what is published: one image boots systemd, the other its SSH server alone."""
    plain = dockyard.build("FROM {machine}", "RUN rm /sbin/init", SSHD)
    return {SYSTEMD: dockyard.machine, PLAIN: plain}


@pytest.fixture(scope="module")
def aws(images: dict[str, str]) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images=images) as running:
        yield running


@pytest.fixture(scope="module")
def shared(aws: AwsWithBodies) -> Account:
    return Account.of(aws)


@pytest.fixture
def account(shared: Account) -> Iterator[Account]:
    """Return an account; the instances that a test launches end with it."""
    mine = replace(shared, launched=[])
    yield mine
    mine.clear()
