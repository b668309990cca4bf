"""From a gated run into a channel and out of it, as an operator does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from imagetest.model.outlet import Outlet
from imagetest.promoters.docker import DockerPromoter
from tests.dockyard import Dockyard
from tests.volumes import small_volume
from tests.workshop import Ended, Workshop, workshop_in

pytestmark = pytest.mark.docker

NAME = "imagetest-test-web"
TAG = f"{NAME}:stable"

CONFIGURATION = """
[images.{name}]
image = "docker:{image}"
suites = ["suite"]

[images.{name}-other]
image = "docker:{image}"
suites = ["suite"]

[gates.default]
waivers = ["waivers.toml"]

[channels.stable]
"""

MOVED = """
[images.other]
image = "docker:{image}"
suites = ["suite"]

[channels.stable]
tag = "{name}:stable"
"""

WAIVER = '[[waiver]]\ncontrol = "web-greets"\nreason = "known"\napproved_by = "maria"\nexpires = {}\n'


class Desk(Workshop):
    """A project whose image exists, and who works with it."""

    dockyard: Dockyard

    def image(self, greeting: str) -> str:
        """Make an image and configure the project for it."""
        made = self.dockyard.build("FROM {plain}", f"RUN echo {greeting} >/greeting", 'CMD ["sleep", "infinity"]')
        self.file("imagetest.toml", CONFIGURATION.format(name=NAME, image=made))
        return made

    def tested(self, *argv: str) -> Ended:
        """Run the suite with a gate."""
        return self.pytest("--image", NAME, "--gate", *argv)

    def tag(self, tag: str = TAG) -> str:
        """Return what the channel's tag names."""
        try:
            return str(self.dockyard.engine.images.get(tag).id)
        except ImageNotFound:
            return ""


@pytest.fixture
def desk(tmp_path: Path, dockyard: Dockyard) -> Iterator[Desk]:
    with workshop_in(tmp_path, dockyard) as place:
        made = Desk(place.folder, place.environment)
        made.dockyard = dockyard
        made.furnish()
        made.file("waivers.toml", "")
        yield made
        for tag in (TAG, f"{NAME}-other:stable"):
            DockerPromoter().withdraw(Outlet(channel="stable", image=NAME, tag=tag), ())


def test_in_and_out_of_a_channel(desk: Desk) -> None:
    one = desk.image("one")
    tested = desk.tested()
    before = desk.tag()
    promoted = desk.imagetest("promote", NAME, "stable")

    assert tested.code == promoted.code == 0, tested.text + promoted.text
    assert before == ""
    assert promoted.out == (
        f"promoted {NAME} {one} to 'stable' as record 1\n  docker:{NAME}:{one.removeprefix('sha256:')[:12]}\n"
    )
    assert desk.tag() == one

    two = desk.image("two")
    desk.tested()
    moved = desk.imagetest("promote", str(desk.folder / ".imagetest/runs/latest/assessment.json"), "stable")

    assert moved.code == 0, moved.text
    assert desk.tag() == two
    assert two in desk.imagetest("channels").out

    back = desk.imagetest("rollback", "stable", "--reason", "two is slow")

    assert back.code == 0, back.text
    assert desk.tag() == one
    assert desk.imagetest("rollback", "stable", "--reason", "again").code == 4

    out = desk.imagetest("revoke", "stable", "--reason", "one is broken too")

    assert out.code == 0, out.text
    assert desk.tag() == ""
    assert "revoked" in desk.imagetest("channels").out

    again = desk.imagetest("revoke", "stable", "--reason", "again")

    assert again.code == 0, again.text
    assert (
        again.out == f"{NAME} {one} from 'stable' was revoked already, as record 4; it points at nothing, once more\n"
    )

    history = desk.imagetest("history", "stable").out.splitlines()

    assert [line.split()[4] for line in history[1:]] == ["promote", "promote", "rollback", "revoke"]
    assert history[3].endswith("two is slow")


def test_what_a_killed_rollback_left_is_finished_by_the_next(desk: Desk) -> None:
    made = [desk.image("one"), desk.image("two")]
    for greeting in ("one", "two"):
        desk.image(greeting)
        desk.tested()
        desk.imagetest("promote", NAME, "stable")
    desk.imagetest("rollback", "stable", "--reason", "two is slow")
    desk.dockyard.engine.images.get(made[1]).tag(NAME, "stable")  # as if it had been killed before it moved the tag
    finished = desk.imagetest("rollback", "stable", "--reason", "again")

    assert finished.code == 0, finished.text
    assert finished.out.startswith(f"'stable' did not stand at {NAME} {made[0]}, record 3: it does now\n")
    assert desk.tag() == made[0]
    assert len(desk.imagetest("history", "stable").out.splitlines()) == 4


def test_a_channel_with_several_images_wants_to_know_which(desk: Desk) -> None:
    desk.image("one")
    desk.tested("--image", f"{NAME}-other")
    for name in (NAME, f"{NAME}-other"):
        assert desk.imagetest("promote", name, "stable").code == 0
    asked = desk.imagetest("revoke", "stable", "--reason", "x")
    wrong = desk.imagetest("rollback", "stable", "--reason", "x", "--image", "nobody")
    right = desk.imagetest("revoke", "stable", "--reason", "x", "--image", f"{NAME}-other")

    assert asked.code == wrong.code == 4
    assert asked.err == f"imagetest: channel 'stable' holds {NAME}, {NAME}-other\n  say which with --image\n"
    assert right.code == 0
    assert desk.tag() != ""
    assert desk.tag(f"{NAME}-other:stable") == ""


def test_what_stands_at_a_tag_is_not_written_over_by_another_image(desk: Desk) -> None:
    made = desk.image("one")
    desk.tested()
    desk.imagetest("promote", NAME, "stable")
    desk.file("imagetest.toml", MOVED.format(name=NAME, image=made))
    desk.pytest("--image", "other", "--gate")
    refused = desk.imagetest("promote", "other", "stable")
    run = desk.pytest("--image", "other", "--promote", "stable")

    both = f"'{NAME}' in channel 'stable' and 'other' in channel 'stable'"
    said = f"{both} would share the tag '{TAG}', where '{NAME}' stands"
    assert refused.code == run.code == 4, run.text
    assert said in refused.err
    assert f"'imagetest revoke stable --image {NAME}'" in refused.err
    assert said in " ".join(run.text.split())
    assert len(desk.imagetest("history").out.splitlines()) == 2


def test_what_was_not_recorded_is_not_promoted(desk: Desk) -> None:
    desk.image("one")
    without = desk.imagetest("promote", NAME, "stable")
    desk.tested()
    stored = desk.folder / ".imagetest/runs/latest/assessment.json"
    document = json.loads(stored.read_text())
    document["assessment"]["operator"] = "somebody@else"
    forged = desk.file("forged.json", json.dumps(document))
    edited = desk.imagetest("promote", str(forged), "stable")
    nonsense = desk.imagetest("promote", str(desk.file("nonsense.json", "{}")), "stable")

    assert without.code == edited.code == nonsense.code == 4
    assert f"the registry holds no assessment '{forged}'" in edited.err
    assert "is of format None" in nonsense.err
    assert desk.tag() == ""


def test_the_gate_decides_again_with_todays_waivers(desk: Desk) -> None:
    desk.image("one")
    desk.file("suite/test_web.py", (desk.folder / "suite/test_web.py").read_text() + '    assert "x" == "y"\n')
    desk.file(
        "suite/test_more.py",
        "from imagetest import control\n\ndef test_more(host):\n    assert host.run('true').rc == 0\n",
    )
    failed = desk.tested()
    refused = desk.imagetest("promote", NAME, "stable")
    desk.file("waivers.toml", WAIVER.format("2999-01-01"))
    waived = desk.imagetest("promote", NAME, "stable")
    tag = desk.tag()
    desk.imagetest("revoke", "stable", "--reason", "x")
    desk.file("waivers.toml", WAIVER.format("2020-01-01"))
    expired = desk.imagetest("promote", NAME, "stable")

    assert failed.code == refused.code == expired.code == 1, failed.text
    assert refused.err.startswith(f"imagetest: '{NAME}' is not promoted to 'stable': failed")
    assert waived.code == 0, waived.text
    assert tag != ""
    assert "its waiver by maria expired on 2020-01-01" in expired.err
    assert desk.tag() == ""


def test_without_a_registry_that_can_be_written_nothing_is_tagged(desk: Desk) -> None:
    desk.image("one")
    (desk.folder / "registry").mkdir()
    ended = desk.pytest("--image", NAME, "--promote", "stable", IMAGETEST_REGISTRY=f"sqlite:///{desk.folder}/registry")

    assert ended.code == 3
    assert "nothing was judged" in ended.out
    assert desk.tag() == ""


def test_an_image_that_is_gone_is_not_promoted(desk: Desk) -> None:
    made = desk.dockyard.build("FROM {plain}", "RUN echo gone >/greeting", 'CMD ["sleep", "infinity"]', "# only here")
    desk.file("imagetest.toml", CONFIGURATION.format(name=NAME, image=made))
    desk.tested()
    desk.dockyard.engine.images.remove(made, force=True)
    desk.dockyard._built.clear()  # noqa: SLF001 - it is not there any more
    ended = desk.imagetest("promote", NAME, "stable")

    assert ended.code == 3
    assert "there is no image" in ended.err
    assert desk.imagetest("history").out.count("\n") == 1


def test_reports_are_written_again_from_what_is_stored(desk: Desk) -> None:
    desk.image("one")
    desk.tested()
    stored = desk.folder / ".imagetest/runs/latest/assessment.json"
    by_name, by_file = desk.imagetest("report", NAME), desk.imagetest("report", str(stored), "--report-dir", "again")
    full = desk.imagetest("report", NAME, "--report-dir", "/dev/full/x")

    assert by_name.code == by_file.code == 0, by_name.text
    for name in ("assessment.json", "report.html", "junit.xml"):
        assert (desk.folder / "report" / name).read_bytes() == (desk.folder / "again" / name).read_bytes()
    assert (desk.folder / "report/assessment.json").read_bytes() == stored.read_bytes()
    assert full.code == 3
    assert full.err.startswith("imagetest: cannot write /dev/full/x/")


def test_a_full_disk_costs_the_promotion_and_says_so(desk: Desk) -> None:
    desk.image("one")
    with small_volume(desk.folder / "reports", "8k") as reports:
        ended = desk.pytest("--image", NAME, "--promote", "stable", "--report-dir", str(reports))
        again = desk.imagetest(
            "report", str(Path(__file__).parents[1] / "data/photoapp.json"), "--report-dir", str(reports)
        )

        assert sorted(path.suffix for path in reports.iterdir() if path.suffix == ".new") == []
    assert ended.code == again.code == 3
    assert "No space left on device" in ended.text
    assert again.err.startswith(f"imagetest: cannot write {reports}/")
    assert "Traceback" not in ended.text + again.text
    assert desk.tag() == ""


def test_there_is_nothing_to_reap(desk: Desk) -> None:
    desk.image("one")
    ended = desk.imagetest("reap", "--kept")

    assert (ended.code, ended.text) == (0, "")
