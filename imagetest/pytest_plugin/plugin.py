"""The pytest plugin's entry point: options, markers and fixtures; all else is imported only when an image is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from imagetest.model.drift import Drift
    from imagetest.model.snapshot import Snapshot
    from imagetest.pytest_plugin.changes import Changes
    from imagetest.pytest_plugin.throwaways import Factory


COSTLY = ("docker", "requests", "invoke")
"""What a run may do without: Docker's client, and paramiko's way to run `Match exec`, which brings asyncio."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what `pytest --help` shows under imagetest."""
    group = parser.getgroup("imagetest", "imagetest: prove a machine image, promote what passes")
    group.addoption(
        "--image", action="append", default=[], metavar="NAME",
        help="the image to judge: a name of imagetest.toml, a Packer template, docker:REFERENCE, qemu:DISK; repeatable",
    )  # fmt: skip
    group.addoption("--gate", action="store_true", help="let the verdict decide the exit code: 0 open, 1 closed")
    group.addoption(
        "--promote", metavar="CHANNEL", help="promote the image into a channel when the verdict is open; implies --gate"
    )
    group.addoption(
        "--profile", metavar="NAME", help="require the controls of this profile instead of the configured one"
    )
    group.addoption(
        "--keep", choices=("never", "failed", "always"), default="never",
        help="leave the instance up, always or when something failed, and print the ssh command to get in",
    )  # fmt: skip
    group.addoption(
        "--against", action="append", default=[], metavar="ENVIRONMENT",
        help="hold an environment's live hosts against the image, state and checks, changing nothing; may be repeated",
    )  # fmt: skip
    group.addoption(
        "--platform-parity",
        action="store_true",
        help="hold the images of one template against each other, fact by fact",
    )
    group.addoption(
        "--ask-always", action="store_true",
        help="ask the machine for every answer each time, instead of remembering and asking ahead what only looks",
    )  # fmt: skip
    group.addoption(
        "--reuse", action="store_true",
        help="take over the instance that the last run with --reuse left of this image, and leave it up: no proof",
    )  # fmt: skip
    group.addoption("--rebake", action="store_true", help="bake even if nothing changed since the last bake")
    group.addoption(
        "--report-dir", metavar="DIR", help="write the reports into DIR (default: .imagetest/runs/ID, linked as latest)"
    )
    group.addoption("--imagetest-config", metavar="FILE", help="read FILE instead of the closest imagetest.toml")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Install what this process needs: the controller, a worker of pytest-xdist, or a guard where no image is named."""
    config.addinivalue_line("markers", "control(*ids): the test judges these controls of the catalogue")
    config.addinivalue_line("markers", "mutates: the test changes its machine, and gets one of its own")
    told: dict[str, Any] | None = getattr(config, "workerinput", {}).get("imagetest")
    if told is None and not config.option.image:
        from imagetest.pytest_plugin.guard import Guard

        config.pluginmanager.register(Guard(config), "imagetest-guard")
        return
    from imagetest.execute import lazily

    for costly in COSTLY:
        lazily.defer(costly)
    with lazily.uncollected():
        if told is not None:
            from imagetest.pytest_plugin.worker import Worker

            config.pluginmanager.register(Worker(config, told), "imagetest-worker")
        else:
            from imagetest.pytest_plugin.controller import install

            install(config)


@pytest.fixture(scope="module")
def at_rest(host: Host) -> Host:
    """Give the image as it shipped: its files before the first boot, with nothing started and nothing brought in."""
    from testinfra.host import Host as TestinfraHost

    from imagetest.transport.backend import REST, Backend

    if not isinstance(host.backend, Backend):
        pytest.skip("only an image has a state before its first boot: run with --image")
    return TestinfraHost(Backend(host.backend.get_hostname() + REST))


@pytest.fixture
def throwaway(host: Host, pytestconfig: pytest.Config) -> Iterator[Factory]:
    """Give a function that boots one more instance of the image; each is gone when the test is over."""
    from imagetest.pytest_plugin import throwaways

    with throwaways.factory(host, pytestconfig).lent() as factory:
        yield factory


@pytest.fixture
def take_snapshot(host: Host, pytestconfig: pytest.Config) -> Callable[..., Snapshot]:
    """Give a function that returns the state of any machine of this run, with a `Scope` where one is given."""
    from imagetest.pytest_plugin import throwaways

    return throwaways.factory(host, pytestconfig).owner.snapshot


@pytest.fixture
def compare_snapshots(host: Host, pytestconfig: pytest.Config) -> Callable[..., Drift]:
    """Give a function that holds two states against each other and fails the test with every difference in words."""
    from imagetest.pytest_plugin import throwaways

    return throwaways.factory(host, pytestconfig).owner.compare


@pytest.fixture
def changes(host: Host, pytestconfig: pytest.Config) -> Changes:
    """Say what all other checks of this run did to the machine; a test that asks for it runs after them."""
    from imagetest.pytest_plugin.changes import LATER
    from imagetest.transport.backend import Backend

    if not isinstance(host.backend, Backend):
        pytest.skip("only an image's own instance is watched: run with --image")
    controller = pytestconfig.pluginmanager.get_plugin("imagetest-controller")
    if controller is None:
        pytest.skip(LATER)
    found: Changes = controller.changes(host.backend.get_hostname())
    return found
