"""What the tests of the templates do with this machine's Packer and Docker."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "packer" / "photoapp"
HCL, JSON = TEMPLATES / "photoapp.pkr.hcl", TEMPLATES / "photoapp.json"
LABEL = "imagetest-test=1"
WRITABLE_CGROUPS_SINCE = 28

Bake = Callable[..., str]
Boot = Callable[..., str]


def run(*argv: str, check: bool = True) -> str:
    """Return what a program printed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=240)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


def given(name: str, default: str) -> str:
    """Return a variable of the templates as scripts/test found it."""
    return os.environ.get(f"PKR_VAR_{name}", default)


def bake(template: Path, **variables: str) -> str:
    """Bake a template and return the image's digest."""
    known = {"base_image": given("base_image", "debian:bookworm-slim"), "pull": "false"}
    known["apt_settings"] = given("apt_settings", "") + variables.pop("apt_settings", "")
    options = [f"-var={name}={value}" for name, value in (known | variables).items()]
    rows = [row.split(",") for row in run("packer", "build", "-machine-readable", *options, str(template)).splitlines()]
    (image,) = [row[5] for row in rows if row[2:5] == ["artifact", "0", "id"]]
    return image


def boot(image: str, **environment: str) -> str:
    """Boot an image and return the container."""
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    return run("docker", "run", "--detach", "--label", LABEL, *_for_systemd(), *variables, image)


def settle(container: str) -> None:
    """Wait until systemd has nothing left to start."""
    deadline = time.monotonic() + 60
    while run("docker", "exec", container, "systemctl", "is-system-running", check=False) not in {
        "running",
        "degraded",
    }:
        assert time.monotonic() < deadline, run("docker", "logs", "--tail=20", container)
        time.sleep(0.2)


def _for_systemd() -> list[str]:
    """Return what systemd as process 1 needs of this Docker daemon."""
    cgroups, _, version = run("docker", "info", "--format={{.CgroupVersion}} {{.ServerVersion}}").partition(" ")
    right = "--cap-add=SYS_ADMIN"
    if cgroups == "2":
        modern = int(version.partition(".")[0]) >= WRITABLE_CGROUPS_SINCE
        right = "--security-opt=writable-cgroups=true" if modern else "--privileged"
    return ["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", right]
