"""Whether a guest really runs is found out by running one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.drivers.qemu import accelerator
from imagetest.errors import ProcessError


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    accelerator.without_kvm.cache_clear()
    yield
    accelerator.without_kvm.cache_clear()


@pytest.mark.qemu
def test_a_guest_that_enters_64_bit_mode_says_so() -> None:
    assert accelerator.reaches_long_mode("tcg", accelerator.EMULATED_CPU)


@pytest.mark.qemu
def test_a_guest_that_cannot_enter_it_does_not() -> None:
    assert not accelerator.reaches_long_mode("tcg", "qemu32")


@pytest.mark.qemu
def test_a_guest_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "GUEST", b"\xeb\xfe")  # it jumps to itself
    clock = time.monotonic()
    ran = accelerator.reaches_long_mode("tcg", accelerator.EMULATED_CPU)

    assert not ran
    assert time.monotonic() - clock >= accelerator.PATIENCE_SECONDS


def test_no_emulator_is_no_acceleration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not accelerator.reaches_long_mode("kvm", "host")


def test_a_machine_without_the_device_emulates_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(accelerator, "DEVICE", str(tmp_path / "kvm"))
    found = accelerator.choose("auto")

    assert (found.name, found.cpu) == ("tcg", accelerator.EMULATED_CPU)
    assert found.reason == f"there is no {tmp_path / 'kvm'}"
    with pytest.raises(ProcessError, match="KVM cannot be used: there is no"):
        accelerator.choose("kvm")


@pytest.mark.parametrize(
    ("runs", "name", "reason"),
    [(True, "kvm", ""), (False, "tcg", "a 64-bit guest does not run on it")],
)
def test_the_device_alone_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, reason: str, *, runs: bool
) -> None:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "DEVICE", str(device))
    monkeypatch.setattr(accelerator, "reaches_long_mode", lambda *_: runs)
    found = accelerator.choose("auto")

    assert found.name == name
    assert found.reason.endswith(reason)


def test_who_asks_for_emulation_is_given_no_reason() -> None:
    assert accelerator.choose("tcg").reason == ""
