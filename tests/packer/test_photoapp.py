"""The demo's templates: both bake, both give the same image, and that image boots and serves.

Real bakes with this machine's Packer; what was made is looked at with plain `docker`.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packer.machine import HCL, JSON, LABEL, TEMPLATES, Bake, Boot, run

pytestmark = [pytest.mark.packer, pytest.mark.usefixtures("packer")]

MADE_BY_DOCKER = (".dockerenv", "dev", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys")
GET = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:%d%s').read().decode(), end='')"


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
def test_a_breakage_breaks_what_it_says(image: str, breakage: str, question: str, answers: tuple[str, str]) -> None:
    spoil = f"--volume={TEMPLATES / 'provision' / 'spoil.sh'}:/mnt/spoil.sh:ro"
    ask = ("docker", "run", "--rm", "--label", LABEL, "--network=none", spoil)

    assert answers == tuple(
        run(*ask, f"--env=BREAKAGE={chosen}", image, "sh", "-c", f"sh /mnt/spoil.sh && {question} || true")
        for chosen in ("none", breakage)
    )


def test_the_breakage_reaches_the_bake(bake: Bake) -> None:
    broken = bake(JSON, breakage="does-not-serve")
    state = ("systemctl", "is-enabled", "--root=/", "photoapp.service")

    assert run("docker", "run", "--rm", "--label", LABEL, broken, *state, check=False) == "disabled"


def test_an_unknown_breakage_is_refused_before_anything_is_baked() -> None:
    assert "The breakage is none, " in run("packer", "validate", "-var=breakage=typo", str(HCL), check=False)


def test_the_pictures_are_what_the_script_draws(tmp_path: Path) -> None:
    run("python3", str(TEMPLATES / "draw.py"), str(tmp_path))
    shipped = TEMPLATES / "files" / "opt" / "photoapp" / "photos"

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: path.read_text() for path in shipped.iterdir()
    }
