"""Files on any local file system that somebody other than their owner can change."""

from __future__ import annotations

from collections.abc import Callable

from imagetest import control


@control("files-no-world-writable")
def test_no_file_is_writable_by_everybody(search: Callable[[str], list[str]]) -> None:
    """No file can be changed by every account."""
    found = search("-type f -perm -0002")

    assert not found, f"writable by everybody: {found}"


@control("files-sticky-directories")
def test_shared_directories_protect_their_files(search: Callable[[str], list[str]]) -> None:
    """In a directory where everybody may write, nobody can remove or replace the file of somebody else."""
    found = search("-type d -perm -0002 ! -perm -1000")

    assert not found, f"shared without the sticky bit: {found}"


@control("files-no-unowned")
def test_every_file_has_an_owner(search: Callable[[str], list[str]]) -> None:
    """No file waits to be inherited by the next account or group that gets its number."""
    found = search(r"\( -nouser -o -nogroup \)")

    assert not found, f"of nobody: {found}"
