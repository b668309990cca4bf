"""`imagetest doctor`: what is there, what is missing, and how to get it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from imagetest.cli.common import Config
from imagetest.errors import ImagetestError, InfrastructureError
from imagetest.execute import process

if TYPE_CHECKING:
    from imagetest.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found of one thing."""

    name: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = True


def doctor(*, config: Config = None) -> None:
    """Say what is there, what is missing, and how to get it."""
    from imagetest.config.settings import Settings, load

    answers = list(_libraries())
    settings = Settings(project=Path.cwd())
    try:
        settings = load(config)
        answers.append(Answer(name="configuration", good=True, found=str(settings.file or "none: defaults hold")))
    except ImagetestError as error:
        answers.append(Answer(name="configuration", good=False, found=str(error), remedy=error.hint))
    for examine in (_packer, _docker, _ssh, _qemu, _aws, _mmdebstrap):
        answers += examine()
    answers += _places(settings)
    for one in answers:
        mark = "ok" if one.good else "MISSING" if one.needed else "missing"
        typer.echo(f"{mark:8} {one.name:14} {one.found}")
        if not one.good and one.remedy:
            typer.echo(f"{'':8} {'':14} -> {one.remedy}")
    bad = [one.name for one in answers if not one.good and one.needed]
    if bad:
        raise InfrastructureError(f"not ready: {', '.join(bad)}", hint="the lines marked -> say what to do")
    typer.echo("all that is needed is there")


def _libraries() -> Iterator[Answer]:
    python = ".".join(str(one) for one in sys.version_info[:3])
    yield Answer(name="python", good=sys.version_info >= (3, 11), found=python, remedy="Python 3.11 or newer is needed")
    for name in ("imagetest", "pytest", "pytest-testinfra", "paramiko"):
        yield Answer(name=name, good=True, found=version(name))


def _packer() -> Iterator[Answer]:
    from imagetest.builders.packer.builder import WITHOUT_PLUGINS, PackerBuilder

    builder = PackerBuilder()
    try:
        found = builder.version()
    except ImagetestError as error:
        yield Answer(name="packer", good=False, found=str(error), remedy=error.hint)
        return
    yield Answer(name="packer", good=True, found=f"{found} ({shutil.which('packer')})")
    numbers = [int(one) for one in re.findall(r"\d+", found)[:2]]
    if tuple(numbers) >= WITHOUT_PLUGINS:
        plugins = process.run("packer", "plugins", "installed").stdout
        docker = [line.rpartition("/")[2] for line in plugins.splitlines() if "packer-plugin-docker" in line]
        yield Answer(
            name="packer docker", good=bool(docker), found=", ".join(docker) or "the docker plugin is not installed",
            remedy="packer plugins install github.com/hashicorp/docker",
        )  # fmt: skip


def _docker() -> Iterator[Answer]:
    from imagetest.execute import engine

    try:
        with engine.session() as client, engine.translated("ask the engine what it is"):
            info = client.info()
    except ImagetestError as error:
        yield Answer(name="docker", good=False, found=str(error), remedy=error.hint)
        return
    yield Answer(
        name="docker", good=True,
        found=f"engine {info['ServerVersion']}, cgroup v{info.get('CgroupVersion', '1')}, {info.get('Driver')}",
    )  # fmt: skip
    yield Answer(
        name="docker command", good=shutil.which("docker") is not None, found=shutil.which("docker") or "not installed",
        remedy="Packer's docker builder calls it: apt-get install docker.io, or docker-ce-cli",
    )  # fmt: skip


def _ssh() -> Iterator[Answer]:
    found = shutil.which("ssh")
    yield Answer(
        name="ssh", good=found is not None, needed=False, found=found or "not installed",
        remedy="apt-get install openssh-client; live hosts, and the command that --keep prints, need it",
    )  # fmt: skip


def _qemu() -> Iterator[Answer]:
    from imagetest.drivers.qemu.accelerator import PROGRAM, choose

    programs = (PROGRAM, "qemu-img")
    missing = [one for one in programs if shutil.which(one) is None]
    yield Answer(
        name="qemu", good=not missing, needed=False,
        found=f"not installed: {', '.join(missing)}" if missing else PROGRAM,
        remedy="apt-get install qemu-system-x86 qemu-utils; only virtual machines need it",
    )  # fmt: skip
    if not missing:
        reason = choose("auto").reason
        yield Answer(
            name="kvm", good=not reason, needed=False, found=reason or "a 64-bit guest runs on it",
            remedy="virtual machines are emulated without it, which is slow",
        )  # fmt: skip


def _aws() -> Iterator[Answer]:
    from imagetest.execute import aws

    remedy = f"only AMIs need them; {aws.SIGN_IN}"
    try:
        found, region = aws.credentials(), aws.region()
    except ImagetestError as error:
        yield Answer(name="aws", good=False, needed=False, found=str(error), remedy=error.hint)
        return
    where = f", region {region}" if region else ", no region"
    said = f"credentials by {found}{where}" if found else "no credentials"
    yield Answer(name="aws", good=bool(found), needed=False, found=said, remedy=remedy)


def _mmdebstrap() -> Iterator[Answer]:
    found = shutil.which("mmdebstrap")
    yield Answer(
        name="mmdebstrap", good=found is not None, needed=False, found=found or "not installed",
        remedy="apt-get install mmdebstrap; only scripts/base-image needs it, where no registry can be reached",
    )  # fmt: skip


def _places(settings: Settings) -> Iterator[Answer]:
    from imagetest.config import wiring

    yield _attempt("state folder", str(settings.state), lambda: _write(settings))
    yield _attempt("registry", settings.registry_shown, lambda: wiring.store(settings).check())


def _attempt(name: str, found: str, act: Callable[[], None]) -> Answer:
    try:
        act()
    except ImagetestError as error:
        return Answer(name=name, good=False, found=str(error), remedy=error.hint)
    except OSError as error:
        return Answer(
            name=name, good=False, found=f"{found}: {error.strerror}", remedy="make room or permissions there"
        )
    return Answer(name=name, good=True, found=found)


def _write(settings: Settings) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    probe = settings.state / ".doctor"
    probe.write_bytes(b"imagetest doctor was here\n")
    probe.unlink()
