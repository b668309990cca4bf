"""The demo's templates: both bake, both give the same image, and that image boots and serves.

Real bakes with this machine's Packer; what was made is looked at with plain `docker`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.packer
MADE_BY_DOCKER = (".dockerenv", "dev", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys")
GET = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:%d%s').read().decode(), end='')"
TEMPLATES = Path(__file__).parents[2] / "packer" / "photoapp"
HCL, JSON = TEMPLATES / "photoapp.pkr.hcl", TEMPLATES / "photoapp.json"
LABEL = "imagetest-test=1"
SYSTEMD = ("--cgroupns=private", "--cap-add=SYS_ADMIN", "--tmpfs=/run", "--tmpfs=/run/lock")

Bake = Callable[..., str]
Boot = Callable[..., str]


def run(*argv: str, check: bool = True) -> str:
    """Return what a program printed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=240)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def base_image() -> str:
    """Return the image to bake from: the one that scripts/test found or made, else the templates' own."""
    return os.environ.get("PKR_VAR_base_image", "debian:bookworm-slim")  # noqa: SIM112 # the name is Packer's


@pytest.fixture(scope="module")
def bake(base_image: str) -> Iterator[Bake]:
    """Return a function that bakes a template and returns the image's digest; each image is removed in the end."""
    images: list[str] = []

    def bake(template: Path, **variables: str) -> str:
        given = {"base_image": base_image, "pull": "false", **variables}
        options = [f"-var={name}={value}" for name, value in given.items()]
        told = run("packer", "build", "-machine-readable", *options, str(template))
        (image,) = [
            fields[5]
            for fields in (row.split(",") for row in told.splitlines())
            if fields[2:5] == ["artifact", "0", "id"]
        ]
        images.append(image)
        return image

    yield bake
    for image in images:
        run("docker", "rmi", "--force", image)


@pytest.fixture
def boot() -> Iterator[Boot]:
    """Return a function that boots an image until systemd has settled, and returns the container."""
    containers: list[str] = []

    def boot(image: str, **environment: str) -> str:
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        container = run("docker", "run", "--detach", "--label", LABEL, *SYSTEMD, *variables, image)
        containers.append(container)
        deadline = time.monotonic() + 60
        while run("docker", "exec", container, "systemctl", "is-system-running", check=False) not in {
            "running",
            "degraded",
        }:
            assert time.monotonic() < deadline, run("docker", "logs", "--tail=20", container)
            time.sleep(0.2)
        return container

    yield boot
    for container in containers:
        run("docker", "rm", "--force", "--volumes", container)


@pytest.fixture(scope="module")
def image(bake: Bake) -> str:
    return bake(HCL, version="7")


def get(container: str, path: str, port: int = 8080) -> str:
    return run("docker", "exec", container, "python3", "-c", GET % (port, path))


def contents(image: str, into: Path) -> dict[str, tuple[str, ...]]:
    """Return every file of an image: its kind, mode, owner and what it holds."""
    container = run("docker", "create", "--label", LABEL, image)
    try:
        run("docker", "export", "--output", str(into), container)
    finally:
        run("docker", "rm", "--volumes", container)
    return dict(_entries(into))


def _entries(archive: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    with tarfile.open(archive) as tar:
        for entry in tar:
            if not any(entry.name == name or entry.name.startswith(f"{name}/") for name in MADE_BY_DOCKER):
                reader = tar.extractfile(entry) if entry.isreg() else None
                held = hashlib.sha256(reader.read()).hexdigest() if reader else entry.linkname
                yield entry.name, (str(entry.type), oct(entry.mode), f"{entry.uid}:{entry.gid}", held)


@pytest.mark.parametrize("template", [HCL, JSON], ids=["hcl", "json"])
def test_a_template_is_valid_as_it_stands(template: Path) -> None:
    run("packer", "validate", str(template))


def test_both_templates_bake_the_same_image_whatever_apt_was_told(image: str, bake: Bake, tmp_path: Path) -> None:
    twin = bake(JSON, version="7", apt_settings='Acquire::Retries "1"; Acquire::http::Timeout "30";')
    one, other = contents(image, tmp_path / "one.tar"), contents(twin, tmp_path / "other.tar")
    settings = [json.loads(run("docker", "inspect", "--format={{json .Config}}", made)) for made in (image, twin)]

    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == set()
    for kept in ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "User", "WorkingDir"):
        assert settings[0].get(kept) == settings[1].get(kept), kept


def test_the_image_starts_systemd_and_says_what_it_is(image: str) -> None:
    settings = json.loads(run("docker", "inspect", "--format={{json .Config}}", image))

    assert not any(settings.get("Entrypoint") or [])
    assert settings["Cmd"] == ["/sbin/init"]
    assert settings["ExposedPorts"].keys() == {"22/tcp", "8080/tcp"}
    assert settings["Labels"]["org.opencontainers.image.version"] == "7"


def test_the_bake_leaves_nothing_of_itself_behind(image: str, tmp_path: Path) -> None:
    files = contents(image, tmp_path / "image.tar")
    emptied = ("tmp/", "var/tmp/", "var/log/", "var/lib/apt/lists/", "var/cache/apt/", "packer-files", "mnt/")
    regular = str(tarfile.REGTYPE)

    assert [name for name, (kind, *_) in files.items() if name.startswith(emptied) and kind == regular] == []
    assert [name for name in files if name.startswith(("etc/ssh/ssh_host_", "etc/photoapp", "packer-files"))] == []
    assert files["etc/machine-id"][-1] == hashlib.sha256().hexdigest()


def test_the_image_boots_and_serves(image: str, boot: Boot) -> None:
    container = boot(image)

    assert run("docker", "exec", container, "systemctl", "is-system-running") == "running"
    assert run("docker", "exec", container, "systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""
    assert get(container, "/healthz") == "ok"
    assert get(container, "/").count("<img ") == 5


def test_two_machines_have_host_keys_and_ids_of_their_own(image: str, boot: Boot) -> None:
    identities = [
        run("docker", "exec", boot(image), "cat", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/machine-id")
        for _ in range(2)
    ]

    assert not set(identities[0].splitlines()) & set(identities[1].splitlines())


def test_what_differs_between_environments_comes_at_boot(image: str, boot: Boot) -> None:
    container = boot(image, PHOTOAPP_TITLE="Staging & friends", PHOTOAPP_PORT="9090")
    from_container = get(container, "/", 9090)
    setting = "mkdir -p /etc/photoapp && echo PHOTOAPP_TITLE=Production >/etc/photoapp/photoapp.env"
    run("docker", "exec", container, "sh", "-c", f"{setting} && systemctl restart photoapp.service")

    assert "<h1>Staging &amp; friends</h1>" in from_container
    assert "<h1>Production</h1>" in get(container, "/", 9090)


@pytest.mark.parametrize(
    ("breakage", "question", "answers"),
    [
        (
            "permits-root-login",
            "mkdir -p /run/sshd && ssh-keygen -A >/dev/null && sshd -T | grep ^permitrootlogin",
            ("permitrootlogin no", "permitrootlogin yes"),
        ),
        ("leaves-a-private-key", "find /root -name 'id_*'", ("", "/root/.ssh/id_ed25519")),
        ("does-not-serve", "systemctl is-enabled photoapp.service", ("enabled", "disabled")),
    ],
)
def test_a_breakage_breaks_what_it_says(
    image: str, bake: Bake, breakage: str, question: str, answers: tuple[str, str]
) -> None:
    ask = ("docker", "run", "--rm", "--label", LABEL, "--network=none", "--entrypoint=sh")
    broken = bake(HCL, breakage=breakage)

    assert tuple(run(*ask, made, "-c", question, check=False) for made in (image, broken)) == answers


def test_an_unknown_breakage_is_refused_before_anything_is_baked() -> None:
    assert "The breakage is none, " in run("packer", "validate", "-var=breakage=typo", str(HCL), check=False)


def test_the_pictures_are_what_the_script_draws(tmp_path: Path) -> None:
    run("python3", str(HCL.parent / "draw.py"), str(tmp_path))
    shipped = HCL.parent / "files" / "opt" / "photoapp" / "photos"

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: path.read_text() for path in shipped.iterdir()
    }
