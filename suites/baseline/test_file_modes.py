"""Who may read and write the files that decide who may do what."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

from imagetest import control, not_applicable

BEYOND_0644, BEYOND_0640, BEYOND_0600 = 0o133, 0o137, 0o177
WRITABLE_BY_OTHERS = 0o022


@control("files-account-databases")
def test_accounts_are_changed_by_root_alone(loose: Callable[..., list[str]]) -> None:
    """Everybody may read who has an account; only root may change it."""
    found = loose("/etc/passwd /etc/passwd- /etc/group /etc/group-", bits=BEYOND_0644)

    assert not found, f"too open or not root's: {found}"


@control("files-password-databases")
def test_password_hashes_are_read_by_root_alone(loose: Callable[..., list[str]]) -> None:
    """Only root and the group shadow, to which nobody belongs, may read password hashes."""
    databases = "/etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow-"
    found = loose(databases, bits=BEYOND_0640, owners=("root:root", "root:shadow"))

    assert not found, f"too open or not root's: {found}"


@control("files-sudo-policy")
def test_the_sudo_policy_is_protected(host: Host, loose: Callable[..., list[str]]) -> None:
    """Only root may change, and only root and its group may read, who may become root."""
    if not host.run_test("test -e /etc/sudoers").succeeded:
        not_applicable("no sudo: /etc/sudoers does not exist")

    files = loose("/etc/sudoers /etc/sudoers.d/*", bits=BEYOND_0640)
    found = files + loose("/etc/sudoers.d", bits=WRITABLE_BY_OTHERS)

    assert not found, f"too open or not root's: {found}"


@control("files-ssh-server-configuration")
def test_the_configuration_of_the_ssh_server_is_protected(host: Host, loose: Callable[..., list[str]]) -> None:
    """Only root may read and change how people get in."""
    if not host.run_test("test -e /etc/ssh/sshd_config").succeeded:
        not_applicable("no SSH server: /etc/ssh/sshd_config does not exist")

    found = loose("/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*", bits=BEYOND_0600)

    assert not found, f"too open or not root's: {found}"
