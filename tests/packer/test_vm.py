"""The template of a disk, baked as it ships and looked at before its first boot."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.builders.packer import PackerBuilder
from imagetest.drivers.qemu import QemuDriver
from imagetest.errors import BakeError
from imagetest.execute import keys
from imagetest.model.plan import BakeOrder
from imagetest.ports import Artifact
from imagetest.testing.contracts import ask, ignore, make_access
from tests.drivers.qemu.conftest import base_disk

__all__ = ["base_disk"]

TEMPLATE = Path(__file__).parents[2] / "packer" / "vm" / "vm.pkr.hcl"

RESOURCE = "imagetest-test-vm-rest"

pytestmark = [pytest.mark.packer, pytest.mark.qemu]


@pytest.fixture(scope="module")
def order(base_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> BakeOrder:
    folder = tmp_path_factory.mktemp("vm")
    pair = keys.generate()
    variables = {
        "base_disk": str(base_disk),
        "key_file": str(pair.write(folder / "key")),
        "key_credential": base64.b64encode(f"{pair.public}\n".encode()).decode(),
        "output": "output",
    }
    return BakeOrder(name="vm", template=TEMPLATE, project=folder, variables=tuple(variables.items()))


def bake(order: BakeOrder) -> Artifact:
    (made,) = PackerBuilder().build(
        order, ["qemu.vm"], log=order.project / "bake.log", secrets=(), progress=ignore,
        claim=lambda _kind, _name: None,
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def made(order: BakeOrder) -> Artifact:
    return bake(order)


@pytest.fixture
def driver() -> Iterator[QemuDriver]:
    driver = QemuDriver()
    yield driver
    driver.destroy(RESOURCE)


def test_what_is_baked_is_a_disk_and_known_by_its_content(order: BakeOrder, made: Artifact, driver: QemuDriver) -> None:
    found = driver.identify(made.reference, name="vm")

    assert made == Artifact(source="qemu.vm", kind="qemu", reference=str(order.project / "output" / "disk.qcow2"))
    assert found.digest != driver.identify(dict(order.variables)["base_disk"], name="base").digest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest")
def test_nothing_that_lets_somebody_in_is_on_the_disk(made: Artifact, driver: QemuDriver, tmp_path: Path) -> None:
    image = driver.identify(made.reference, name="vm")
    up = driver.rest(image, resource=RESOURCE, access=make_access(tmp_path / "keys"))
    found = ask(up, "cat /srv/greeting; ls /root/.ssh /etc/ssh/ssh_host_* 2>/dev/null; cat /etc/machine-id")
    if up.transport is not None:
        up.transport.close()
    up.close()

    assert found[1] == b"served by a machine\n"


def test_nothing_is_baked_over_a_disk(order: BakeOrder, made: Artifact) -> None:
    before = Path(made.reference).stat()

    with pytest.raises(BakeError, match="Output directory") as caught:
        bake(order)
    assert "nothing is baked over it" in caught.value.hint
    assert Path(made.reference).stat() == before


def test_all_that_it_depends_on_is_known(order: BakeOrder) -> None:
    (found,) = PackerBuilder().ingredients(order)

    assert found.unknown == ()
    assert found.base == dict(order.variables)["base_disk"]
