"""Why a boot fails, recognised by what serial consoles and firmware are known to print."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imagetest.drivers.console import text
from imagetest.drivers.qemu.traffic import Traffic

NO_SYSTEM = "its boot loader finds no system to start"

LOST_LOADER = (
    r"^Entering rescue mode\.\.\.|^grub(?: rescue)?> ?$|"  # GRUB
    r"Could not find kernel image|No DEFAULT or UI|^Loading .* ?failed"  # SYSLINUX
)

LOST_INITRD = (
    r"^\(initramfs\) ?$|Gave up waiting for root|ALERT! .* does not exist|"  # initramfs-tools
    r"^dracut:\S* ?# ?$|Entering emergency mode\. Exit the shell"  # dracut
)

DEAD = (
    (
        r"No bootable device|BdsDxe: No bootable option|UEFI Interactive Shell|EFI Shell version",
        "there is nothing on its disk that the firmware could boot",
        "is machine.firmware what the disk was made for? has its bake installed a boot loader?",
    ),
    (LOST_LOADER, NO_SYSTEM, ""),
    (r"Kernel panic - not syncing: ?([^\n]*)", "its kernel panicked", ""),
    (r"(X64 Exception Type - [^\n]*)", "its firmware crashed", "does another machine.firmware boot it?"),
    (r"\[!!!!!!\] ([^\n]*)|systemd\[1\]: Freezing execution", "its systemd gave up", ""),
    (
        LOST_INITRD,
        "it does not find its root file system and stopped in the emergency shell of its initial one",
        "does the kernel's root= name a file system that is on the disk?",
    ),
    (
        r"You are in (?:emergency|rescue) mode|(?:password|Enter) for maintenance|Cannot open access to console",
        "it stopped in systemd's emergency shell",
        "does /etc/fstab name a file system that is not on the disk?",
    ),
)
"""A pattern of what is printed, what that means and what to look at: no machine goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a machine does not come up."""

    reason: str
    hint: str = ""


PROMPT = re.compile(r"^boot: ?\Z", re.MULTILINE)
"""Where SYSLINUX waits for somebody to type: for a while only, where its TIMEOUT says so."""

PROMPT_SECONDS = 60.0
"""How long a console is to have said nothing more before a prompt is taken for the end."""


def dead(console: str, firmware: str = "", *, silent: float = 0.0) -> Trouble | None:
    """Return why there is no use in waiting any longer; None where there is.

    `silent` are the seconds for which the console has said nothing more.
    """
    if silent >= PROMPT_SECONDS and PROMPT.search(text(console)):
        return Trouble(reason=NO_SYSTEM)
    said = text(firmware) + "\n" + text(console)
    for pattern, reason, hint in DEAD:
        found = re.search(pattern, said, re.MULTILINE)
        if found is not None:
            detail = next((one.strip() for one in found.groups() if one), "")
            return Trouble(reason=f"{reason}: {detail}" if detail else reason, hint=hint)
    return None


def unreachable(console: str, firmware: str, traffic: Traffic, *, seconds: float) -> Trouble:
    """Return why a machine that runs was not reached in time."""
    found = dead(console, firmware)
    if found is not None:
        return found
    within = f"within {seconds:.0f} seconds"
    if traffic.refused or traffic.addressed:
        return _unanswered(console, refused=traffic.refused, within=within)
    if traffic.elsewhere:
        return Trouble(
            reason=f"it has the address {traffic.elsewhere}, which is not of the network that it was given, {within}",
            hint="does it ask for its address by DHCP? one that was baked in leads nowhere else",
        )
    if is_up(console):
        return Trouble(
            reason=f"it came up without a network {within}",
            hint="does it bring up whatever interface there is, by DHCP? its name may differ from where it was baked",
        )
    hint = "[images.NAME.boot] sets timeout"
    if not text(console).strip():
        hint = f"{hint}; a kernel that is to say how far it gets needs console=ttyS0 on its command line"
    return Trouble(reason=f"it was still booting after {seconds:.0f} seconds", hint=hint)


def _unanswered(console: str, *, refused: bool, within: str) -> Trouble:
    """Return why the SSH server of a machine with a network did not answer."""
    said = "no SSH server listens" if refused else "its SSH server does not answer"
    if text(console).strip() and not is_up(console):
        return Trouble(
            reason=f"it has a network and {said} {within}, and its console does not say that it has come up",
            hint="what does it still wait for? [images.NAME.boot] sets timeout",
        )
    hint = "does a firewall in it drop what comes? [images.NAME.boot] sets timeout"
    if refused:
        hint = "is the SSH server installed, enabled and unmasked? boot.port says where it listens"
    return Trouble(reason=f"it has a network and {said} {within}", hint=hint)


def is_up(console: str) -> bool:
    """Say whether a machine has come to where somebody could log in."""
    return (
        re.search(r"^\S+ login: ?|Reached target .*(?:Multi-User|Graphical)", text(console), re.MULTILINE) is not None
    )
