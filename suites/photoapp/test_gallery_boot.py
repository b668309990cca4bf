"""Controls on the machine's first boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control


@control("photoapp-own-host-keys")
def test_the_image_holds_no_host_key(at_rest: Host) -> None:
    """Nothing is shared by the machines that boot from this image, and the unit that makes the key is there."""
    keys = at_rest.check_output(
        "find /etc/ssh -name 'ssh_host_*' && systemctl is-enabled --root=/ ssh-host-keys.service"
    )

    assert keys.splitlines() == ["enabled"]


@control("photoapp-own-host-keys")
def test_the_first_boot_makes_the_host_key(host: Host) -> None:
    """The booted machine has one key, which only root can read."""
    found = host.check_output("find /etc/ssh -name 'ssh_host_*_key' -size +0 -printf '%f %u %m\\n'")

    assert found.splitlines() == ["ssh_host_ed25519_key root 600"]


@control("photoapp-boots-cleanly")
def test_the_machine_is_running_and_no_unit_failed(host: Host) -> None:
    """The service manager has finished starting and has nothing to complain about."""
    done = host.run("timeout 60 systemctl is-system-running --wait; systemctl list-units --failed --plain --no-legend")

    assert done.stdout.splitlines() == ["running"]
