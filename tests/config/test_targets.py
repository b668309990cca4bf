"""What --image names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagetest.config.settings import Settings, load
from imagetest.config.targets import resolve, split
from imagetest.errors import ConfigError
from imagetest.model.plan import Cloud

DATA = Path(__file__).parents[1] / "data" / "settings"
TEMPLATE = (DATA / "app.pkr.hcl").read_text()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a folder without a file, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return load(start=tmp_path)


def test_a_configured_image_is_all_that_the_file_says() -> None:
    settings = load(DATA / "good.toml")
    target = resolve("web", settings)
    order = target.order

    assert order is not None
    assert (order.template, order.project) == (DATA / "app.pkr.hcl", DATA)
    assert (order.sources, order.excluded) == (("docker.app",), ("docker.other",))
    assert dict(order.variables) == {
        "version": "1.4.2", "debug": "true", "size": "7", "names": '["a", "b"]', "labels": '{"tier": "front"}',
    }  # fmt: skip
    assert order.var_files == (DATA / "app.pkr.hcl",)
    assert target.plan.command == ("/bin/web", "--port", "80")
    assert dict(target.plan.environment) == {"PORT": "80", "DEBUG": "false"}
    assert target.plan.timeout == 30
    assert (target.profile, target.gate.name, target.implied) == ("baseline", "lax", False)
    assert [path.name for path in target.suites] == ["baseline"]


def test_a_configured_image_that_exists_is_not_baked() -> None:
    target = resolve("old", load(DATA / "good.toml"))

    assert (target.order, target.reference) == (None, "web:7")


def test_a_disk_is_booted_by_the_driver_that_it_names_and_found_from_the_project(tmp_path: Path) -> None:
    file = tmp_path / "imagetest.toml"
    file.write_text("[images.web]\nimage = 'qemu:disks/web.qcow2'\n[images.web.boot.machine]\nfirmware = 'uefi'\n")
    target = resolve("web", load(file))

    assert (target.reference, target.plan.driver) == (str(tmp_path / "disks/web.qcow2"), "qemu")
    assert (target.plan.machine.firmware, target.plan.machine.memory) == ("uefi", 1024)


def test_a_disk_that_nobody_configured_is_called_as_its_file(settings: Settings) -> None:
    target = resolve("qemu:disks/Web.v2.qcow2", settings)

    assert (target.name, target.reference, target.plan.driver) == ("web.v2", "disks/Web.v2.qcow2", "qemu")
    with pytest.raises(ConfigError, match="names no image"):
        resolve("qemu:", settings)


def test_what_is_baked_is_booted_by_the_driver_of_its_kind(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "app.pkr.hcl").write_text(TEMPLATE)

    assert resolve("app.pkr.hcl", settings).plan.driver == "auto"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("debian:bookworm", "debian-bookworm"),
        ("Registry:5000/My/App@sha256:ab", "registry-5000-my-app-sha256-ab"),
        ("...", "image"),
    ],
)
def test_an_image_that_nobody_configured_is_judged_by_the_baseline(
    settings: Settings, reference: str, name: str
) -> None:
    target = resolve(f"docker:{reference}", settings)

    assert (target.name, target.reference, target.order) == (name, reference, None)
    assert (target.profile, target.implied, target.gate.name) == ("baseline", True, "default")
    assert [path.name for path in target.suites] == ["baseline"]


@pytest.mark.parametrize(
    ("name", "called"),
    [("My App.pkr.hcl", "my-app"), ("app.pkr.json", "app"), ("app.json", "app"), ("deep/app.pkr.hcl", "app")],
)
def test_a_template_is_named_by_its_path(settings: Settings, tmp_path: Path, name: str, called: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEMPLATE)
    target = resolve(name, settings)

    assert target.order is not None
    assert (target.name, target.order.template, target.order.project) == (called, path, tmp_path)


def test_a_folder_of_templates_is_one(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.pkr.hcl").write_text(TEMPLATE)
    target = resolve("web", settings)

    assert target.order is not None
    assert target.order.template == tmp_path / "web"
    assert resolve(f"{tmp_path}/web/", settings).name == "web"


def test_a_configured_name_wins_over_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.pkr.hcl").write_text(TEMPLATE)
    monkeypatch.chdir(tmp_path)

    assert resolve("old", load(DATA / "good.toml")).order is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("web", r"--image: unknown image 'web' \(known: none\)"),
        ("docker:", "names no image"),
        ("notes.txt", "'notes.txt' is no Packer template"),
        ("empty", "'empty' is no Packer template"),
        ("", "is no Packer template"),
    ],
)
def test_what_names_nothing_is_a_mistake(settings: Settings, tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match=said) as caught:
        resolve(value, settings)
    assert caught.value.hint


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(ConfigError, match=r"unknown image 'wep'; did you mean 'web'\? \(known: old, web\)"):
        resolve("wep", load(DATA / "good.toml"))


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (("docker.app",), ["web"]),
        (("docker.a", "docker.b"), ["web.a", "web.b"]),
        (("docker.a", "qemu.a"), ["web.docker", "web.qemu"]),
        (("rel.docker.a", "other.docker.a"), ["web.rel-docker-a", "web.other-docker-a"]),
        (("a", "b"), ["web.a", "web.b"]),
    ],
)
def test_each_source_is_an_image_of_its_own(sources: tuple[str, ...], names: list[str]) -> None:
    targets = split(resolve("web", load(DATA / "good.toml")), sources)

    assert [target.name for target in targets] == names
    assert [target.source for target in targets] == list(sources)


def test_a_path_that_is_not_utf_8_is_a_name_all_the_same(settings: Settings, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.pkr.hcl")
    (tmp_path / name).write_text(TEMPLATE)

    assert resolve(name, settings).name == "caf"


def test_an_ami_is_called_by_its_id_and_booted_by_its_driver(settings: Settings) -> None:
    target = resolve("ec2:eu-west-1:ami-0abc1234", settings)

    assert (target.name, target.reference, target.plan.driver) == ("ami-0abc1234", "eu-west-1:ami-0abc1234", "ec2")
    assert resolve("ec2:ami-0abc1234", settings).reference == "ami-0abc1234"


def test_an_ami_is_configured_with_how_its_instances_run(tmp_path: Path) -> None:
    file = tmp_path / "imagetest.toml"
    file.write_text(
        "[images.web]\nimage = 'ec2:ami-0abc1234'\n[images.web.boot.ec2]\nregion = 'eu-west-1'\nspot = true\n"
        "subnets = ['subnet-1', 'subnet-2']\ninbound = ['192.0.2.0/24']\ntags = { team = 'web' }\nlifetime = 30\n"
    )
    target = resolve("web", load(file))

    assert (target.reference, target.plan.driver) == ("eu-west-1:ami-0abc1234", "ec2")
    assert target.plan.ec2 == Cloud(
        spot=True, subnets=("subnet-1", "subnet-2"), inbound=("192.0.2.0/24",), tags=(("team", "web"),), lifetime=30.0
    )  # fmt: skip
