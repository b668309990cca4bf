"""That the image gives no two machines the same identity; judged before its first boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

SEEDS = """
    /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed
    /boot/efi/loader/random-seed
    """


@control("image-no-host-keys")
def test_there_are_no_host_keys(at_rest: Host) -> None:
    """Each machine makes SSH host keys of its own: with a shared one, each can pass for every other."""
    found = _existing(at_rest, "/etc/ssh/ssh_host_*_key")

    assert not found, f"left: {found}"


@control("image-no-machine-id")
def test_there_is_no_machine_id(at_rest: Host) -> None:
    """Each machine makes an id of its own, from which DHCP leases, journals and addresses derive."""
    ids = at_rest.check_output(
        "for f in /etc/machine-id /var/lib/dbus/machine-id; do if [ -s $f ]; then cat $f || exit; fi; done"
    )
    found = set(ids.split()) - {"uninitialized"}

    assert not found, f"left: {found}"


@control("image-no-random-seed")
def test_there_is_no_random_seed(at_rest: Host) -> None:
    """No two machines begin with the same entropy or seal their secrets with the same key."""
    found = _existing(at_rest, SEEDS)

    assert not found, f"left: {found}"


@control("image-no-first-boot-state")
def test_the_image_believes_that_it_never_booted(at_rest: Host) -> None:
    """What cloud-init, DHCP and udev remember of the build machine does not keep them from setting up this one."""
    remembered = "/var/lib/cloud/instance /var/lib/cloud/instances/* /var/lib/cloud/sem/* /var/lib/dhcp/*.leases"
    found = _existing(at_rest, f"{remembered} /etc/udev/rules.d/70-persistent-net.rules")

    assert not found, f"left: {found}"


def _existing(at_rest: Host, patterns: str) -> list[str]:
    words = " ".join(patterns.split())
    return at_rest.check_output(
        f'for f in {words}; do if [ -e "$f" ] || [ -L "$f" ]; then echo "$f"; fi; done'
    ).splitlines()
