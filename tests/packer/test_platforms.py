"""The gallery's template as a whole: the same scripts for a container and a machine, and one more for the latter."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

from imagetest.builders.packer import PackerBuilder
from imagetest.config.settings import load
from imagetest.config.targets import resolve_all
from imagetest.model.plan import BakeOrder

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packer" / "photoapp"


def scripts(template: str) -> list[str]:
    return re.findall(r"provision/(\w+)\.sh", (FOLDER / template).read_text())


def test_the_folder_bakes_both_and_the_file_alone_a_container() -> None:
    builder = PackerBuilder()

    def sources(template: Path) -> set[str]:
        return set(builder.sources(BakeOrder(name="gallery", template=template, project=ROOT)))

    assert sources(FOLDER) == {"docker.photoapp", "qemu.photoapp"}
    assert sources(FOLDER / "photoapp.pkr.hcl") == {"docker.photoapp"}


def test_a_machine_is_made_by_the_same_scripts_and_one_more() -> None:
    machine = scripts("machines.pkr.hcl")

    assert [name for name in machine if name != "account"] == scripts("photoapp.pkr.hcl")
    assert {*machine} == {path.stem for path in (FOLDER / "provision").glob("*.sh")}


def test_the_ami_is_made_by_the_scripts_of_a_machine_and_stands_apart_until_it_is_laid_beside() -> None:
    assert scripts("amazon/photoapp-ami.pkr.hcl") == scripts("machines.pkr.hcl")
    assert not [path for path in FOLDER.glob("*.pkr.hcl") if "amazon" in path.read_text()]


def test_the_three_are_one_image_with_a_way_in_each(tmp_path: Path) -> None:
    template = tmp_path / "packer" / "photoapp"
    shutil.copytree(FOLDER, template)
    for path in (template / "amazon").glob("*.pkr.hcl"):
        path.rename(template / path.name)
    added = (FOLDER / "amazon" / "added.toml").read_text()
    (tmp_path / "imagetest.toml").write_text((ROOT / "imagetest.toml").read_text() + added)
    targets = resolve_all(["gallery"], load(tmp_path / "imagetest.toml"), PackerBuilder().sources)

    assert {target.name: (target.plan.user, target.plan.sudo) for target in targets} == {
        "gallery.docker": ("root", False), "gallery.qemu": ("keeper", True), "gallery.amazon-ebs": ("admin", True),
    }  # fmt: skip


def test_each_is_reached_in_its_own_way() -> None:
    targets = resolve_all(["gallery"], load(ROOT / "imagetest.toml"), PackerBuilder().sources)
    plans = {target.name: target.plan for target in targets}

    assert {name: (plan.user, plan.sudo) for name, plan in plans.items()} == {
        "gallery.docker": ("root", False), "gallery.qemu": ("keeper", True),
    }  # fmt: skip


def test_whatever_may_differ_has_a_reason_of_its_own() -> None:
    allowed = tomllib.loads((FOLDER / "platforms.toml").read_text())["allow"]

    assert all(len(one["reason"]) > len("the keeper's") for one in allowed)
    assert not [one for one in allowed if one["pattern"].startswith(("packages:", "files:/etc/sysctl", "sshd:", "*"))]
