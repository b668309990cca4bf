"""The command line of a machine, and the firmware that is on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagetest.drivers.qemu import command, firmware
from imagetest.drivers.qemu.accelerator import Accelerator
from imagetest.errors import BootError
from imagetest.model.plan import BootPlan, Hardware

TCG = Accelerator(name="tcg", cpu="Nehalem")


def described(folder: Path, name: str, **changes: object) -> None:
    """Write a description of firmware, and the files that it names."""
    for part in ("code", "vars"):
        (folder / part).write_text(part)
    whole = {
        "interface-types": ["uefi"], "features": ["acpi-s3"],
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "mapping": {
            "device": "flash", "executable": {"filename": str(folder / "code"), "format": "raw"},
            "nvram-template": {"filename": str(folder / "vars"), "format": "raw"},
        },
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(whole | changes))


@pytest.fixture(autouse=True)
def descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "firmware"
    folder.mkdir()
    monkeypatch.setattr(firmware, "DESCRIPTIONS", (tmp_path / "none", folder))
    return folder


def test_a_machine_is_what_its_plan_says(tmp_path: Path) -> None:
    plan = BootPlan(port=2222, network="none", machine=Hardware(cpus=4, memory=512, cpu="max"))
    words = command.line(plan, TCG, tmp_path, "web", ["-key"])
    said = " ".join(words)

    assert "hostfwd=tcp:127.0.0.1:0-:2222,restrict=on" in said
    assert "-accel tcg,thread=multi -cpu max -smp 4 -m 512" in said
    assert "-machine pc " in said
    assert "-key" in words


def test_a_machine_that_is_not_cut_off_reaches_what_this_one_does(tmp_path: Path) -> None:
    said = " ".join(command.line(BootPlan(), Accelerator(name="kvm", cpu="host"), tmp_path, "web", []))

    assert "restrict" not in said
    assert "-accel kvm -cpu host" in said
    assert "hostfwd=tcp:127.0.0.1:0-:22 " in said


def test_no_path_of_a_machine_needs_its_folders_name(tmp_path: Path) -> None:
    said = " ".join(command.line(BootPlan(), TCG, tmp_path, "web", []))

    assert str(tmp_path) not in said


def test_uefi_is_found_by_its_description_and_remembers(descriptions: Path, tmp_path: Path) -> None:
    described(descriptions, "60-plain")
    plan = BootPlan(machine=Hardware(firmware="uefi"))
    said = " ".join(command.line(plan, TCG, tmp_path, "web", []))
    (tmp_path / firmware.VARIABLES).write_text("remembered")
    command.line(plan, TCG, tmp_path, "web", [])

    assert f"readonly=on,file={descriptions / 'code'}" in said
    assert "-machine q35 " in said
    assert (tmp_path / firmware.VARIABLES).read_text() == "remembered"


@pytest.mark.parametrize(
    "changes",
    [
        {"interface-types": ["bios"]}, {"features": ["secure-boot", "enrolled-keys"]}, {"features": ["requires-smm"]},
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]}, {"mapping": {"device": "memory"}},
        {"mapping": {"device": "flash", "executable": {"filename": "/none", "format": "raw"}}},
    ],
    ids=["bios", "secure", "smm", "other", "memory", "gone"],
)  # fmt: skip
def test_firmware_that_is_of_no_use_is_passed_over(
    descriptions: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    described(descriptions, "10-useless", **changes)

    with pytest.raises(BootError, match="no UEFI firmware"):
        firmware.arguments("uefi", tmp_path)
    described(descriptions, "60-plain")
    assert firmware.arguments("uefi", tmp_path)


def test_a_comma_in_a_path_stays_one() -> None:
    assert firmware.escaped("/a,b") == "/a,,b"


def test_an_empty_description_of_a_firmware_hides_another_of_its_name(
    descriptions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /etc an administrator says so (QEMU's docs/interop/firmware.json)."""
    own = tmp_path / "etc"
    own.mkdir()
    monkeypatch.setattr(firmware, "DESCRIPTIONS", (own, descriptions))
    (descriptions / "50-edk2.json").write_text("{")
    (own / "50-edk2.json").write_text("")
    with pytest.raises(BootError, match="no UEFI firmware"):
        firmware.arguments("uefi", tmp_path)


def test_a_description_of_a_firmware_that_cannot_be_read_is_named(descriptions: Path, tmp_path: Path) -> None:
    (descriptions / "50-edk2.json").write_text("{")
    with pytest.raises(BootError, match=r"firmware .*50-edk2\.json cannot be read"):
        firmware.arguments("uefi", tmp_path)
