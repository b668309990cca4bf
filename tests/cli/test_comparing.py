"""`imagetest snapshot`, `diff` and `parity`, as somebody types them, and mistypes them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetest.model.codec import decode_drift, decode_snapshot, encode_snapshot
from imagetest.model.outlet import Outlet
from imagetest.model.snapshot import Family, Gap, Snapshot
from imagetest.promoters.docker import DockerPromoter
from tests.dockyard import Dockyard
from tests.hosts import LiveHost, LiveHosts, live_hosts
from tests.nouns import NOW
from tests.workshop import Workshop, eventually, workshop_in

NAME = "imagetest-test-compared"

CONFIGURATION = """
[images.{name}]
image = "docker:{image}"
suites = ["suite"]

[channels.candidate]
[channels.stable]

[environments.production.groups.web]
hosts = ["web1"]
"""

STAYS = 'CMD ["/bin/sleep", "infinity"]'


def stored(folder: Path, name: str, version: str = "1", *gaps: Gap) -> str:
    """Write a snapshot of one package."""
    family = Family(name="packages", noun="package", facts={"curl": {"version": version}}, gaps=gaps)
    path = folder / name
    path.write_bytes(encode_snapshot(Snapshot(subject=name.partition(".")[0], taken=NOW, families=(family,))))
    return name


# -- stored snapshots


@pytest.fixture
def desk(bare: Workshop) -> Workshop:
    stored(bare.folder, "a.json")
    stored(bare.folder, "b.json", "2")
    stored(bare.folder, "blind.json", "1", Gap(key="secret", reason="Permission denied"))
    bare.file("allow.toml", '[[allow]]\npattern = "packages:curl"\nreason = "known"\nowner = "maria"\n')
    return bare


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["a.json", "a.json"], 0, "1 fact compared: 1 equal"),
        (["a.json", "b.json"], 1, "package curl: version 1 became 2 (upgraded)"),
        (["b.json", "a.json"], 1, "package curl: version 2 became 1 (downgraded)"),
        (["a.json", "b.json", "--allow", "allow.toml"], 0, "allowed by packages:curl: known (maria, allow.toml)"),
        (["a.json", "a.json", "--allow", "allow.toml"], 0, "allowances that match nothing"),
        (["a.json", "blind.json"], 3, "blind does not tell packages secret: Permission denied"),
        (["b.json", "blind.json"], 1, "1 not read"),
        (["a.json", "b.json", "--only", "packages"], 1, "became 2"),
    ],
)
def test_stored_snapshots_are_compared(desk: Workshop, argv: list[str], code: int, said: str) -> None:
    ended = desk.imagetest("diff", *argv)

    assert ended.code == code, ended.text
    assert said in ended.out
    assert ended.err == ""


def test_a_comparison_is_read_by_programs_too(desk: Workshop) -> None:
    ended = desk.imagetest("diff", "a.json", "b.json", "--json")
    drift = decode_drift(ended.out.encode())

    assert ended.code == 1
    assert json.loads(ended.out)["format"] == "imagetest/drift/1"
    assert [(one.key, one.left, one.right) for one in drift.differences] == [("curl", "1", "2")]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["diff", "a.json"], "Missing argument"),
        (["diff", "broken.json", "a.json"], "broken.json is not JSON"),
        (["diff", "list.json", "a.json"], "list.json is of format None, expected 'imagetest/snapshot/1'"),
        (["diff", "old.json", "a.json"], "old.json is of format 'imagetest/snapshot/9'"),
        (["diff", "half.json", "a.json"], "half.json is not a valid snapshot: "),
        (["diff", "allow.toml", "a.json"], "allow.toml is not JSON"),
        (["diff", "a.json", "-nope"], "No such option: -n"),
        (["diff", "a.json", ""], "there is no ''"),
        (["diff", "a.json", "some/where.json"], "there is no 'some/where.json'"),
        (["diff", "a.json", "docker:"], "names no image"),
        (["diff", "a.json", "b.json", "--allow", "none.toml"], "there is no none.toml"),
        (["diff", "a.json", "b.json", "--allow", "a.json"], "is not valid TOML"),
        (["diff", "a.json", "b.json", "--only", "pakages"], "unknown collector 'pakages'; did you mean 'packages'?"),
        (["diff", "a.json", "b.json", "--only", "units"], "'a' holds no units"),
        (["diff", "a.json", "b.json", "--root", "etc"], "--root: got 'etc', expected a folder that begins with '/'"),
        (["diff", "a.json", "b.json", "--at-rest"], "'a.json' is no image"),
        (["snapshot", "a.json"], "'a.json' is a file, and no template"),
        (["snapshot"], "Missing argument"),
        (["snapshot", "web1", "web2"], "several snapshots need a folder"),
        (["snapshot", "a:b", "a b", "-o", "x"], "two snapshots would be written to one file"),
        (["snapshot", "web1", "--at-rest"], "'web1' is no image"),
        (["parity", "production"], "unknown environment 'production' (known: none)"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_message_and_exit_code_4(desk: Workshop, argv: list[str], said: str) -> None:
    desk.file("broken.json", '{"format": ')
    desk.file("list.json", "[]")
    desk.file("old.json", '{"format": "imagetest/snapshot/9"}')
    desk.file("half.json", '{"format": "imagetest/snapshot/1"}')
    ended = desk.imagetest(*argv)

    assert ended.code == 4
    assert ended.err.startswith("imagetest: ")
    assert said in ended.err
    assert "Traceback" not in ended.text
    assert ended.out == ""


def test_parity_says_what_cannot_be_held_against_anything(desk: Workshop) -> None:
    desk.file(
        "imagetest.toml",
        '[environments.production.groups.web]\nhosts = ["web1"]\nimage = "web"\n[images.web]\nimage = "docker:x"\n'
        '[images.db]\nimage = "docker:y"\n',
    )
    for argv, said in (
        ([], "every group of 'production' has one host: there is nothing to hold it against"),
        (["--group", "wep"], "--group: unknown group 'wep'; did you mean 'web'?"),
        (["--image", "db"], "--image: no group of 'production' is of 'db'"),
        (["--image", "wep"], "--image: unknown image 'wep'; did you mean 'web'?"),
        (["--image", "web", "--allow", "none.toml"], "there is no none.toml"),
    ):
        ended = desk.imagetest("parity", "production", *argv)

        assert ended.code == 4, ended.text
        assert said in ended.err


# -- images


@pytest.fixture
def furnished(tmp_path: Path, dockyard: Dockyard) -> Iterator[Workshop]:
    with workshop_in(tmp_path, dockyard) as place:
        place.furnish()
        yield place
        for channel in ("candidate", "stable"):
            DockerPromoter().withdraw(Outlet(channel=channel, image=NAME, tag=f"{NAME}:{channel}"), ())


def image(dockyard: Dockyard, *lines: str) -> str:
    return dockyard.build("FROM {plain}", *lines, STAYS)


@pytest.mark.docker
def test_the_change_log_between_two_channels(furnished: Workshop, dockyard: Dockyard) -> None:
    for channel, lines in (
        ("stable", ["RUN echo one >/greeting"]),
        ("candidate", ["RUN echo x >/greeting && useradd eve"]),
    ):
        furnished.file("imagetest.toml", CONFIGURATION.format(name=NAME, image=image(dockyard, *lines)))
        promoted = furnished.pytest("--image", NAME, "--promote", channel)
        assert promoted.code == 0, promoted.text
    ended = furnished.imagetest("diff", "stable", "candidate", "--only", "accounts", "--only", "groups")
    named = furnished.imagetest("diff", f"{NAME}@stable", f"{NAME}@stable", "--only", "accounts")
    wrong = furnished.imagetest("diff", "stable", "other@candidate")

    assert ended.code == 1, ended.text
    assert ended.out.startswith("from stable sha256:")
    assert "  account eve was added (" in ended.out
    assert named.code == 0, named.text
    assert wrong.code == 4
    assert "channel 'candidate' points at no 'other'" in wrong.err


@pytest.mark.docker
def test_a_channel_that_points_at_nothing_or_at_something_that_is_gone(furnished: Workshop, dockyard: Dockyard) -> None:
    made = image(dockyard, "RUN echo gone >/greeting # compared")
    furnished.file("imagetest.toml", CONFIGURATION.format(name=NAME, image=made))
    empty = furnished.imagetest("snapshot", "stable")
    promoted = furnished.pytest("--image", NAME, "--promote", "stable")
    assert promoted.code == 0, promoted.text
    DockerPromoter().withdraw(Outlet(channel="stable", image=NAME, tag=f"{NAME}:stable"), ())
    dockyard.engine.images.remove(made, force=True)
    dockyard._built.clear()  # noqa: SLF001 - it is not there any more
    gone = furnished.imagetest("snapshot", "stable")

    assert empty.code == 4
    assert "nothing was ever promoted to channel 'stable'" in empty.err
    assert gone.code == 3
    assert "there is no image" in gone.err
    assert gone.out == ""


@pytest.mark.docker
def test_an_image_is_looked_at_before_and_after_its_boot(furnished: Workshop, dockyard: Dockyard) -> None:
    made = dockyard.build("FROM {plain}", 'CMD ["/bin/sh", "-c", "echo up >/etc/booted; exec sleep infinity"]')
    furnished.file("imagetest.toml", CONFIGURATION.format(name=NAME, image=made))
    rest = furnished.imagetest("snapshot", NAME, "--at-rest", "--only", "files", "-o", "rest.json")
    up = furnished.imagetest("snapshot", f"docker:{made}", "--only", "files", "--root", "/etc")
    full = furnished.imagetest("snapshot", NAME, "--only", "accounts", "-o", "/dev/full")
    (furnished.folder / "up.json").write_text(up.out)
    ended = furnished.imagetest("diff", "rest.json", "up.json", "--json")
    added = {one.key for one in decode_drift(ended.out.encode()).differences if one.right and not one.left}

    assert rest.code == up.code == 0, rest.text + up.text
    assert rest.out == "rest.json\n"
    assert decode_snapshot((furnished.folder / "rest.json").read_bytes()).digest == made
    assert "/etc/booted" in added
    assert f"{NAME}: opening it at rest" in rest.err
    assert full.code == 3
    assert "imagetest: cannot write /dev/full: No space left on device" in full.err


@pytest.mark.docker
@pytest.mark.packer
def test_a_template_is_baked_to_be_looked_at(furnished: Workshop) -> None:
    ended = furnished.imagetest("diff", "web", "web.pkr.hcl", "--only", "packages")

    assert ended.code == 0, ended.text
    assert "unexplained" in ended.out


@pytest.mark.docker
def test_an_interrupt_leaves_no_throwaway(furnished: Workshop, dockyard: Dockyard) -> None:
    made = image(dockyard, "RUN echo slow >/greeting")
    furnished.file(
        "imagetest.toml", CONFIGURATION.format(name=NAME, image=made) + f'[images.{NAME}.boot]\nready = "false"\n'
    )
    child = furnished.start("imagetest", "snapshot", NAME)
    assert eventually(dockyard.containers)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)

    assert child.returncode == 2, err
    assert "Traceback" not in err
    assert dockyard.containers() == []
    assert list((furnished.folder / ".imagetest/leases").glob("*.json")) == []


# -- live hosts


@pytest.fixture(scope="module")
def hosts(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHosts]:
    with live_hosts(dockyard, tmp_path_factory.mktemp("comparing")) as place:
        yield place


@pytest.fixture(scope="module")
def admin(hosts: LiveHosts) -> LiveHost:
    """Return a host that is looked at by an ordinary user."""
    user = "RUN useradd --create-home --shell /bin/bash ada && echo echo banner >>/home/ada/.bashrc"
    return hosts.start("admin", "FROM {machine}", user, user="ada")


@pytest.fixture
def project(hosts: LiveHosts, tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.file(
        "imagetest.toml",
        f'[environments.production]\nssh_config = "{hosts.ssh_config}"\n'
        '[environments.production.groups.web]\nhosts = ["admin", "down"]\n',
    )
    return made


@pytest.mark.docker
def test_what_an_ordinary_user_cannot_read_is_said(project: Workshop, admin: LiveHost) -> None:
    ended = project.imagetest("snapshot", admin.name, "-o", "admin.json")
    snapshot = decode_snapshot((project.folder / "admin.json").read_bytes())
    again = project.imagetest("diff", "admin.json", admin.name)

    assert ended.code == 0, ended.text
    assert snapshot.user == "ada"
    assert "admin does not tell accounts password: " in ended.err
    assert again.code == 3, again.text
    assert " 0 unexplained; " in again.out


@pytest.mark.docker
def test_sudo_that_is_not_there_is_one_line(project: Workshop, admin: LiveHost) -> None:
    ended = project.imagetest("snapshot", admin.name, "--sudo")

    assert ended.code == 3
    assert ended.err.startswith("imagetest: 'admin' did not tell its state: ")
    assert "sudo" in ended.err
    assert ended.out == ""


@pytest.mark.docker
def test_hosts_that_cannot_be_reached_or_trusted_are_said(project: Workshop, hosts: LiveHosts, admin: LiveHost) -> None:
    unknown = project.imagetest("diff", admin.name, "nobody.invalid")
    known = hosts.known_hosts.read_text()
    hosts.known_hosts.write_text(known.replace(admin.host_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43))
    try:
        changed = project.imagetest("snapshot", admin.name)
    finally:
        hosts.known_hosts.write_text(known)
    down = project.imagetest("parity", "production", "--only", "packages")

    assert (unknown.code, changed.code, down.code) == (3, 3, 3)
    assert "it is no image, channel or file here, and was taken for a host" in unknown.err
    assert "presents the host key" in changed.err
    assert "  down: cannot reach 'down'" in down.out
    assert "  admin: no other host of its group told its state" in down.out
    assert "Traceback" not in unknown.text + changed.text + down.text


@pytest.mark.docker
def test_several_are_written_into_a_folder_and_one_that_fails_stops_none(project: Workshop, admin: LiveHost) -> None:
    ended = project.imagetest("snapshot", admin.name, "down", "-o", "snapshots", "--only", "packages")

    assert ended.code == 3
    assert ended.out == "snapshots/admin.json\n"
    assert "imagetest: cannot reach 'down'" in ended.err
    assert [path.name for path in (project.folder / "snapshots").iterdir()] == ["admin.json"]
