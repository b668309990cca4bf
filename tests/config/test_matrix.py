"""An image's matrix: one target for each source and each way to boot it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.config.settings import load
from imagetest.config.targets import Target, resolve_all
from imagetest.errors import ConfigError

EVERYWHERE = """
[images.web]
template = "web.pkr.hcl"
[images.web.boot]
timeout = 30.0
machine.memory = 512
[images.web.on.qemu]
matrix = { "machine.firmware" = ["bios", "uefi"], "machine.cpus" = [1, 2] }
[images.web.on.qemu.boot]
user = "keeper"
sudo = true
[images.web.on."docker.web".boot]
timeout = 9.0
"""
SOURCES = ("docker.web", "qemu.web")


def targets(folder: Path, text: str, sources: tuple[str, ...] = SOURCES) -> dict[str, Target]:
    (folder / "web.pkr.hcl").touch()
    (folder / "imagetest.toml").write_text(text)
    settings = load(folder / "imagetest.toml")
    return {one.name: one for one in resolve_all(["web"], settings, lambda _: sources)}


def test_each_source_is_booted_in_its_own_ways(tmp_path: Path) -> None:
    found = targets(tmp_path, EVERYWHERE)

    assert list(found) == ["web.docker", "web.qemu.bios.1", "web.qemu.bios.2", "web.qemu.uefi.1", "web.qemu.uefi.2"]
    assert {one.family for one in found.values()} == {"web"}
    assert [one.cell for one in found.values()][:2] == ["docker", "qemu.bios.1"]
    docker, machine = found["web.docker"].plan, found["web.qemu.uefi.2"].plan
    assert (docker.user, docker.sudo, docker.timeout) == ("root", False, 9.0)
    assert (machine.user, machine.sudo, machine.timeout) == ("keeper", True, 30.0)
    assert (machine.machine.firmware, machine.machine.cpus, machine.machine.memory) == ("uefi", 2, 512)
    assert {one.source for one in found.values()} == set(SOURCES)


def test_an_image_that_exists_has_a_matrix_as_well(tmp_path: Path) -> None:
    axes = '"machine.firmware" = ["uefi", "bios"]'
    found = targets(tmp_path, f'[images.web]\nimage = "qemu:web.qcow2"\nmatrix = {{ {axes} }}\n')

    assert list(found) == ["web.uefi", "web.bios"]
    assert {one.plan.driver for one in found.values()} == {"qemu"}
    assert len({one.reference for one in found.values()}) == 1


def test_without_a_matrix_the_name_stays_plain(tmp_path: Path) -> None:
    found = targets(tmp_path, '[images.web]\ntemplate = "web.pkr.hcl"\n', ("docker.web",))

    assert [(one.name, one.cell) for one in found.values()] == [("web", "")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('matrix = { "machine.firmwar" = ["bios"] }', "unknown boot setting 'machine.firmwar'; did you mean"),
        ('matrix = { "command" = ["sh"] }', "unknown boot setting 'command'"),
        ('matrix = { "machine.firmware" = ["bios", "mbr"] }', "got 'mbr': should be 'bios' or 'uefi'"),
        ('matrix = { "machine.cpus" = [] }', "at least 1 item"),
        ('matrix = { "user" = ["a b", "a-b"] }', "two of 'a b', 'a-b' would have one name"),
        ('on.qemu.matrix = { "x" = [1] }', "unknown boot setting 'x'"),
        ("on.qemu.boot.machine.firmwar = 1", "unknown setting 'firmwar'; did you mean 'firmware'?"),
        ("on.qemu.boots = 1", "unknown setting 'boots'; did you mean 'boot'?"),
    ],
)
def test_mistakes_are_said_when_the_file_is_read(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        targets(tmp_path, f'[images.web]\ntemplate = "web.pkr.hcl"\n{lines}\n')

    assert said in str(caught.value)
    assert "line 3" in str(caught.value) or "images.web" in str(caught.value)


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown source 'quemu'; did you mean 'qemu'\?"):
        targets(tmp_path, '[images.web]\ntemplate = "web.pkr.hcl"\non.quemu.boot.user = "a"\n')


def test_a_matrix_that_nobody_can_boot_is_refused(tmp_path: Path) -> None:
    axes = f'"machine.cpus" = {list(range(1, 33))}, "machine.memory" = [512, 1024, 2048]'
    with pytest.raises(ConfigError, match="has 96 cells, 64 at most"):
        targets(tmp_path, f'[images.web]\nimage = "qemu:web.qcow2"\nmatrix = {{ {axes} }}\n')


def test_a_gate_cannot_require_cells_of_an_image_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gates\.default\.matrix: image 'web' has neither a template nor a matrix"):
        targets(tmp_path, '[images.web]\nimage = "docker:web"\n[gates.default]\nmatrix = ["all"]\n')
