"""What the gallery promises as an AMI: ordinary tests, asked over SSH."""

from __future__ import annotations

import json

from testinfra.host import Host

ASK = """
import json, urllib.request
print(json.dumps([urllib.request.urlopen("http://127.0.0.1:8080" + one).read().decode() for one in ("/healthz", "/")]))
"""


def test_the_gallery_runs_and_starts_at_boot(host: Host) -> None:
    """It was started by the boot, not by the bake."""
    gallery = host.service("gallery")

    assert gallery.is_running
    assert gallery.is_enabled


def test_it_shows_photographs(host: Host) -> None:
    """The page and the health check answer over loopback."""
    health, page = json.loads(host.check_output("python3 -I -c %s", ASK))

    assert health == "ok\n"
    assert 'src="/photos/' in page


def test_nobody_writes_to_it(host: Host) -> None:
    """Its files are root's."""
    assert host.check_output("find /opt/photoapp ! -user root -o -perm /022") == ""


def test_no_key_of_the_bake_is_left(host: Host) -> None:
    """Packer's key is gone: the one line that is there was given to this instance."""
    keys = host.check_output("cat $HOME/.ssh/authorized_keys").splitlines()

    assert len(keys) == 1
    assert "packer" not in keys[0]
