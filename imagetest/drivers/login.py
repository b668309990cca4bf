"""What a person types to get into an instance: what drivers share."""

from __future__ import annotations

import shlex

from imagetest.model.instance import Address
from imagetest.ports import Access


def command(address: Address, access: Access) -> str:
    """Return the command that opens a shell over the image's own SSH server."""
    return shlex.join([*ssh(access), "-p", str(address.port), f"{address.user}@{address.host}"])


def ssh(access: Access) -> list[str]:
    """Return OpenSSH's client with the run's key and the pinned host key."""
    known_hosts = access.key_file.with_name("known_hosts")  # pinned under the alias `imagetest`; ssh splits at blanks
    return [
        "ssh", "-F", "none", "-i", str(access.key_file), "-o", "IdentitiesOnly=yes", "-o", "HostKeyAlias=imagetest",
        "-o", f'UserKnownHostsFile="{known_hosts}"', "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
    ]  # fmt: skip
