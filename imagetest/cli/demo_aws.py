"""The demo's last chapter: a legacy template makes an AMI, without an account."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imagetest.cli.common import table
from imagetest.errors import EngineError, GateClosedError, StorageError
from imagetest.policy.exit_code import ExitCode

if TYPE_CHECKING:
    from imagetest.testing.aws import AwsWithBodies

IMAGE, CHANNEL, AMI = "gallery", "stable-ami", "debian-12-amd64-20261101"

PROJECT = """[images.{image}]
template = "packer/legacy/legacy.json"
suites = ["packer/legacy/checks"]
variables = {{ apt_settings = {settings} }}

[images.{image}.boot]
user = "admin"

[channels.{channel}.ami]
regions = ["eu-west-1"]
parameter = "/golden/{image}"
"""

INSTALL = """
set -e
printf '%s' "$1" >/etc/apt/apt.conf.d/99-demo
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \\
    dbus iproute2 openssh-server sudo systemd-sysv >/dev/null
rm -rf /etc/apt/apt.conf.d/99-demo /etc/ssh/ssh_host_* /var/lib/apt/lists/*
"""

BASE, SETTINGS = "PKR_VAR_base_image", "PKR_VAR_apt_settings"
"""What scripts/demo says of this machine."""

PLAIN = "debian:bookworm-slim"


def tell(folder: Path) -> None:
    """Bake, boot, check, gate and promote an AMI in a project in a folder.

    Raises ConfigError without moto, GateClosedError when the AMI is not promoted, EngineError when there is no machine
    to bake on.
    """
    from imagetest.config.settings import load
    from imagetest.execute import process
    from imagetest.testing.aws import AwsWithBodies

    typer.echo("\n--- An AMI: the same gallery by a legacy amazon-ebs template, and no account at AWS.\n")
    settings = load(_project(folder) / "imagetest.toml")
    reports = settings.state / "demo" / "ami"
    shutil.rmtree(reports, ignore_errors=True)
    with AwsWithBodies(images={AMI: _base()}, user="admin") as aws:
        code = process.foreground(
            sys.executable, "-m", "pytest", "--tb=short", "--no-header", "-p", "no:cacheprovider",
            "--image", IMAGE, "--promote", CHANNEL, "--report-dir", str(reports),
            cwd=settings.project, env={**os.environ, **aws.environ()},
        )  # fmt: skip
        rows = [[region, *_golden(aws, region)] for region in ("us-east-1", "eu-west-1")]
    typer.echo("")
    table(["REGION", "AMI", f"WHAT /golden/{IMAGE} NAMES"], rows)
    if code != ExitCode.OPEN:
        raise GateClosedError("the AMI was not promoted", hint="the output above says why")


def _golden(aws: AwsWithBodies, region: str) -> tuple[str, str]:
    """Return the images that the account has in a region, and the one that the channel's parameter names."""
    made = aws.client("ec2", region).describe_images(Owners=["self"])["Images"]
    known = aws.client("ssm", region).get_parameters(Names=[f"/golden/{IMAGE}"])["Parameters"]
    return ", ".join(one["ImageId"] for one in made), ", ".join(one["Value"] for one in known) or "nothing"


def _project(folder: Path) -> Path:
    """Write a project around the templates that come with imagetest; what an emulation made before is of no use."""
    from imagetest.config.suites import shipped

    text = PROJECT.format(image=IMAGE, channel=CHANNEL, settings=json.dumps(os.environ.get(SETTINGS, "")))
    try:
        for name in ("legacy", "photoapp"):
            shutil.copytree(shipped("packer") / name, folder / "packer" / name, dirs_exist_ok=True)
        (folder / "imagetest.toml").write_text(text)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    return folder


def _base() -> str:
    """Return a container image with what Debian's AMI has; it is made once and stays."""
    from imagetest.execute import engine

    plain = os.environ.get(BASE) or PLAIN
    with engine.session() as client:
        with engine.translated(f"find {plain!r}"):
            if not client.images(plain):
                client.pull(plain)
            asked: Any = client
            known = str(asked.inspect_image(plain)["Id"]).removeprefix("sha256:")[:12]
            tag = f"imagetest/demo-ami:{known}"
            if client.images(tag):
                return tag
        _install(client, plain, tag)
    return tag


def _install(client: Any, plain: str, tag: str) -> None:
    from imagetest.execute import engine

    typer.echo(f"making {tag} of {plain}: systemd, an SSH server and sudo, as Debian's AMI has")
    with engine.translated(f"make {tag!r}"):
        argv = ["/bin/sh", "-c", INSTALL, "sh", os.environ.get(SETTINGS, "")]
        made = str(client.create_container(plain, argv)["Id"])
        try:
            client.start(made)
            if client.wait(made, timeout=600)["StatusCode"]:
                raise EngineError(f"cannot make {tag!r}: {client.logs(made).decode(errors='replace')[-400:]}")
            repository, _, version = tag.partition(":")
            client.commit(made, repository, version, changes='CMD ["/sbin/init"]')
        finally:
            client.remove_container(made, force=True, v=True)
