"""Live hosts: reached as `ssh` would reach them, and only when they are who they should be."""

from __future__ import annotations

import base64
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.errors import UsageError
from imagetest.execute import keys
from imagetest.transport.existing import Roads, UnreachableError
from imagetest.transport.shell import Shell
from imagetest.transport.ssh_config import resolve
from tests.dockyard import Dockyard
from tests.hosts import LiveHost, LiveHosts, live_hosts

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def hosts(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHosts]:
    with live_hosts(dockyard, tmp_path_factory.mktemp("live")) as place:
        yield place


@pytest.fixture(scope="module")
def bastion(hosts: LiveHosts) -> LiveHost:
    return hosts.start("bastion", "FROM {machine}", "RUN useradd --create-home --shell /bin/sh jump", user="jump")


@pytest.fixture(scope="module")
def inner(hosts: LiveHosts, bastion: LiveHost) -> LiveHost:
    return hosts.start("inner", behind=bastion)


def said(roads: Roads, name: str, command: str) -> str:
    transport = roads.dial(name)
    try:
        return Shell(transport).run(command, timeout=20).stdout.decode().strip()
    finally:
        transport.close()


@pytest.fixture
def roads(hosts: LiveHosts) -> Iterator[Roads]:
    ways = Roads(hosts.ssh_config)
    yield ways
    ways.close()


def test_a_host_is_reached_as_its_configured_user(roads: Roads, bastion: LiveHost) -> None:
    assert said(roads, bastion.name, "id -un; hostname") == "jump\nbastion"


def test_a_host_behind_a_bastion_is_reached_through_it(roads: Roads, inner: LiveHost, bastion: LiveHost) -> None:
    told = said(roads, inner.name, "id -un; hostname; set -- $SSH_CONNECTION; echo $1")

    assert told.split() == ["root", "inner", bastion.address]


def test_a_bastion_is_connected_to_once_however_many_ask(roads: Roads, inner: LiveHost, bastion: LiveHost) -> None:
    before = _logins(bastion)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(said(roads, inner.name, "hostname"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["inner"] * 8
    assert _logins(bastion) == before + 1


def _logins(host: LiveHost) -> int:
    return str(host.container.logs().decode()).count("Accepted publickey")


def test_a_host_and_a_port_need_no_alias(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n IdentityFile {hosts.key_file}\n UserKnownHostsFile {hosts.known_hosts}\n IdentitiesOnly yes\n"
    )
    roads = Roads(config)

    assert said(roads, f"jump@127.0.0.1:{hosts.port(bastion)}", "hostname") == "bastion"


def test_a_bastion_for_every_host_is_not_sent_through_itself(
    hosts: LiveHosts, bastion: LiveHost, inner: LiveHost, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f"{hosts.ssh_config.read_text()}Host *\n  ProxyJump {bastion.name}\n")
    roads = Roads(config)

    try:
        assert said(roads, inner.name, "hostname") == "inner"
    finally:
        roads.close()


def test_a_program_may_lead_to_a_host(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path) -> None:
    config = tmp_path / "config"
    proxy = f"  ProxyCommand ssh -F {hosts.ssh_config} -W localhost:22 {bastion.name}\n  HostKeyAlias [127.0.0.1]:%p\n"
    text = hosts.ssh_config.read_text().replace(f"Host {bastion.name}\n", f"Host {bastion.name}\n{proxy}")
    config.write_text(text.replace("%p", str(hosts.port(bastion))))

    roads = Roads(config)
    try:
        assert said(roads, bastion.name, "hostname") == "bastion"
    finally:
        roads.close()


def test_a_key_that_only_its_token_can_use_is_passed_over(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path) -> None:
    token = tmp_path / "id_ed25519_sk"
    token.write_text(_held_by_a_token())
    roads = Roads(changed(hosts, tmp_path, IdentityFile=str(token)))

    assert said(roads, bastion.name, "hostname") == "bastion"


def _held_by_a_token() -> str:
    """Return a private key as OpenSSH keeps one of a FIDO token (PROTOCOL.key, PROTOCOL.u2f)."""

    def text(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    public = text(b"sk-ssh-ed25519@openssh.com") + text(bytes(32)) + text(b"ssh:")
    secret = bytes(8) + public + b"\x01" + text(bytes(64)) + text(b"") + text(b"")
    secret += bytes(range(1, 1 + -len(secret) % 8))
    whole = b"openssh-key-v1\0" + text(b"none") * 2 + text(b"") + struct.pack(">I", 1) + text(public) + text(secret)
    body = base64.encodebytes(whole).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"


# -- what is refused


def changed(hosts: LiveHosts, tmp_path: Path, **lines: str) -> Path:
    """Return the hosts' configuration with other lines before it, which win."""
    config = tmp_path / "config"
    text = "".join(f"  {key} {value}\n" for key, value in lines.items())
    config.write_text(f"Host *\n{text}{hosts.ssh_config.read_text()}")
    return config


def test_a_host_whose_key_is_unknown_is_not_spoken_to(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path) -> None:
    roads = Roads(changed(hosts, tmp_path, UserKnownHostsFile="/dev/null"))

    with pytest.raises(UnreachableError, match=r"cannot reach 'bastion': no host key of .* is known"):
        roads.dial(bastion.name)


@pytest.mark.parametrize("marker", ["", "@revoked "])
def test_a_host_with_another_key_is_refused(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path, marker: str) -> None:
    known, name = tmp_path / "known", f"[127.0.0.1]:{hosts.port(bastion)}"
    other = keys.generate().public
    known.write_text(
        f"{name} {bastion.host_key}\n@revoked {name} {bastion.host_key}\n" if marker else f"{name} {other}\n"
    )

    with pytest.raises(UnreachableError, match=r"'bastion' presents the host key .* not the one known"):
        Roads(changed(hosts, tmp_path, UserKnownHostsFile=str(known))).dial(bastion.name)


def test_a_key_that_nobody_authorized_does_not_get_in(hosts: LiveHosts, bastion: LiveHost, tmp_path: Path) -> None:
    other = keys.generate().write(tmp_path / "other")
    text = changed(hosts, tmp_path).read_text().replace(str(hosts.key_file), str(other))
    (tmp_path / "config").write_text(text)

    with pytest.raises(UnreachableError, match="'bastion' does not let 'jump' in"):
        Roads(tmp_path / "config").dial(bastion.name)


def test_a_host_behind_a_bastion_that_is_away_is_unreachable(hosts: LiveHosts, inner: LiveHost, tmp_path: Path) -> None:
    text = hosts.ssh_config.read_text().replace("HostName 127.0.0.1", "HostName 127.0.0.9")
    (tmp_path / "config").write_text(text + "Host *\n")
    known = hosts.known_hosts.read_text()
    (tmp_path / "known").write_text(known + known.replace("127.0.0.1", "127.0.0.9"))
    (tmp_path / "config").write_text(text.replace(str(hosts.known_hosts), str(tmp_path / "known")))

    with pytest.raises(UnreachableError, match=r"cannot reach 'bastion' at 127\.0\.0\.9"):
        Roads(tmp_path / "config").dial(inner.name)


@pytest.mark.parametrize("name", ["a", "b"])
def test_bastions_that_lead_in_a_circle_are_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")

    with pytest.raises(UnreachableError, match=r"its bastions lead in a circle: (a -> b -> a|b -> a -> b)"):
        Roads(tmp_path / "config").dial(name)


@pytest.mark.parametrize("name", ["-oProxyCommand=touch /tmp/x", "a b", "", "a\nb"])
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no host"):
        resolve(name)


def test_a_mistake_in_the_configuration_is_said(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Nonsense yes\n")

    with pytest.raises(UsageError, match="ssh makes nothing of host 'web'"):
        resolve("web", tmp_path / "config")
