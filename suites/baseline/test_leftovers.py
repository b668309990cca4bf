"""What else the bake may have left behind; judged before the image's first boot."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

BUILDERS = "/packer-files /root/.ansible /home/*/.ansible /root/.chef /var/chef /home/vagrant /home/packer"


@control("image-no-histories")
def test_there_is_no_history_of_commands(at_rest: Host) -> None:
    """Nobody can read what was typed during the bake, such as passwords."""
    names = r"\( -name '.*_history' -o -name .lesshst -o -name .viminfo -o -name .wget-hsts \)"
    found = _found(at_rest, "/root /home", f"-maxdepth 2 -type f -size +0 {names}")

    assert not found, f"left: {found}"


@control("image-no-package-cache")
def test_there_is_no_package_cache(at_rest: Host) -> None:
    """No downloaded package and no list of packages, stale from the first day, makes the image larger."""
    lists = _found(at_rest, "/var/lib/apt/lists", "-type f ! -name lock -size +0")
    found = _found(at_rest, "/var/cache/apt/archives", "-type f -name '*.deb'") + lists

    assert not found, f"left: {found}"


@control("image-no-temporary-files")
def test_there_are_no_temporary_files(at_rest: Host) -> None:
    """Nothing that was temporary during the bake became permanent."""
    found = _found(at_rest, "/tmp /var/tmp", "-mindepth 1")  # noqa: S108

    assert not found, f"left: {found}"


@control("image-no-provisioner-files")
def test_nothing_of_the_builder_is_left(at_rest: Host) -> None:
    """Packer, Ansible, Chef and Vagrant left no files; an empty /packer-files, which Packer cannot remove, is none."""
    found = _found(at_rest, BUILDERS, r"\( ! -path /packer-files -o ! -type d \) -prune")

    assert not found, f"left: {found}"


@control("image-no-logs")
def test_there_are_no_logs(at_rest: Host) -> None:
    """The logs begin with the machine's own first boot, and no crash dump holds the memory of the build machine."""
    found = _found(at_rest, "/var/log /var/crash /var/lib/systemd/coredump", "-type f -size +0")

    assert not found, f"left: {found}"


def _found(at_rest: Host, places: str, expression: str) -> list[str]:
    """Return what an expression of `find` selects below those of some places that exist."""
    script = f'set --; for d in {places}; do if [ -e "$d" ]; then set -- "$@" "$d"; fi; done'
    command = f'{script}; if [ $# -gt 0 ]; then find "$@" {expression} -print; fi'
    return sorted(at_rest.check_output(command).splitlines())
