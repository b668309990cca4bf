"""Each control of the phoenix suite passes on a sound image, and a breakage fails it and no other."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from imagetest.model import codec
from imagetest.model.promotion import Action, Promotion
from imagetest.registry.store import SqlStore
from tests.dockyard import SYSTEMD, Dockyard

pytestmark = [pytest.mark.timeout(1500), pytest.mark.docker]

ROOT = Path(__file__).parents[3]
SUITE = ROOT / "suites" / "phoenix"
CONTROLS = frozenset(tomllib.loads((SUITE / "controls.toml").read_text()))
START = """#!/bin/sh
trap 'exit 0' TERM
[ -z "$COLOUR" ] || echo "$COLOUR" >/usr/local/colour
[ ! -e /usr/local/hook ] || . /usr/local/hook
touch /run/ready
sleep infinity & wait
"""

OF_THE_IMAGE = {
    "phoenix-no-build-users": "RUN echo packer:x:1000:1000::/home/packer:/bin/sh >>/etc/passwd",
    "phoenix-no-strange-files": "RUN touch /usr/bin/strange",
    "phoenix-no-removed-packages": "RUN dpkg --remove --force-depends --force-remove-essential e2fsprogs",
    "phoenix-no-likely-secrets": "RUN echo 'db_password = Xk29fLq8Zr41vBnW' >/usr/local/etc/shop.conf",
    "phoenix-removable": "RUN echo 'touch /usr/local/left' >>/usr/local/sbin/install-shop",
    "phoenix-hermetic-boot": "RUN echo 'grep -q eth0 /proc/net/dev || exit 1' >/usr/local/hook",
    "phoenix-boot-budget": "",
    "phoenix-boot-not-slower": "RUN echo 'sleep 6' >/usr/local/hook",
    "phoenix-reboot": "RUN echo 'echo once more >>/usr/local/boots' >/usr/local/hook",
    "phoenix-twins": "RUN echo '[ -e /usr/local/id ] || head -c9 /dev/urandom >/usr/local/id' >/usr/local/hook",
    "phoenix-no-environment": "RUN echo 'echo \"$COLOUR\" >/usr/local/seen' >/usr/local/hook",
}
"""One line of a Dockerfile each."""

OF_THE_TEMPLATE = {
    "phoenix-idempotent": "echo again >>/usr/local/etc/list",
    "phoenix-reproducible": "test -e /usr/local/etc/seed || head -c9 /dev/urandom | base64 >/usr/local/etc/seed",
}
"""One line of a provisioner each."""

BAKED = frozenset({"phoenix-idempotent", "phoenix-reproducible"})

TEMPLATE = """
source "docker" "it" {
  image       = "BASE"
  pull        = false
  commit      = true
  run_command = ["-d", "-i", "-t", "--", "{{.Image}}", "/bin/sh"]
  changes     = ["CMD [\\"/usr/local/bin/start\\"]"]
}
build {
  sources = ["source.docker.it"]
  provisioner "shell" {
    inline = ["LINE"]
  }
  post-processor "docker-tag" {
    repository = "imagetest/tests-phoenix"
    tags       = ["NAME"]
  }
}
"""

DECLARED = """
unpackaged = ["/usr/local", "/etc/dpkg/dpkg.cfg.d/*", "/etc/apt/apt.conf.d/docker-*"]

[images.NAME]
slower = 4
[images.NAME.components.shop]
install = "sh /usr/local/sbin/install-shop"
remove = "rm /usr/local/shop"
[images.NAME.environments.red]
COLOUR = "red"
[images.NAME.environments.blue]
COLOUR = "blue"
[[images.NAME.differ]]
pattern = "files:/usr/local/colour"
reason = "the colour is the environment's"
owner = "these tests"
"""

Statuses = dict[str, str]


def sound(dockyard: Dockyard, line: str = "") -> str:
    """Build an image as it should be, but for one line."""
    script = f"{placing('/usr/local/bin/start', START)} && chmod +x /usr/local/bin/start"
    install = "RUN echo 'touch /usr/local/shop' >/usr/local/sbin/install-shop"
    return dockyard.build("FROM {plain}", script, install, line, 'CMD ["/usr/local/bin/start"]')


def placing(path: str, text: str) -> str:
    """Return a line of a Dockerfile that writes a file."""
    return f"RUN echo {base64.b64encode(text.encode()).decode()} | base64 --decode >{path}"


class Project:
    """A folder with images to judge by the suite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._settings: list[str] = ["[channels.stable]"]
        self._declared: list[str] = []
        folder.mkdir(exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\n")

    def image(self, name: str, what: str, **boot: Any) -> None:
        """Add an image."""
        told = {"ready": "test -e /run/ready", "budget": 30, **boot}
        lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
        self._settings += [f"[images.{name}]", what, f"[images.{name}.boot]", *lines]

    def declare(self, text: str) -> None:
        """Add to phoenix.toml; what stands above its tables may stand there once."""
        self._declared.append(text if not self._declared else text[text.index("[images") :])

    def judge(self, *names: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
        """Run the suite and return the assessment of each image."""
        (self.folder / "imagetest.toml").write_text("\n".join(self._settings))
        (self.folder / "phoenix.toml").write_text("\n".join(self._declared))
        named = [option for name in names for option in ("--image", name)]
        argv = [sys.executable, "-m", "pytest", str(SUITE), "-q", "-c", "pytest.ini", "--report-dir=reports"]
        done = subprocess.run(
            [*argv, *named, *options], cwd=self.folder, check=False, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        documents = [codec.decode(path.read_bytes()) for path in self.folder.glob("reports/**/assessment.json")]
        found = {one.assessment.image.name: one.assessment for one in documents}
        assert found.keys() == set(names), done.stdout[-3000:] + done.stderr[-3000:]
        assert [*(self.folder / ".imagetest" / "leases").glob("*")] == [], done.stdout[-3000:]
        return found

    def promote(self, name: str, digest: str) -> None:
        """Put an image into the channel."""
        (self.folder / ".imagetest").mkdir(exist_ok=True)
        store = SqlStore(f"sqlite:///{self.folder / '.imagetest' / 'registry.sqlite'}")
        store.promote(
            Promotion(
                number=0, channel="stable", image=name, digest=digest, reference=digest, kind="docker",
                action=Action.PROMOTE, by="these tests", at=datetime.now(UTC), assessment_id="", gate="default",
            )
        )  # fmt: skip


def statuses(assessment: Any) -> Statuses:
    return {one.control_id: one.status.value for one in assessment.findings}


def messages(assessment: Any) -> dict[str, str]:
    return {one.control_id: one.message for one in assessment.findings}


def remove(dockyard: Dockyard, images: list[str]) -> None:
    """Remove images, children first: the dockyard takes images away in no order."""
    for image in images:
        with suppress(ImageNotFound):
            dockyard.engine.images.remove(image, force=True)


@pytest.fixture(scope="module")
def judged(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Judge a sound image, and one for each breakage of an image."""
    project = Project(tmp_path_factory.mktemp("phoenix"))
    images = {"sound": sound(dockyard)} | {name: sound(dockyard, line) for name, line in OF_THE_IMAGE.items()}
    for name, image in images.items():
        budget = 0.05 if name == "phoenix-boot-budget" else 30
        project.image(name, f'image = "docker:{image}"', budget=budget)
        project.declare(DECLARED.replace("NAME", name))
        project.promote(name, images["sound"])
    yield project.judge(*images)
    remove(dockyard, [image for name, image in images.items() if name != "sound"])


@pytest.fixture(scope="module")
def baked(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Judge an image of a sound template, and one for each breakage of a template."""
    project = Project(tmp_path_factory.mktemp("baked"))
    base = sound(dockyard)
    for name, line in {"sound": "true", **OF_THE_TEMPLATE}.items():
        text = TEMPLATE.replace("BASE", base).replace("LINE", line).replace("NAME", name)
        (project.folder / f"{name}.pkr.hcl").write_text(text)
        project.image(name, f'template = "{name}.pkr.hcl"')
        project.declare(DECLARED.replace("NAME", name))
    found = project.judge("sound", *OF_THE_TEMPLATE)
    yield found | {"tags": {name: _tagged(dockyard, name) for name in found}}
    remove(dockyard, [one.image.digest for one in found.values()])


def _tagged(dockyard: Dockyard, name: str) -> str:
    return str(dockyard.engine.images.get(f"imagetest/tests-phoenix:{name}").id)


def expected(*, baked: bool, channel: str) -> Statuses:
    """Return what a sound image gets."""
    plain = dict.fromkeys(CONTROLS, "passed") | {"phoenix-boot-not-slower": channel}
    return plain if baked else plain | dict.fromkeys(BAKED, "not_reviewed")


def test_every_control_has_a_breakage() -> None:
    assert OF_THE_IMAGE.keys() | OF_THE_TEMPLATE.keys() | {"phoenix-checks-change-nothing"} == CONTROLS


def test_a_sound_image_passes(judged: dict[str, Any]) -> None:
    assert statuses(judged["sound"]) == expected(baked=False, channel="not_applicable"), messages(judged["sound"])


@pytest.mark.parametrize("control", OF_THE_IMAGE)
def test_a_breakage_fails_its_control_and_no_other(judged: dict[str, Any], control: str) -> None:
    channel = "not_applicable" if control == "phoenix-boot-budget" else "passed"  # it is the sound one, with less time

    assert statuses(judged[control]) == expected(baked=False, channel=channel) | {control: "failed"}, messages(
        judged[control]
    )


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ("phoenix-no-build-users", "accounts that are not declared: ['packer']"),
        ("phoenix-no-strange-files", "1 files belong to no package: ['/usr/bin/strange']"),
        ("phoenix-no-removed-packages", "removed and not purged: ['e2fsprogs']"),
        ("phoenix-no-likely-secrets", "looks like a secret: ['/usr/local/etc/shop.conf: db_password']"),
        ("phoenix-removable", "file /usr/local/left was added"),
        ("phoenix-hermetic-boot", "cut off from everything, it does not come up"),
        ("phoenix-boot-budget", "not within 0.05: "),
        ("phoenix-boot-not-slower", "the image in 'stable' takes"),
        ("phoenix-reboot", "file /usr/local/boots: content"),
        ("phoenix-twins", "file /usr/local/id: content"),
        ("phoenix-no-environment", "file /usr/local/seen: content"),
    ],
)
def test_a_finding_says_what_is_wrong(judged: dict[str, Any], control: str, said: str) -> None:
    assert said in messages(judged[control])[control]
    assert "Xk29fLq8Zr41vBnW" not in repr(judged[control])


def test_what_was_compared_and_booted_is_evidence(judged: dict[str, Any]) -> None:
    checks = {one.controls[0]: one for one in judged["phoenix-twins"].checks if one.controls}

    assert checks["phoenix-twins"].drifts[0].unexplained == 1
    assert checks["phoenix-twins"].drifts[0].differences[0].key == "/usr/local/id"
    assert [one.name for one in checks["phoenix-boot-budget"].boots[0].timeline] == ["reachable", "ready"]
    assert len(checks["phoenix-boot-not-slower"].boots) >= 2


@pytest.mark.packer
def test_a_sound_template_passes(baked: dict[str, Any]) -> None:
    assert statuses(baked["sound"]) == expected(baked=True, channel="not_applicable"), messages(baked["sound"])


@pytest.mark.packer
@pytest.mark.parametrize("control", OF_THE_TEMPLATE)
def test_a_breakage_of_a_template_fails_its_control_and_no_other(baked: dict[str, Any], control: str) -> None:
    found = baked[control]

    assert statuses(found) == expected(baked=True, channel="not_applicable") | {control: "failed"}, messages(found)
    assert "file /usr/local/etc/" in messages(found)[control]


@pytest.mark.packer
def test_what_was_baked_again_is_published_nowhere(baked: dict[str, Any], dockyard: Dockyard) -> None:
    """The tag names the image that was judged, and no second image of it is left."""
    digest = baked["sound"].image.digest

    assert baked["tags"]["sound"] == digest
    assert [one.id for one in dockyard.engine.images.list("imagetest/tests-phoenix") if one.id == digest] == [digest]


UNIT = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/bash -c "COMMAND"
[Install]
WantedBy=multi-user.target
"""
NEEDS_CONFIG = "getent hosts config.example.com; test -e /sys/class/net/eth0"
NEEDS_A_FIRST_BOOT = "test ! -e /var/lib/once && touch /var/lib/once"


@pytest.mark.parametrize(
    ("command", "control", "said"),
    [
        (
            NEEDS_CONFIG,
            "phoenix-hermetic-boot",
            "['worse.service'] failed; it tried to reach DNS for config.example.com",
        ),
        (NEEDS_A_FIRST_BOOT, "phoenix-reboot", "after a reboot, ['worse.service'] failed"),
    ],
    ids=["hermetic", "reboot"],
)
def test_a_unit_that_fails_is_named(dockyard: Dockyard, tmp_path: Path, command: str, control: str, said: str) -> None:
    unit = placing("/etc/systemd/system/worse.service", UNIT.replace("COMMAND", command))
    image = dockyard.build("FROM {machine}", unit, "RUN systemctl disable ssh && systemctl enable worse", SYSTEMD)
    project = Project(tmp_path / "project")
    project.image("web", f'image = "docker:{image}"', ready="true")
    found = project.judge("web", options=("-k", "reboot or nothing_outside"))["web"]

    assert said in messages(found)[control]
    assert {name for name, one in statuses(found).items() if one == "failed"} == {control}


def test_a_setting_that_is_baked_in_is_found(dockyard: Dockyard, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    image = sound(dockyard, "RUN sed -i /COLOUR/d /usr/local/bin/start")
    project.image("web", f'image = "docker:{image}"')
    project.declare(DECLARED.replace("NAME", "web"))
    found = project.judge("web", options=("-k", "environments"))["web"]

    assert "is declared to differ and does not, as if it were baked in: files:/usr/local/colour" in repr(
        messages(found)
    )


def test_what_nobody_declared_is_not_reviewed(dockyard: Dockyard, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.image("web", f'image = "docker:{sound(dockyard)}"')
    found = project.judge("web", options=("-k", "environments or removed_leaves or bake"))["web"]
    unreviewed = {"phoenix-no-environment", "phoenix-removable", *BAKED}

    assert {name for name, one in statuses(found).items() if one == "not_reviewed"} >= unreviewed
    assert "no template is known of it" in messages(found)["phoenix-idempotent"]
