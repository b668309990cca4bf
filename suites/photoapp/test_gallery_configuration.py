"""Controls on where the gallery's settings come from: the machine that boots, never the bake."""

from __future__ import annotations

from testinfra.host import Host

from imagetest import control

# Runs on the instance: starts a second gallery beside the service, as its account, on a free port and with a title of
# its own, prints its page and ends it. The service is left alone, so that this may look at a live machine too.
START_ANOTHER = """
import os, socket, subprocess, time, urllib.request
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
environment = {"PATH": os.environ["PATH"], "PHOTOAPP_TITLE": "Configured at boot", "PHOTOAPP_PORT": str(port)}
account = {"user": "photoapp", "group": "photoapp", "extra_groups": []}
gallery = subprocess.Popen(["python3", "-I", "/opt/photoapp/photoapp.py"], env=environment, **account,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for attempt in range(100):
        try:
            print(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode())
            break
        except OSError:
            time.sleep(0.05)
finally:
    gallery.kill()
    gallery.wait()
"""


@control("photoapp-configured-at-boot")
def test_the_gallery_obeys_its_environment(host: Host) -> None:
    """A gallery that was started with another title and port shows that title on that port."""
    page = host.check_output("python3 -I -c %s", START_ANOTHER)

    assert "<h1>Configured at boot</h1>" in page


@control("photoapp-configured-at-boot")
def test_the_unit_hands_the_environment_over(host: Host) -> None:
    """The unit passes on what the machine was given, and reads the file of settings where there is one."""
    shown = host.check_output("systemctl show photoapp.service --property=EnvironmentFiles,PassEnvironment")
    unit = dict(line.split("=", 1) for line in shown.splitlines())

    assert unit.get("EnvironmentFiles") == "/etc/photoapp/photoapp.env (ignore_errors=yes)"
    assert set(unit.get("PassEnvironment", "").split()) == {"PHOTOAPP_TITLE", "PHOTOAPP_PHOTOS", "PHOTOAPP_PORT"}


@control("photoapp-nothing-baked")
def test_no_file_of_the_image_sets_anything(at_rest: Host) -> None:
    """No file where settings are kept gives one of the gallery's a value."""
    pattern = r"PHOTOAPP_[A-Z]+[\"']?\s*="
    done = at_rest.run("grep -rlsE %s /etc /opt /root /home /usr/lib/systemd /usr/local; test $? -le 1", pattern)

    assert done.rc == 0, "the files of the image could not be read"
    assert done.stdout.splitlines() == []


@control("photoapp-nothing-baked")
def test_the_image_brings_no_environment_and_no_file_of_settings(at_rest: Host) -> None:
    """Neither the image's own environment nor its folder of settings decides anything."""
    done = at_rest.run("tr '\\0' '\\n' </proc/1/environ && find /etc/photoapp -type f 2>&1")
    lines = done.stdout.splitlines()
    boots_itself = at_rest.run("ls /boot/vmlinuz-*").rc == 0  # and is given no environment

    assert boots_itself or any(line.startswith("PATH=") for line in lines), "its environment could not be read"
    assert [line for line in lines if line.startswith(("PHOTOAPP_", "/etc/photoapp"))] == []
