"""What recorded consoles and firmware logs are recognised as."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.drivers.console import LAST_LINES, last_lines
from imagetest.drivers.qemu import console
from imagetest.drivers.qemu.traffic import Traffic

DATA = Path(__file__).parent / "data"
UP = (DATA / "up.console").read_text()
STARTING = "A start job is running for something (1min / no limit)"
UNSAID = "and its console does not say that it has come up"


def recorded(name: str) -> str:
    return (DATA / name).read_bytes().decode(errors="replace")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("panic.console", "its kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)"),
        ("initramfs.console", "it does not find its root file system"),
        ("emergency.console", "it stopped in systemd's emergency shell"),
        ("uefi-nothing.console", "there is nothing on its disk that the firmware could boot"),
    ],
)
def test_a_console_tells_why_there_is_no_use_in_waiting(name: str, reason: str) -> None:
    found = console.dead(recorded(name))

    assert found is not None
    assert found.reason.startswith(reason)


def test_a_firmware_tells_that_it_found_nothing_to_boot() -> None:
    found = console.dead("", recorded("nothing.firmware"))

    assert found is not None
    assert found.reason == "there is nothing on its disk that the firmware could boot"
    assert "boot loader" in found.hint


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("GRUB loading.\n\nerror: no such partition.\nEntering rescue mode...\ngrub rescue> ", id="grub"),
        pytest.param("SYSLINUX 6.04\nNo DEFAULT or UI configuration directive found!\nboot: ", id="syslinux"),
        pytest.param("SYSLINUX 6.04\nLoading /vmlinuz... failed!\nboot: ", id="kernel"),
    ],
)  # fmt: skip
def test_a_boot_loader_without_a_system_is_recognised_by_its_prompt(said: str) -> None:
    found = console.dead(said)

    assert found is not None
    assert found.reason == "its boot loader finds no system to start"


def test_a_prompt_that_may_count_down_is_the_end_only_once_nothing_more_is_said() -> None:
    said = "SYSLINUX 6.04\nboot: "

    assert console.dead(said, silent=5.0) is None
    assert console.dead(f"{said}\nLinux version 6.1", silent=90.0) is None
    assert console.dead(said, silent=90.0) == console.Trouble(reason="its boot loader finds no system to start")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[!!!!!!] Failed to mount API filesystems.\n", "its systemd gave up: Failed to mount API filesystems."),
        ("[    3.1] systemd[1]: Freezing execution.\n", "its systemd gave up"),
        (
            "!!!! X64 Exception Type - 0D(#GP - General Protection)  CPU Apic ID - 00000000 !!!!",
            "its firmware crashed: X64 Exception Type - 0D(#GP - General Protection)  CPU Apic ID - 00000000 !!!!",
        ),
        ("dracut:/# ", "it does not find its root file system and stopped in the emergency shell of its initial one"),
    ],
)
def test_what_nothing_goes_on_from_is_recognised(said: str, reason: str) -> None:
    found = console.dead(said)

    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize("name", ["up.console", "up.firmware"])
def test_a_machine_that_comes_up_is_not_given_up(name: str) -> None:
    assert console.dead(recorded(name)) is None


@pytest.mark.parametrize(
    ("said", "traffic", "reason"),
    [
        (UP, Traffic(addressed=True, refused=True), "it has a network and no SSH server listens within 60 seconds"),
        (UP, Traffic(addressed=True), "it has a network and its SSH server does not answer within 60 seconds"),
        (UP, Traffic(), "it came up without a network within 60 seconds"),
        (
            UP,
            Traffic(elsewhere="192.168.1.50"),
            "it has the address 192.168.1.50, which is not of the network that it was given, within 60 seconds",
        ),
        (
            STARTING,
            Traffic(addressed=True, refused=True),
            f"it has a network and no SSH server listens within 60 seconds, {UNSAID}",
        ),
        ("", Traffic(addressed=True, refused=True), "it has a network and no SSH server listens within 60 seconds"),
        ("Loading...", Traffic(), "it was still booting after 60 seconds"),
        ("", Traffic(), "it was still booting after 60 seconds"),
    ],
)
def test_a_machine_that_runs_and_is_not_reached_is_told_apart(said: str, traffic: Traffic, reason: str) -> None:
    assert console.unreachable(said, "", traffic, seconds=60).reason == reason


def test_what_is_fatal_stands_before_what_follows_from_it() -> None:
    found = console.unreachable(recorded("emergency.console"), "", Traffic(), seconds=60)

    assert "emergency" in found.reason


def test_a_silent_console_has_a_hint_of_its_own() -> None:
    assert "console=ttyS0" in console.unreachable("\x1b[2J", "", Traffic(), seconds=60).hint
    assert "console=ttyS0" not in console.unreachable("words", "", Traffic(), seconds=60).hint


@pytest.mark.parametrize("said", ["web login: ", "[  OK  ] Reached target \x1b[0;1;39mMulti-User System\x1b[0m."])
def test_a_machine_is_up_where_somebody_could_log_in(said: str) -> None:
    assert console.is_up(f"Debian GNU/Linux 12\n\n\x1b[0m{said}")
    assert not console.is_up("Starting getty: no web login: yet\n[  OK  ] Reached target Basic System.")


def test_the_last_lines_obey_no_terminal_and_are_few() -> None:
    shown = last_lines("".join(f"\x1b[31mline {number}\x1b[0m\x07\r\n\n" for number in range(40)) + "x" * 900)

    assert shown.splitlines()[0] == "its last console lines:"
    assert shown.splitlines()[1].strip() == "line 26"
    assert len(shown.splitlines()) == LAST_LINES + 1
    assert max(map(len, shown.splitlines())) <= 204
    assert not set(shown) & {"\x1b", "\x07", "\r"}


def test_a_console_that_said_nothing_is_said_so() -> None:
    assert last_lines("\x1b[2J\r\n \n") == "its serial console said nothing"
