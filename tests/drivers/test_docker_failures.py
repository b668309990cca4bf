"""An image that does not come up ends in one error, in time, with what the machine said last."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.docker import DockerDriver
from imagetest.errors import BootError, EngineError, ImagetestError, LeakError, MachineLostError
from imagetest.model.plan import BootPlan
from imagetest.testing.contracts import ignore, make_access
from imagetest.transport import connection
from imagetest.transport.shell import Shell
from tests.dockyard import SSHD, Dockyard
from tests.drivers import images
from tests.drivers.conftest import Boot

pytestmark = pytest.mark.docker


@pytest.mark.parametrize(
    ("lines", "plan", "said"),
    [
        pytest.param(
            images.plain(command='CMD ["/bin/sh", "-c", "echo one; echo last words >&2; exit 3"]'),
            {},
            ["ended with exit code 3", "one", "last words"],
            id="exits-at-once",
        ),
        pytest.param(
            ("FROM {machine}", 'CMD ["/bin/sh", "-c", "echo no sshd today; exit 4"]', "EXPOSE 22"),
            {},
            ["ended with exit code 4", "no sshd today"],
            id="server-exits-at-once",
        ),
        pytest.param(
            images.plain(command='CMD ["/bin/sh", "-c", "echo started; exec sleep infinity"]'),
            {"ready": "echo not yet >&2; false"},
            ["boot.ready", "exited with 1: not yet", "started"],
            id="never-ready",
        ),
        pytest.param(images.NO_SERVER, {"ready": "sleep 60"}, ["did not end within 2 seconds"], id="ready-hangs"),
        pytest.param(
            images.plain(
                "HEALTHCHECK --interval=1s --retries=1 CMD false",
                command='CMD ["/bin/sh", "-c", "echo started; exec sleep infinity"]',
            ),
            {},
            ["health check said 'unhealthy'", "started"],
            id="never-healthy",
        ),
        pytest.param(
            images.plain(
                "HEALTHCHECK --interval=1s CMD false",
                command='CMD ["/bin/sh", "-c", "sleep 1; echo crashed; exit 7"]',
            ),
            {"timeout": 20.0},
            ["ended by itself", "exit code 7", "crashed"],
            id="crashes-while-waited-for",
        ),
        pytest.param(images.plain('RUN ["/bin/rm", "/bin/sh"]'), {}, ["/bin/sh"], id="no-shell"),
        pytest.param(images.NO_SERVER, {"user": "nobody-here"}, ["nobody-here"], id="no-such-user"),
        pytest.param(images.SERVER, {"user": "nobody-here"}, ["no user 'nobody-here'"], id="no-such-user-ssh"),
        pytest.param(images.SERVER, {"user": "nobody", "ssh": "image"}, ["/nonexistent"], id="user-without-home"),
        pytest.param(
            images.server("RUN useradd -m -s /usr/sbin/nologin guest"),
            {"user": "guest"},
            ["account is currently not available"],
            id="user-without-shell",
        ),
        pytest.param(images.NO_SERVER, {"ssh": "image"}, ["no folder '/etc/ssh'"], id="no-server"),
        pytest.param(
            images.configured("PermitRootLogin no"), {"ssh": "image"}, ["does not let 'root' in"], id="root-refused"
        ),
        pytest.param(
            images.with_host_key("rsa"), {"ssh": "image"}, ["nothing that is safe"], id="rsa-host-key"
        ),
        pytest.param(
            ("FROM {machine}", images.STAYS, "EXPOSE 22"),
            {},
            ["no SSH server answered in time"],
            id="server-not-started",
        ),
        pytest.param(images.SERVER, {"port": 2222}, ["no SSH server answered in time"], id="wrong-port"),
        pytest.param(images.NO_SERVER, {"command": ("/no/such/program",)}, ["/no/such/program"], id="no-such-command"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_come_up_says_why_in_time(
    dockyard: Dockyard, boot: Boot, lines: tuple[str, ...], plan: dict[str, Any], said: list[str]
) -> None:
    image = dockyard.build(*lines)
    started = time.monotonic()
    with pytest.raises(BootError) as caught, boot(image, **({"timeout": 2.0} | plan)):
        pass

    told = caught.value.explain()
    assert [words for words in said if words not in told] == []
    assert "Traceback" not in told
    assert time.monotonic() - started < 9
    assert caught.value.hint


def test_an_image_without_a_command_says_so(dockyard: Dockyard, boot: Boot) -> None:
    image = dockyard.build("FROM {plain}", "CMD []")
    with pytest.raises(ImagetestError, match="No command specified"), boot(image):
        pass


def test_the_last_lines_of_a_long_log_are_told(dockyard: Dockyard, boot: Boot) -> None:
    image = dockyard.build(*images.plain(command='CMD ["/bin/sh", "-c", "seq 1000; exit 1"]'))
    with pytest.raises(BootError) as caught, boot(image):
        pass

    assert "    1000" in str(caught.value)
    assert "    900\n" not in str(caught.value)


@pytest.mark.parametrize("lines", [images.NO_SERVER, images.SERVER, images.INIT], ids=["gateway", "sshd", "systemd"])
def test_a_machine_that_dies_is_lost_at_once_and_ever_after(
    dockyard: Dockyard, boot: Boot, driver: DockerDriver, lines: tuple[str, ...]
) -> None:
    with boot(dockyard.build(*lines)) as up:
        assert up.transport is not None
        shell = Shell(up.transport)
        driver._engine.kill(up.instance.id)  # noqa: SLF001 - somebody does
        started = time.monotonic()
        with pytest.raises(MachineLostError):
            shell.run("sleep 30", timeout=30)
        with pytest.raises(MachineLostError):
            Shell(up.transport)

        assert time.monotonic() - started < 3
        assert "exit code 137" in driver.last_words(up.instance.id)


def test_a_check_that_ends_the_machine_loses_it_at_once(dockyard: Dockyard, boot: Boot) -> None:
    lines = images.plain(command='CMD ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]')
    with boot(dockyard.build(*lines)) as up:
        assert up.transport is not None
        started = time.monotonic()
        with pytest.raises(MachineLostError):
            Shell(up.transport).run("kill -TERM 1; sleep 30", timeout=30)

        assert time.monotonic() - started < 5


def test_the_words_of_a_machine_that_is_gone_say_so(driver: DockerDriver) -> None:
    assert "imagetest-test-never" in driver.last_words("imagetest-test-never")


@pytest.mark.usefixtures("unconnected")
def test_without_an_engine_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    driver = DockerDriver()

    with pytest.raises(EngineError, match="no Docker engine answers"):
        driver.identify("web:1", name="web")
    with pytest.raises(LeakError, match="may still be there: no Docker engine answers"):
        driver.destroy("imagetest-test-any")


def test_a_failed_boot_leaves_no_connection_and_no_thread(dockyard: Dockyard, boot: Boot) -> None:
    before = {thread.name for thread in threading.enumerate()}
    for lines in (images.NO_SERVER, images.SERVER):
        with pytest.raises(BootError), boot(dockyard.build(*lines), ready="false", timeout=1.5):
            pass
    time.sleep(0.3)

    assert {thread.name for thread in threading.enumerate()} <= before


def test_a_container_that_is_there_already_is_an_error(
    dockyard: Dockyard, driver: DockerDriver, tmp_path: Path
) -> None:
    image = driver.identify(dockyard.build(*images.NO_SERVER), name="web")
    access = make_access(tmp_path)
    options = {"resource": "imagetest-test-twice", "access": access, "progress": ignore}
    try:
        up = driver.boot(image, BootPlan(), **options)  # type: ignore[arg-type]
        with pytest.raises(EngineError, match="already in use"):
            driver.boot(image, BootPlan(), **options)  # type: ignore[arg-type]
        up.close()
    finally:
        driver.destroy("imagetest-test-twice")


def test_a_host_key_that_is_not_the_pinned_one_is_refused(dockyard: Dockyard, boot: Boot) -> None:
    lines = ("FROM {machine}", SSHD.replace("exec", "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A; exec"))
    with pytest.raises(connection.HostKeyError, match="not the pinned one"), boot(dockyard.build(*lines), ssh="image"):
        pass
