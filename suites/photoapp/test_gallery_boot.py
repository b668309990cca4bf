"""Controls on the machine's first boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

UNIT = "/etc/systemd/system/ssh-host-keys.service"
# Runs what the unit would run, on the image before its first boot, but with a scratch folder in the place of /etc/ssh.
REHEARSE = """
folder=$(mktemp -d) && command=$(sed -n "s|^ExecStart=||p" %s | sed "s|/etc/ssh/|$folder/|") &&
sh -c "$command" && stat -c "%%n %%a" $folder/* | sed "s|$folder/||"; rm -rf "$folder"
"""


@control("photoapp-own-host-keys")
def test_the_image_holds_no_host_key_but_makes_one_at_boot(at_rest: Host) -> None:
    """Nothing is shared by the machines that boot from this image: the unit that makes the key is enabled and able."""
    state = at_rest.check_output(
        "find /etc/ssh -name 'ssh_host_*' && systemctl is-enabled --root=/ ssh-host-keys.service"
    )
    made = at_rest.check_output(REHEARSE, UNIT)

    assert state.splitlines() == ["enabled"]
    assert made.splitlines() == ["ssh_host_ed25519_key 600", "ssh_host_ed25519_key.pub 644"]


@control("photoapp-own-host-keys")
def test_the_booted_machine_has_one_host_key(host: Host) -> None:
    """The key is there, only root can read it, and the unit did not fail; it leaves alone a key that was given."""
    found = host.check_output(
        "find /etc/ssh -name 'ssh_host_*_key' -size +0 -printf '%f %u %m\\n'"
        " && systemctl show ssh-host-keys.service --property=Result"
    )

    assert found.splitlines() == ["ssh_host_ed25519_key root 600", "Result=success"]


@control("photoapp-boots-cleanly")
def test_the_machine_is_running_and_no_unit_failed(host: Host) -> None:
    """The service manager has finished starting and has nothing to complain about."""
    done = host.run("timeout 60 systemctl is-system-running --wait; systemctl list-units --failed --plain --no-legend")

    assert done.stdout.splitlines() == ["running"]
