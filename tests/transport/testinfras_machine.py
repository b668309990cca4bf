"""A machine like the one that testinfra tests itself on, made from the Dockerfile in its source archive."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from tests.dockyard import LABEL, Dockyard, _said_by

VERSION = importlib.metadata.version("pytest-testinfra")
CACHE = Path(__file__).parents[2] / ".imagetest"
RELEASE = "bookworm"
OTHER_RELEASE = 75
AUTHORITIES = "/etc/ssl/certs/of-the-host.crt"

PREPARE = f"""
. /etc/os-release
[ "$VERSION_CODENAME" = {RELEASE} ] || exit {OTHER_RELEASE}
echo "$1" >/etc/apt/apt.conf.d/99-test
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test
"""

SALT = """
virtualenv -q /salt
/salt/bin/pip install -q --no-cache --no-deps salt
/salt/bin/pip install -q --no-cache tornado distro looseversion msgpack pyyaml packaging jinja2
ln -s /salt/bin/salt-call /usr/local/bin/
"""
"""Salt has come to depend on packages that only build where there is a compiler; without them it does what it is asked
here, but `pip check`, which is also tested, would object where it stood among the distribution's packages."""

TIDY = "rm -rf /etc/apt/apt.conf.d/99-test /etc/dpkg/dpkg.cfg.d/test"


def source() -> Path:
    """Return the folder of testinfra's source, of the version that is installed; PyPI is asked once."""
    found = CACHE / f"testinfra-{VERSION}"
    if not found.is_dir():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            said = _pip("download", "-q", "--no-deps", "--no-binary=:all:", "-d", name, f"pytest-testinfra=={VERSION}")
            archive = next(Path(name).glob("*.tar.gz"), None)
            assert archive is not None, said
            with tarfile.open(archive) as tar:
                if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
                    tar.extraction_filter = tarfile.data_filter
                tar.extractall(name)  # noqa: S202 - an archive of PyPI's
            next(one for one in Path(name).iterdir() if one.is_dir()).rename(found)
    return found


def image(dockyard: Dockyard) -> str:
    """Return an image made of what their Dockerfile says; it stays, as the other test images do that take long."""
    lines = re.sub(r"\\\n", "", (source() / "images" / f"debian_{RELEASE}" / "Dockerfile").read_text()).splitlines()
    runs = [SALT if "salt" in line else line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]
    script = "\n".join([PREPARE, *(f"(set -e; {run}\n) >/dev/null" for run in runs), TIDY])
    changes = [line for line in lines if line.startswith(("ENV ", "CMD "))]
    base = dockyard.engine.images.get(dockyard.plain)
    version = hashlib.sha256("\n".join([str(base.id), script, *changes]).encode()).hexdigest()[:12]
    tag = f"imagetest/tests-testinfra:{version}"
    try:
        dockyard.engine.images.get(tag)
    except ImageNotFound:
        _make(dockyard, tag, script, changes)
    return tag


def _make(dockyard: Dockyard, tag: str, script: str, changes: list[str]) -> None:
    settings = os.environ.get("PKR_VAR_apt_settings") or _said_by("apt-settings")
    argv = ["/bin/sh", "-eu", "-c", script, "sh", settings]
    container = dockyard.engine.containers.create(
        dockyard.plain, argv, labels={LABEL: "1"}, environment={"DEBIAN_FRONTEND": "noninteractive"}
    )
    try:
        container.put_archive("/etc", _pip_settings())
        container.start()
        status = container.wait()["StatusCode"]
        if status == OTHER_RELEASE:
            pytest.skip(f"testinfra's own tests are about Debian {RELEASE}, and {dockyard.plain} is another release")
        assert status == 0, container.logs().decode()[-3000:]
        repository, _, version = tag.partition(":")
        container.commit(repository, version, changes="\n".join(changes))
    finally:
        container.remove(force=True, v=True)


def _pip_settings() -> bytes:
    """Return an archive of a pip.conf by which pip finds packages as it does here."""
    said = re.findall(
        r"^\S+?\.(index-url|extra-index-url|proxy|trusted-host|cert)='(.*)'$", _pip("config", "list"), re.MULTILINE
    )
    found = dict(said)
    certificates = found.pop("cert", "")
    files = {"pip.conf": "\n".join(["[global]", *(f"{name} = {value}" for name, value in found.items())]).encode()}
    if certificates:
        files["pip.conf"] += f"\ncert = {AUTHORITIES}".encode()
        files[AUTHORITIES.removeprefix("/etc/")] = Path(certificates).read_bytes()
    return packed(files)


def packed(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    """Return an archive of files, to be put into a container."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def _pip(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], check=False, capture_output=True, text=True, timeout=300
    )
    return done.stdout + done.stderr if done.returncode else done.stdout
