"""Plugins: an unknown name lists the known; one that fails is an error and never a skip, and so are two of one name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.config import plugins, wiring
from imagetest.config.settings import load
from imagetest.errors import ConfigError, PluginError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder on the path, where a package's metadata can be put."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    plugins._points.cache_clear()  # noqa: SLF001 - what is installed changes only here


def install(folder: Path, package: str, group: str, line: str) -> None:
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[imagetest.{group}]\n{line}\n")
    importlib.invalidate_caches()
    plugins._points.cache_clear()  # noqa: SLF001 - see above


@pytest.mark.parametrize(
    ("noun", "known"),
    [
        ("builders", ["packer"]),
        ("drivers", ["docker", "qemu"]),
        ("promoters", ["docker"]),
        ("reporters", ["document", "html", "junit"]),
    ],
)
def test_what_is_built_in_is_found_and_loads(noun: str, known: list[str]) -> None:
    assert set(known) <= set(plugins.names(noun))
    assert all(plugins.load(noun, name)() is not None for name in known)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        PluginError, match=r"unknown driver 'dokcer'; did you mean 'docker'\? \(known: docker"
    ) as caught:
        wiring.driver("dokcer")

    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("raise RuntimeError('no licence')", "no licence"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("", "Csv"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_an_error(installed: Path, content: str, said: str) -> None:
    (installed / "broken_plugin.py").write_text(content)
    sys.modules.pop("broken_plugin", None)
    install(installed, "broken", "reporters", "csv = broken_plugin:Csv")

    with pytest.raises(PluginError, match=rf"the reporter 'csv' \(broken_plugin:Csv\) cannot be loaded: .*{said}"):
        wiring.reporters()


def test_two_of_one_name_are_an_error(installed: Path) -> None:
    install(installed, "mine", "drivers", "docker = my_plugin:Docker")

    with pytest.raises(PluginError, match="two drivers are called 'docker'") as caught:
        wiring.driver("docker")
    assert "my_plugin:Docker" in str(caught.value)
    assert caught.value.hint


def test_one_that_is_found_twice_on_the_path_is_one(installed: Path) -> None:
    install(installed, "again", "drivers", "docker = imagetest.drivers.docker:DockerDriver")

    assert wiring.driver("docker").name == "docker"


def test_a_driver_of_ones_own_can_be_configured(installed: Path) -> None:
    install(installed, "mine", "drivers", "vm = my_plugin:Vm")
    file = installed / "imagetest.toml"
    file.write_text("[images.web]\nimage = 'docker:x'\n[images.web.boot]\ndriver = 'vm'\n")

    assert load(file).images["web"].boot.driver == "vm"
    file.write_text(file.read_text().replace("'vm'", "'wm'"))
    with pytest.raises(ConfigError, match=r"unknown driver 'wm' \(known: docker, ec2, qemu, vm\)"):
        load(file)
