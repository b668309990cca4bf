"""Images with one thing about each of them, as lines of a Dockerfile."""

from __future__ import annotations

from tests.dockyard import SSHD, SYSTEMD

STAYS = 'CMD ["/bin/sleep", "infinity"]'
NO_SERVER = ("FROM {plain}", STAYS)
SHELL = ("FROM {plain}", 'CMD ["/bin/bash"]')
SERVER = ("FROM {machine}", SSHD)
INIT = ("FROM {machine}", SYSTEMD)
INIT_NO_SERVER = ("FROM {machine}", "RUN systemctl disable ssh", SYSTEMD)


def server(*lines: str) -> tuple[str, ...]:
    """Return an image whose SSH server is configured so."""
    return ("FROM {machine}", *lines, SSHD)


def configured(line: str) -> tuple[str, ...]:
    """Return an image whose SSH server has this line in its configuration."""
    return server(f"RUN echo '{line}' >/etc/ssh/sshd_config.d/test.conf")


def plain(*lines: str, command: str = STAYS) -> tuple[str, ...]:
    """Return an image without an SSH server."""
    return ("FROM {plain}", *lines, command)


def with_host_key(kind: str) -> tuple[str, ...]:
    """Return an image whose SSH server has a host key of its own, in a place of its own."""
    return server(
        f"RUN ssh-keygen -qt {kind} -N '' -f /etc/ssh/own && echo HostKey /etc/ssh/own >>/etc/ssh/sshd_config"
    )
