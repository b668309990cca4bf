"""A lease is on disk before its resource is, tells whether its owner still runs, and never fails silently."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.errors import LeakError, StorageError
from imagetest.execute.leases import Lease, Leases, is_abandoned, owner_is_alive, process_start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "leases"


@pytest.fixture
def leases(folder: Path) -> Leases:
    return Leases(folder)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Give another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        yield other
        other.kill()


def test_a_lease_is_there_until_it_is_released(leases: Leases) -> None:
    taken = leases.take("docker", "imagetest-1-web", "web")
    found = list(Leases(leases._folder))  # noqa: SLF001 - as another process would read them
    leases.release("imagetest-1-web")

    assert found == [taken]
    assert (taken.kind, taken.resource, taken.image, taken.pid, taken.kept) == (
        "docker", "imagetest-1-web", "web", os.getpid(), False
    )  # fmt: skip
    assert list(leases) == []


def test_releasing_what_is_gone_is_fine(leases: Leases) -> None:
    leases.release("imagetest-1-web")


def test_a_live_owner_keeps_its_resource(leases: Leases) -> None:
    assert owner_is_alive(leases.take("docker", "imagetest-1-web", "web"))
    assert not any(map(is_abandoned, leases))


def test_a_dead_owner_abandons_its_resource(folder: Path, leases: Leases) -> None:
    script = f"from imagetest.execute.leases import Leases; from pathlib import Path; Leases(Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", f"{script}.take('docker', 'imagetest-2-web', 'web')"], check=True)

    assert [lease.resource for lease in leases if is_abandoned(lease)] == ["imagetest-2-web"]


def test_a_process_id_that_was_given_out_again_is_not_the_owner(
    leases: Leases, stranger: subprocess.Popen[bytes]
) -> None:
    mine = leases.take("docker", "imagetest-1-web", "web")

    assert owner_is_alive(replace(mine, pid=stranger.pid, started=process_start(stranger.pid)))
    assert not owner_is_alive(replace(mine, pid=stranger.pid))


def test_a_stopped_owner_is_still_one(leases: Leases, stranger: subprocess.Popen[bytes]) -> None:
    stranger.send_signal(signal.SIGSTOP)
    lease = replace(leases.take("docker", "r", "web"), pid=stranger.pid, started=process_start(stranger.pid))

    assert owner_is_alive(lease)


def test_what_was_kept_on_purpose_is_never_abandoned(leases: Leases) -> None:
    leases.take("docker", "imagetest-1-web", "web")
    leases.keep("imagetest-1-web")
    (kept,) = leases
    gone = replace(kept, pid=2**22 - 1)
    leases._write(gone)  # noqa: SLF001 - as a process that has ended would have left it

    assert kept.kept
    assert not owner_is_alive(gone)
    assert not any(map(is_abandoned, leases))


def test_keeping_one_does_not_depend_on_the_others(folder: Path, leases: Leases) -> None:
    leases.take("docker", "imagetest-1-web", "web")
    (folder / "aaa.json").write_text("torn")
    leases.keep("imagetest-1-web")

    assert '"kept":true' in (folder / "imagetest-1-web.json").read_text()


def test_keeping_what_has_no_lease_is_an_error(leases: Leases) -> None:
    with pytest.raises(StorageError, match="is gone"):
        leases.keep("imagetest-1-web")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"kind": "docker", "resource"', id="torn"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"kind": "docker"}', id="fields-missing"),
        pytest.param(b'{"kind":"docker","resource":"r","image":"i","pid":"x","started":"1"}', id="pid-is-text"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
    ],
)
def test_a_lease_that_cannot_be_read_is_an_error_that_names_it(folder: Path, leases: Leases, content: bytes) -> None:
    leases.take("docker", "imagetest-1-web", "web")
    (folder / "imagetest-0-web.json").write_bytes(content)

    with pytest.raises(StorageError, match=r"imagetest-0-web\.json cannot be read") as caught:
        list(leases)
    assert "delete the file" in caught.value.hint
    assert [lease.resource for lease in leases.look()[0]] == ["imagetest-1-web"]


def test_a_lease_that_may_not_be_read_is_an_error_that_names_it(folder: Path, leases: Leases) -> None:
    (folder / "imagetest-0-web.json").mkdir(parents=True)

    with pytest.raises(StorageError, match=r"imagetest-0-web\.json cannot be read"):
        list(leases)


def test_a_lease_that_vanishes_while_it_is_read_is_no_lease(folder: Path, leases: Leases) -> None:
    folder.mkdir(parents=True)
    (folder / "imagetest-0-web.json").symlink_to(folder / "nowhere")

    assert list(leases) == []


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="cannot write a lease") as caught:
        Leases(tmp_path / "file" / "leases").take("docker", "imagetest-1-web", "web")
    assert "nothing was started" in caught.value.hint


def test_a_full_disk_is_an_error_and_leaves_no_lease(leases: Leases, folder: Path) -> None:
    leases.take("docker", "imagetest-1-web", "web")
    (folder / "imagetest-2-web.new").symlink_to("/dev/full")

    with pytest.raises(StorageError, match="No space left on device"):
        leases.take("docker", "imagetest-2-web", "web")
    assert [lease.resource for lease in leases] == ["imagetest-1-web"]


def test_a_lease_that_cannot_be_removed_is_a_leak(folder: Path, leases: Leases) -> None:
    (folder / "imagetest-1-web.json").mkdir(parents=True)

    with pytest.raises(LeakError, match=r"cannot remove lease .*imagetest-1-web\.json"):
        leases.release("imagetest-1-web")


def test_a_lease_of_an_earlier_version_is_still_read(folder: Path, leases: Leases) -> None:
    folder.mkdir(parents=True)
    (folder / "old.json").write_text(
        '{"kind": "docker", "resource": "old", "image": "web", "pid": 1, "started": "1", "kept": false}'
    )

    assert list(leases) == [Lease(kind="docker", resource="old", image="web", pid=1, started="1")]


def test_the_start_of_a_process_is_known_whatever_it_is_called(tmp_path: Path) -> None:
    program = tmp_path / "a ) b (c"
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", "import time; time.sleep(60)"]) as other:
        started = process_start(other.pid)
        other.kill()

    assert started.isdigit()
    assert process_start(2**22 - 1) == ""
