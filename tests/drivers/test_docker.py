"""Images of every kind boot, are reached over pinned SSH, and stay as they were."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.errors import EngineError
from imagetest.ports import Booted
from imagetest.testing.contracts import ReattachingContract, ask, make_access
from tests.dockyard import SYSTEMD, Dockyard
from tests.drivers import images
from tests.drivers.conftest import Boot

pytestmark = pytest.mark.docker


class TestDockerDriver(ReattachingContract):
    @pytest.fixture
    def reference(self, dockyard: Dockyard) -> str:
        return dockyard.build(*images.NO_SERVER)

    @pytest.fixture
    def later(self) -> Iterator[DockerDriver]:
        made = DockerDriver()
        yield made
        made.close()

    @pytest.fixture
    def there(self, engine: docker.APIClient) -> Callable[[str], bool]:
        return lambda resource: bool(engine.containers(all=True, filters={"name": f"^/{resource}$"}))


@pytest.mark.parametrize(
    ("lines", "init", "reached_by"),
    [
        pytest.param(images.NO_SERVER, "command", "gateway", id="no-server"),
        pytest.param(images.SHELL, "command", "gateway", id="shell"),
        pytest.param(images.SERVER, "command", "image", id="sshd"),
        pytest.param(images.INIT, "systemd", "image", id="systemd-ssh"),
        pytest.param(images.INIT_NO_SERVER, "systemd", "gateway", id="systemd-no-ssh"),
        pytest.param(images.server("RUN echo 'echo welcome' >>/root/.bashrc"), "command", "image", id="banner"),
        pytest.param(images.configured("Banner /etc/passwd"), "command", "image", id="ssh-banner"),
        pytest.param(images.plain("RUN useradd worker", "USER worker"), "command", "gateway", id="user"),
        pytest.param(images.plain("RUN echo nobody >/etc/hostname", "VOLUME /etc"), "command", "gateway", id="volume"),
        pytest.param(images.plain("RUN rm -rf /etc/ssh /root"), "command", "gateway", id="no-home"),
    ],
)
def test_an_image_is_reached_by_its_own_server_where_it_has_one(
    dockyard: Dockyard, boot: Boot, lines: tuple[str, ...], init: str, reached_by: str
) -> None:
    with boot(dockyard.build(*lines)) as up:
        assert (up.boot.init, up.boot.reached_by) == (init, reached_by)
        assert ask(up, "id -u; echo err >&2; exit 4") == (4, b"0\n", b"err\n")
        assert ask(up, "head -c 3000000 /dev/zero | tee /dev/stderr") == (0, bytes(3000000), bytes(3000000))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param(images.configured("PermitRootLogin no"), "does not let 'root' in", id="no-root-login"),
        pytest.param(images.configured("AllowUsers somebody"), "does not let 'root' in", id="allow-users"),
        pytest.param(
            images.configured("AuthenticationMethods publickey,password"), "does not let 'root' in", id="more"
        ),
        pytest.param(
            images.configured("AuthorizedKeysFile /etc/keys/%u"), "does not let 'root' in", id="keys-elsewhere"
        ),
        pytest.param(
            images.with_host_key("rsa"),
            "nothing that is safe",
            id="rsa-host-key",
        ),
        pytest.param(
            images.with_host_key("ed25519"),
            "not the pinned one",
            id="own-host-key",
        ),
        pytest.param(images.server("RUN chmod 777 /root"), "does not let 'root' in", id="strict-modes"),
        pytest.param(images.server("RUN rm -rf /root"), "no folder '/root'", id="no-home"),
        pytest.param(
            (
                "FROM {machine}",
                "RUN mv /etc/ssh /etc/moved",
                'CMD ["/bin/sh", "-c", "sleep infinity; exec /usr/sbin/sshd -f /etc/moved/sshd_config"]',
            ),
            "no folder '/etc/ssh'",
            id="no-etc-ssh",
        ),
    ],
)
def test_a_server_that_cannot_be_used_is_gone_around_and_that_is_noted(
    dockyard: Dockyard, boot: Boot, lines: tuple[str, ...], why: str
) -> None:
    with boot(dockyard.build(*lines)) as up:
        assert up.boot.reached_by == "gateway"
        assert [note for note in up.boot.notes if "reached by the gateway, because" in note and why in note]
        assert ask(up, "id -un") == (0, b"root\n", b"")


@pytest.mark.parametrize("ssh", ["auto", "image"])
def test_another_user_gets_in_with_a_home_of_its_own(dockyard: Dockyard, boot: Boot, ssh: str) -> None:
    image = dockyard.build(*images.server("RUN useradd -m -s /bin/bash alice"))
    with boot(image, user="alice", ssh=ssh) as up:
        assert up.boot.reached_by == "image"
        assert ask(up, "id -un; pwd; stat -c '%U %a' .ssh .ssh/authorized_keys") == (
            0, b"alice\n/home/alice\nalice 700\nalice 600\n", b""
        )  # fmt: skip
        assert ask(up, "echo x >/etc/passwd")[0] != 0


def test_the_gateway_runs_commands_as_the_user_that_was_asked_for(dockyard: Dockyard, boot: Boot) -> None:
    with boot(dockyard.build(*images.plain("RUN useradd -m alice")), user="alice") as up:
        assert ask(up, "id -un") == (0, b"alice\n", b"")


def test_what_is_baked_into_a_users_folder_stays_as_it_is(dockyard: Dockyard, boot: Boot) -> None:
    image = dockyard.build(
        *images.server(
            "RUN install -d -m 750 /root/.ssh && printf 'ssh-ed25519 AAAAbaked' >/root/.ssh/authorized_keys",
            "RUN cd /root/.ssh && echo other >config && chmod 640 authorized_keys && chown 0:5 authorized_keys",
        )
    )
    with boot(image, ssh="image") as up:
        code, out, _ = ask(up, "cd /root/.ssh; stat -c '%a %g' . authorized_keys; cat config authorized_keys")

    *before, key, _ = out.decode().split("\n")
    assert code == 0
    assert before == ["750 0", "640 5", "other", "ssh-ed25519 AAAAbaked"]
    assert key.startswith("ssh-ed25519 AAAA")


def test_the_image_stays_as_it_was(dockyard: Dockyard, boot: Boot, driver: DockerDriver) -> None:
    image = dockyard.build(*images.SERVER)
    before = driver.identify(image, name="web")
    with boot(image) as up:
        ask(up, "touch /root/made-by-a-check")

    assert driver.identify(image, name="web") == before


def test_nothing_is_published_beyond_loopback(dockyard: Dockyard, boot: Boot, engine: docker.APIClient) -> None:
    with boot(dockyard.build(*images.server("EXPOSE 80 8080/udp"))) as up:
        found = engine.inspect_container(up.instance.id)
        published = {port: bound for port, bound in found["NetworkSettings"]["Ports"].items() if bound}

        assert published.keys() == {"22/tcp"}
        assert {one["HostIp"] for one in published["22/tcp"]} == {"127.0.0.1"}


def test_a_gateway_publishes_nothing(dockyard: Dockyard, boot: Boot, engine: docker.APIClient) -> None:
    with boot(dockyard.build(*images.INIT), ssh="gateway") as up:
        found = engine.inspect_container(up.instance.id)

        assert not any(found["NetworkSettings"]["Ports"].values())
        assert up.boot.reached_by == "gateway"
        assert ask(up, "cat /root/.ssh/authorized_keys /etc/ssh/ssh_host_ed25519_key")[1] == b""


def test_the_server_may_listen_elsewhere(dockyard: Dockyard, boot: Boot) -> None:
    with boot(dockyard.build(*images.configured("Port 2222")), port=2222) as up:
        assert up.boot.reached_by == "image"


def test_the_environment_reaches_process_1(dockyard: Dockyard, boot: Boot) -> None:
    given = (("TITLE", "a b'c\"$d"), ("EMPTY", ""))
    with boot(dockyard.build(*images.plain("ENV BAKED=1")), environment=given) as up:
        lines = ask(up, "tr '\\0' '\\n' </proc/1/environ")[1].decode().splitlines()

    assert {"BAKED=1", "TITLE=a b'c\"$d", "EMPTY="} <= set(lines)


def test_the_command_and_the_entrypoint_of_the_image_are_what_runs(dockyard: Dockyard, boot: Boot) -> None:
    lines = ('ENTRYPOINT ["/bin/sh", "-c", "echo $0 $@ >/told; exec sleep infinity"]', "EXPOSE 80")
    image = dockyard.build(*images.plain(*lines, command='CMD ["one", "two"]'))
    with boot(image) as up:
        own = ask(up, "cat /told")[1]
        declared = up.boot.command
    with boot(image, command=("three",)) as up:
        replaced = ask(up, "cat /told")[1]

        assert [note for note in up.boot.notes if "the image's command was replaced by" in note]
    assert own == b"one two\n"
    assert declared.endswith("one two")
    assert replaced == b"three\n"


def test_an_image_is_ready_when_its_health_check_says_so(dockyard: Dockyard, boot: Boot) -> None:
    image = dockyard.build(
        *images.plain(
            "HEALTHCHECK --interval=1s CMD test -e /tmp/up",
            command='CMD ["/bin/sh", "-c", "sleep 1.5; touch /tmp/up; exec sleep infinity"]',
        )
    )
    with boot(image) as up:
        assert ask(up, "test -e /tmp/up")[0] == 0
        assert up.boot.ready_seconds > 1.5 > up.boot.reachable_seconds


def test_an_image_is_ready_when_the_configured_command_succeeds(dockyard: Dockyard, boot: Boot) -> None:
    command = 'CMD ["/bin/sh", "-c", "sleep 1; touch /tmp/up; exec sleep infinity"]'
    with boot(dockyard.build(*images.plain(command=command)), ready="test -e /tmp/up") as up:
        assert up.boot.ready_seconds > 1 > up.boot.reachable_seconds


def test_a_failed_unit_is_noted(dockyard: Dockyard, boot: Boot) -> None:
    unit = "RUN printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >/etc/systemd/system/bad.service"
    wanted = (
        "RUN mkdir -p /etc/systemd/system/multi-user.target.wants && cd /etc/systemd/system/multi-user.target.wants"
    )
    image = dockyard.build("FROM {machine}", unit, f"{wanted} && ln -s ../bad.service .", SYSTEMD)
    with boot(image) as up:
        assert [note for note in up.boot.notes if note == "systemd is degraded: bad.service"]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("web", b"web"),
        ("photoapp.docker_base-1", b"photoapp-docker-base-1"),
        ("a" * 62 + ".b", b"a" * 62),
        ("_-._", b"image"),
    ],
)
def test_every_image_makes_a_host_name_that_is_one(dockyard: Dockyard, boot: Boot, name: str, host: bytes) -> None:
    with boot(dockyard.build(*images.NO_SERVER), name=name) as up:
        assert ask(up, "cat /proc/sys/kernel/hostname") == (0, host + b"\n", b"")


def test_an_exec_ends_with_its_command_and_not_with_its_output(dockyard: Dockyard, boot: Boot) -> None:
    """A command may close its output early, or leave it to a background process."""
    with boot(dockyard.build(*images.NO_SERVER)) as up:
        assert up.transport is not None
        early = up.transport.open_session(timeout=20)
        early.exec_command("exec >&- 2>&-; sleep 0.7; exit 3")

        assert early.recv_exit_status() == 3
        assert ask(up, "sleep 60 & echo now", timeout=5) == (0, b"now\n", b"")


def test_a_person_gets_a_terminal_through_the_gateway(dockyard: Dockyard, boot: Boot, tmp_path: Path) -> None:
    """With OpenSSH's own client, which says how large its terminal is."""
    with boot(dockyard.build(*images.NO_SERVER)) as up:
        address = up.instance.address
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{address.port} {address.host_key}\n")
        done = subprocess.run(
            [
                "ssh", "-F", "none", "-tt", "-i", address.key_file, "-o", f"UserKnownHostsFile={known}",
                "-o", "StrictHostKeyChecking=yes", "-p", str(address.port), "root@127.0.0.1", "tty; exit 6",
            ],
            check=False, capture_output=True, timeout=20, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    assert (done.returncode, done.stdout.strip()[:9]) == (6, b"/dev/pts/")


def test_a_terminal_speaks_on_after_its_input_has_ended(dockyard: Dockyard, boot: Boot) -> None:
    with boot(dockyard.build(*images.NO_SERVER)) as up:
        assert up.transport is not None
        session = up.transport.open_session(timeout=20)
        session.get_pty()
        session.exec_command("sleep 1; tty; exit 6")
        session.shutdown_write()

        assert session.makefile("rb").read()[:9] == b"/dev/pts/"
        assert session.recv_exit_status() == 6


@pytest.fixture(scope="module")
def rest(dockyard: Dockyard, driver: DockerDriver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    image = dockyard.build(
        *images.server(
            "HEALTHCHECK --interval=1s CMD touch /tmp/health-was-checked",
            "RUN useradd worker && mkdir /data && echo kept >/data/file",
            "VOLUME /data",
            "USER worker",
            'ENTRYPOINT ["/bin/sh", "-c", "touch /tmp/entrypoint-ran; exec sleep infinity"]',
        )
    )
    access = make_access(tmp_path_factory.mktemp("rest"))
    try:
        up = driver.rest(driver.identify(image, name="web"), resource="imagetest-test-rest", access=access)
        yield up
        if up.transport is not None:
            up.transport.close()
        up.close()
    finally:
        driver.destroy("imagetest-test-rest")


class TestAtRest:
    """The image as it shipped: asked, and not touched."""

    def test_it_is_asked_as_root(self, rest: Booted) -> None:
        assert ask(rest, "id -u; cat /data/file") == (0, b"0\nkept\n", b"")

    def test_nothing_of_its_own_runs(self, rest: Booted) -> None:
        running = ask(rest, "cat /proc/[0-9]*/comm | sort -u")[1].split()

        assert set(running) <= {b"sh", b"cat", b"sort"}

    def test_it_has_no_network(self, rest: Booted, engine: docker.APIClient) -> None:
        assert ask(rest, "ls /sys/class/net")[1] == b"lo\n"
        assert not engine.inspect_container(rest.instance.id)["NetworkSettings"]["Ports"]

    def test_nothing_is_brought_in_or_changed(self, rest: Booted, engine: docker.APIClient) -> None:
        ask(rest, "cat /etc/passwd; sleep 1.5")

        assert not engine.diff(rest.instance.id)


def test_an_image_at_rest_without_a_shell_says_so(dockyard: Dockyard, driver: DockerDriver, tmp_path: Path) -> None:
    image = driver.identify(dockyard.build(*images.plain('RUN ["/bin/rm", "/bin/sh"]')), name="web")
    try:
        with pytest.raises(EngineError, match=r"cannot open image 'web' at rest: .*/bin/sh"):
            driver.rest(image, resource="imagetest-test-no-shell", access=make_access(tmp_path))
    finally:
        driver.destroy("imagetest-test-no-shell")


def test_volumes_go_with_their_container(dockyard: Dockyard, boot: Boot, engine: docker.APIClient) -> None:
    with boot(dockyard.build(*images.plain("VOLUME /data"))) as up:
        (mount,) = engine.inspect_container(up.instance.id)["Mounts"]

    assert mount["Name"] not in {one["Name"] for one in engine.volumes()["Volumes"] or []}


def test_no_port_stays_open_on_this_machine(dockyard: Dockyard, boot: Boot) -> None:
    with boot(dockyard.build(*images.NO_SERVER)) as up:
        port = up.instance.address.port

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
