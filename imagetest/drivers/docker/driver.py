"""The Docker driver: a container from the finished image, reached over SSH on loopback."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import docker
import paramiko

from imagetest.drivers import login, readiness
from imagetest.drivers.docker import images, keys
from imagetest.drivers.docker.execution import ContainerExecutor
from imagetest.drivers.docker.facts import Files, ImageConfig, account, starts_ssh
from imagetest.drivers.docker.host import host_config
from imagetest.drivers.docker.isolation import HOLDER, Isolation
from imagetest.drivers.history import Seen, look_back
from imagetest.errors import BootError, EngineError, LeakError
from imagetest.execute import engine, glance
from imagetest.model.image import Image
from imagetest.model.instance import Address, Boot, Instance
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Event, Progress
from imagetest.transport import connection
from imagetest.transport.gateway import Gateway
from imagetest.transport.shell import Shell

LAST_LINES = 15

HALT = "SIGRTMIN+3"
"""What makes systemd as process 1 shut down (systemd(1))."""

STOP_SECONDS = 10
"""How long a command as process 1 may take to end, as with `docker stop`."""

ANSWER_SECONDS = 5.0
"""How long a container that is up already may take to answer."""

NOT_LET_IN = (connection.HostKeyError, connection.AuthenticationRefusedError, connection.UnsupportedServerError)
"""An SSH server answers and is of no use; what the machine logged would not say more."""


class DockerDriver:
    """Boots one container per instance; the container is called what the lease says."""

    name = "docker"

    def __init__(self) -> None:
        self._isolation = Isolation()
        self._client: docker.APIClient | None = None
        self._connecting = threading.Lock()

    @property
    def _engine(self) -> docker.APIClient:
        with self._connecting:  # commands in several shells may be the first to ask
            if self._client is None:
                self._client = engine.connect()
            return self._client

    def identify(self, reference: str, *, name: str) -> Image:
        """Read the image again. Raises EngineError when it is not there."""
        return images.identify(lambda: self._engine, reference, kind=self.name, name=name)

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        """Boot a container and wait until it is reachable and ready."""
        plan = _from_outside(plan)
        config = self._config(image, plan)
        init = config.init if plan.init == "auto" else plan.init
        notes = self._create(image, plan, config, init, resource)
        own_server, reason = self._invite(plan, config, init, resource, access)
        progress(Event(subject=image.name, text=f"booting {' '.join(config.argv) or 'the image'} ({init})"))
        way = _Way(config=config, init=init, own_server=own_server, notes=(*notes, *reason))
        return self._come_up(image, plan, resource, access, way)

    def restart(self, up: Booted, image: Image, plan: BootPlan, *, access: Access, progress: Progress) -> Booted:
        """Shut a container's process 1 down as the image wants it, start it again and wait until it is ready."""
        resource, init, plan = up.instance.id, up.boot.init, _from_outside(plan)
        if up.transport is not None:
            up.transport.close()
        up.close()
        progress(Event(subject=image.name, text="rebooting"))
        self._shut_down(resource, init, plan.timeout)
        way = _Way(config=self._config(image, plan), init=init, own_server=up.boot.reached_by == "image")
        return self._come_up(image, plan, resource, access, way)

    def attach(self, instance: Instance, boot: Boot, *, image: Image, plan: BootPlan, access: Access) -> Booted:
        """Connect to a container that an earlier run left up; the port that it is published on may have changed."""
        resource = instance.id
        found = glance.read(f"/containers/{resource}/json") or self._inspected(resource)
        if found["Image"] != image.digest:
            raise BootError(f"container {resource!r} was not made from image {image.name!r}")
        if not found["State"]["Running"]:
            raise BootError(f"container {resource!r} does not run any more")
        deadline = time.monotonic() + ANSWER_SECONDS
        if boot.reached_by == "image":
            up = self._by_own_server(image, plan, resource, access, deadline)
        else:
            up = self._by_gateway(image, plan.user, resource, access, deadline=deadline, notes=())
        return replace(up, boot=boot)

    def _inspected(self, resource: str) -> dict[str, Any]:
        with engine.translated(f"look at container {resource!r}"):
            found: dict[str, Any] = self._engine.inspect_container(resource)
        return found

    def _shut_down(self, resource: str, init: str, timeout: float) -> None:
        with engine.translated(f"shut {resource!r} down"):
            if init != "systemd":
                self._engine.stop(resource, timeout=STOP_SECONDS)  # process 1 alone is told, as at a real shutdown
                return
            self._engine.kill(resource, signal=HALT)
        deadline = time.monotonic() + timeout
        while self._state(resource)["Running"]:
            if time.monotonic() >= deadline:
                raise BootError(f"it did not shut down within {timeout:g} seconds; {self.last_words(resource)}")
            time.sleep(connection.PAUSE_SECONDS)

    def _come_up(self, image: Image, plan: BootPlan, resource: str, access: Access, way: _Way) -> Booted:
        """Start a container and wait until it is reachable and ready."""
        started, clock = datetime.now(UTC), time.monotonic()
        self._start(resource)
        config, init, deadline = way.config, way.init, clock + plan.timeout
        try:
            up = self._reach(image, plan, resource, access, own_server=way.own_server, deadline=deadline)
            reachable = time.monotonic() - clock
            notes = way.notes + self._ready(up, plan, config, init, deadline)
        except NOT_LET_IN:
            raise
        except BootError as error:
            raise self._failed(resource, str(error)) from error
        ready = time.monotonic() - clock
        seen = self._look_back(up, plan, init, reachable=reachable, ready=ready)
        boot = replace(
            up.boot,
            driver_version=self._version(),
            command=" ".join(config.argv),
            init=init,
            started=started,
            reachable_seconds=round(reachable, 3),
            ready_seconds=round(ready, 3),
            timeline=seen.timeline,
            attempts=seen.attempts,
            notes=(*notes, *up.boot.notes, *seen.notes),
        )
        return replace(up, boot=boot)

    def _look_back(self, up: Booted, plan: BootPlan, init: str, *, reachable: float, ready: float) -> Seen:
        """Ask an instance that is up how that came about."""
        assert up.transport is not None  # noqa: S101 - this driver always connects
        try:
            shell = Shell(up.transport)
            seen = look_back(shell, init=init, reachable=reachable, ready=ready)
            if plan.network == "none":
                attempts, notes = self._isolation.found(up.instance.id, shell)
                seen = replace(seen, attempts=attempts, notes=notes)
            shell.close()
        except BaseException:
            up.transport.close()
            up.close()
            raise
        return seen

    def _invite(
        self, plan: BootPlan, config: ImageConfig, init: str, resource: str, access: Access
    ) -> tuple[bool, tuple[str, ...]]:
        """Place the run's keys where the image has an SSH server of its own; say whether, and what stood in the way."""
        files = Files(self._engine, resource)
        if _by_gateway_alone(plan) or (plan.ssh == "auto" and not starts_ssh(config, init, files, plan.port)):
            return False, ()
        try:
            keys.place(files, access, plan.user)
        except BootError as error:
            if plan.ssh == "image" or account(files, plan.user) is None:
                raise
            return False, (f"reached by the gateway, because {error}",)
        return True, ()

    def _ready(self, up: Booted, plan: BootPlan, config: ImageConfig, init: str, deadline: float) -> tuple[str, ...]:
        resource = up.instance.id
        try:
            return readiness.wait(
                up, plan, init=init, deadline=deadline, alive=lambda: self._alive(resource),
                health=(lambda: str(self._state(resource)["Health"].get("Status"))) if config.healthcheck else None,
            )  # fmt: skip
        except BaseException:
            if up.transport is not None:
                up.transport.close()
            up.close()
            raise

    def rest(self, image: Image, *, resource: str, access: Access) -> Booted:
        """Hold the image's files in a container that starts nothing of the image's own and has no network."""
        with engine.translated(f"open image {image.name!r} at rest"):
            self._engine.create_container(
                image.reference, [], name=resource, entrypoint=["/bin/sh"], stdin_open=True, user="0",
                healthcheck={"test": ["NONE"]}, labels={engine.LABEL: resource},
                host_config=self._engine.create_host_config(network_mode="none"),
            )  # fmt: skip
            self._engine.start(resource)
        return self._by_gateway(image, "root", resource, access, deadline=time.monotonic() + 30, notes=())

    def destroy(self, resource: str) -> None:
        """Remove a container with its volumes, and what holds its network where it was cut off."""
        self._isolation.forget(resource)
        for name in (resource, resource + HOLDER):
            self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            with engine.translated(f"remove container {name!r}"):
                self._engine.remove_container(name, force=True, v=True)
        except EngineError as error:
            if isinstance(error.__cause__, engine.NotFound) or "already in progress" in str(error):
                return
            raise LeakError(
                f"container {name!r} may still be there: {error}", hint=f"docker rm --force --volumes {name}"
            ) from error

    def discard(self, reference: str) -> None:
        """Remove an image and all its names."""
        images.discard(self._engine, reference)

    def last_words(self, resource: str) -> str:
        """Return the container's state and its last log lines."""
        try:
            with engine.translated(f"read the log of {resource!r}"):
                state = self._state(resource)
                log = self._engine.logs(resource, tail=LAST_LINES).decode(errors="replace").strip()
        except EngineError as error:
            return str(error)
        ended = "" if state["Running"] else f"it ended with exit code {state['ExitCode']}"
        said = (
            "its last log lines:\n" + "\n".join(f"    {line}" for line in log.splitlines())
            if log
            else "it logged nothing"
        )
        return "; ".join(part for part in (ended, said) if part)

    def close(self) -> None:
        """Close the connections to the engine; the next call opens new ones."""
        self._isolation.close()
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _config(self, image: Image, plan: BootPlan) -> ImageConfig:
        with engine.translated(f"read image {image.name!r}"):
            return ImageConfig.read(self._engine.inspect_image(image.reference), plan.command)

    def _create(self, image: Image, plan: BootPlan, config: ImageConfig, init: str, resource: str) -> tuple[str, ...]:
        with engine.translated("ask the engine what it is"):
            settings, notes = host_config(self._engine, init=init, port=None if _by_gateway_alone(plan) else plan.port)
        name: str | None = hostname(image.name)
        if plan.network == "none":
            settings |= self._isolation.settings(self._engine, image, resource, hostname(image.name))
            name = name if settings["network_mode"] == "none" else None  # it has that of what holds its network
        with engine.translated(f"make a container from image {image.name!r}"):
            self._engine.create_container(
                image.reference,
                list(plan.command) or None,
                name=resource,
                hostname=name,
                environment=dict(plan.environment),
                ports=[] if _by_gateway_alone(plan) else [plan.port],
                stdin_open=True,  # a shell as the image's command stays up as long as its input is open
                tty=init == "systemd",  # systemd reports to a console only
                labels={engine.LABEL: resource},
                host_config=self._engine.create_host_config(**settings),
            )
        if plan.command:
            notes = (*notes, f"the image's command was replaced by {' '.join(config.argv)!r}")
        return notes

    def _version(self) -> str:
        with engine.translated("ask the engine for its version"):
            return str(self._engine.version()["Version"])

    def _start(self, resource: str) -> None:
        try:
            with engine.translated(f"start container {resource!r}"):
                self._engine.start(resource)
        except EngineError as error:
            raise BootError(str(error), hint="does the image's command exist in the image?") from error

    def _reach(
        self, image: Image, plan: BootPlan, resource: str, access: Access, *, own_server: bool, deadline: float
    ) -> Booted:
        if not own_server:
            return self._by_gateway(image, plan.user, resource, access, deadline=deadline, notes=())
        try:
            return self._by_own_server(image, plan, resource, access, deadline)
        except NOT_LET_IN as error:
            if plan.ssh == "image":
                raise
            note = f"reached by the gateway, because {error}"
            return self._by_gateway(image, plan.user, resource, access, deadline=deadline, notes=(note,))

    def _by_own_server(self, image: Image, plan: BootPlan, resource: str, access: Access, deadline: float) -> Booted:
        with engine.translated(f"look at container {resource!r}"):
            bindings = self._engine.port(resource, plan.port)
        if not bindings:
            self._alive(resource)
            raise BootError(f"container {resource!r} publishes no port {plan.port}")
        address = Address(
            host="127.0.0.1", port=int(bindings[0]["HostPort"]), user=plan.user,
            host_key=access.host.public, key_file=str(access.key_file),
        )  # fmt: skip
        transport = self._wait(address, resource, deadline)
        typed = login.command(address, access)
        return _booted(image, resource, address, typed, access, transport=transport, reached_by="image")

    def _by_gateway(
        self, image: Image, user: str, resource: str, access: Access, *, deadline: float, notes: tuple[str, ...]
    ) -> Booted:
        executor = ContainerExecutor(lambda: self._engine, resource, user=user)
        gateway = Gateway(executor, host_key=access.host, allowed=access.user.public, user=user)
        try:
            address = Address(
                host="127.0.0.1", port=gateway.port, user=user,
                host_key=access.host.public, key_file=str(access.key_file),
            )  # fmt: skip
            transport = self._wait(address, resource, deadline)
        except BaseException:
            gateway.close()
            raise
        typed = keys.login_through_gateway(resource, user, access)
        up = _booted(image, resource, address, typed, access, transport=transport, reached_by="gateway")
        return replace(up, boot=replace(up.boot, notes=notes), close=gateway.close)

    def _wait(self, address: Address, resource: str, deadline: float) -> paramiko.Transport:
        return connection.wait(address, deadline=deadline, alive=lambda: self._alive(resource))

    def _state(self, resource: str) -> dict[str, Any]:
        state: dict[str, Any] = self._inspected(resource)["State"]
        return state

    def _alive(self, resource: str) -> None:
        if not self._state(resource)["Running"]:
            raise BootError("the container ended by itself")

    def _failed(self, resource: str, reason: str) -> BootError:
        """Say why an image did not come up: that it ended stands before whatever broke because of that."""
        words = self.last_words(resource)
        if self._state(resource)["Running"]:
            hint = "[images.NAME.boot] sets timeout, ready and command"
            return BootError(f"the image did not come up: {reason}; {words}", hint=hint)
        entrypoint = self._inspected(resource)["Config"].get("Entrypoint")
        hint = "it needs a command that stays; try it: docker run IMAGE"
        if entrypoint == ["/bin/sh"]:
            hint = "its entrypoint is /bin/sh, which Packer's docker builder may leave behind: see docs/baking.md"
        return BootError(f"the image did not come up: the container ended by itself; {words}", hint=hint)


def _booted(
    image: Image,
    resource: str,
    address: Address,
    login: str,
    access: Access,
    *,
    transport: paramiko.Transport,
    reached_by: str,
) -> Booted:
    return Booted(
        instance=Instance(id=resource, name=image.name, address=address, login=login),
        boot=Boot(
            driver="docker", reached_by=reached_by, user=address.user, host_key_fingerprint=access.host.fingerprint
        ),
        transport=transport,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What is known of how a container comes up before it is started."""

    config: ImageConfig
    init: str
    own_server: bool
    notes: tuple[str, ...] = ()


def _from_outside(plan: BootPlan) -> BootPlan:
    return replace(plan, ssh="gateway", user="root") if plan.untouched and plan.ssh == "auto" else plan


def _by_gateway_alone(plan: BootPlan) -> bool:
    """Say whether the image's own SSH server is of no use: nobody asked for it, or no way leads to it."""
    return plan.ssh == "gateway" or plan.network == "none"


def hostname(name: str) -> str:
    """Make a host's name of an image's: letters, digits and hyphens, 63 at most (RFC 1123)."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-") or "image"
