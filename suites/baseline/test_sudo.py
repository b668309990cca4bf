"""Who becomes root, and how."""

from __future__ import annotations

import re

from testinfra.host import Host

from imagetest import control, not_applicable


@control("sudo-valid-policy")
def test_the_policy_is_valid(host: Host) -> None:
    """Sudo itself finds no mistake in its policy; with one it may refuse everybody."""
    done = host.run("if [ -e /etc/sudoers ]; then visudo -c -f /etc/sudoers; else echo absent; fi")
    if done.stdout == "absent\n":
        not_applicable("no sudo: /etc/sudoers does not exist")

    assert (done.rc, done.stderr) == (0, ""), f"visudo exited with {done.rc}: {done.stderr}"


@control("sudo-asks-for-a-password")
def test_sudo_asks_for_a_password(sudoers: list[str]) -> None:
    """Nobody becomes root without proving who they are."""
    free = [line for line in sudoers if re.search(r"NOPASSWD\s*:|!\s*authenticate\b", line)]

    assert not free, f"without a password: {free}"


@control("sudo-uses-a-terminal-of-its-own")
def test_sudo_runs_commands_in_a_terminal_of_their_own(sudoers: list[str]) -> None:
    """A command cannot stay behind on the user's terminal and type into it after sudo has ended."""
    defaults = [line for line in sudoers if line.startswith("Defaults")]
    mentions = [found for line in defaults for found in re.findall(r"(?:!\s*)?\buse_pty\b", line)]

    assert mentions[-1:] == ["use_pty"], f"use_pty is not set in {defaults}"
