"""What the app's image promises."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control


@control("app-greets")
def test_the_page_is_written_at_boot(host: Host) -> None:
    """The page holds a greeting."""
    assert "<h1>" in host.check_output("cat /run/app/index.html")


@control("app-not-writable")
def test_only_root_can_change_the_program(host: Host) -> None:
    """The program belongs to root and nobody else may write it."""
    assert host.check_output("stat -c '%U %a' /usr/local/bin/app") == "root 755"


@control("app-leaves-no-page")
def test_no_page_is_baked(at_rest: Host) -> None:
    """The image, before its first boot, has no page."""
    assert at_rest.run("test -e /run/app").rc == 1
