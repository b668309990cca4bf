"""What a disk is, by its bytes and those below it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.drivers.qemu import QemuDriver, disk
from imagetest.errors import EngineError, ProcessError
from imagetest.execute import process
from imagetest.model.plan import BootPlan
from imagetest.testing.contracts import ignore, make_access

pytestmark = pytest.mark.qemu


@pytest.fixture
def driver() -> QemuDriver:
    return QemuDriver()


def make(path: Path, *options: str, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    process.output("qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "1M")
    if content:
        (raw := path.with_suffix(".raw")).write_bytes(content.ljust(1 << 20, b"\0"))
        process.output("qemu-img", "convert", "-O", "qcow2", str(raw), str(path))
    return path


def based_on(path: Path, base: Path) -> Path:
    return make(path, "-b", str(base), "-F", "qcow2")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_single_file_has_the_digest_that_sha256sum_prints(driver: QemuDriver, tmp_path: Path) -> None:
    path = make(tmp_path / "web.qcow2")
    found = driver.identify(str(path), name="web")

    assert found.digest == f"sha256:{sha256(path.read_bytes())}"
    assert (found.name, found.kind, found.reference) == ("web", "qemu", str(path))
    assert found.size == path.stat().st_size


def test_a_disk_that_is_based_on_another_is_known_by_both(driver: QemuDriver, tmp_path: Path) -> None:
    base = make(tmp_path / "base.qcow2", content=b"one")
    top = based_on(tmp_path / "web.qcow2", base)
    before = driver.identify(str(top), name="web")
    make(base, content=b"two")
    after = driver.identify(str(top), name="web")

    lines = f"{sha256(top.read_bytes())}\n{sha256(base.read_bytes())}\n".encode()
    assert after.digest == f"sha256:{sha256(lines)}"
    assert before.digest != after.digest


def test_a_disk_that_was_written_to_is_read_again(driver: QemuDriver, tmp_path: Path) -> None:
    path = tmp_path / "web.raw"
    path.write_bytes(bytes(1 << 20))
    before = driver.identify(str(path), name="web")
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert driver.identify(str(path), name="web").digest != before.digest


def test_a_relative_path_is_made_whole(driver: QemuDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "web.qcow2")
    monkeypatch.chdir(tmp_path)

    assert driver.identify("web.qcow2", name="web").reference == str(tmp_path / "web.qcow2")


def test_a_name_with_a_colon_and_a_comma_is_a_name(driver: QemuDriver, tmp_path: Path) -> None:
    path = make(tmp_path / "a:b,c=d" / "nbd:web.qcow2")
    found = driver.identify(str(path), name="web")
    disk.overlay(disk.layers(path)[0], tmp_path / "over,lay.qcow2")

    assert found.digest == f"sha256:{sha256(path.read_bytes())}"
    assert [layer.path for layer in disk.layers(tmp_path / "over,lay.qcow2")] == [tmp_path / "over,lay.qcow2", path]


@pytest.mark.parametrize("kind", ["folder", "nothing"])
def test_what_is_no_file_is_no_disk(driver: QemuDriver, tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(EngineError, match="there is no disk"):
        driver.identify(str(tmp_path / kind), name="web")


def test_a_disk_without_its_base_says_which_is_missing(driver: QemuDriver, tmp_path: Path) -> None:
    base = make(tmp_path / "base.qcow2")
    top = based_on(tmp_path / "web.qcow2", base)
    base.unlink()

    with pytest.raises(EngineError, match=r"cannot read disk .*web\.qcow2.*base\.qcow2"):
        driver.identify(str(top), name="web")


def test_a_disk_that_changed_since_it_was_judged_is_not_booted(driver: QemuDriver, tmp_path: Path) -> None:
    found = driver.identify(str(make(tmp_path / "web.qcow2")), name="web")

    with pytest.raises(EngineError, match="was to be booted"):
        driver.boot(
            replace(found, digest="sha256:" + "0" * 64), BootPlan(), resource="imagetest-test-changed",
            access=make_access(tmp_path), progress=ignore,
        )  # fmt: skip


def test_an_overlay_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    layer = disk.layers(make(tmp_path / "web.qcow2"))[0]

    with pytest.raises(EngineError, match="cannot make an overlay of disk"):
        disk.overlay(layer, tmp_path / "nowhere" / "disk.qcow2")


def test_a_disk_of_one_run_goes_with_the_folder_that_it_was_alone_in(driver: QemuDriver, tmp_path: Path) -> None:
    alone, beside = make(tmp_path / "output" / "web.qcow2"), make(tmp_path / "shared" / "web.qcow2")
    other = make(tmp_path / "shared" / "other.qcow2")
    for path in (alone, beside):
        driver.discard(str(path))
        driver.discard(str(path))

    assert not alone.parent.exists()
    assert [*beside.parent.iterdir()] == [other]


def test_a_copy_that_is_broken_off_ends_at_once(tmp_path: Path) -> None:
    """Long before its end: it would be as large as its disk then, and qemu-img would have gone by itself."""
    path, copied = tmp_path / "web.raw", tmp_path / "copy.raw"
    path.write_bytes(b"x" * (1 << 28))
    looked: list[bool] = []

    def alive() -> None:
        looked.append(copied.exists())
        if looked[-1]:
            raise EngineError("nobody wants it any more")

    disk.LOOK_SECONDS, before = 0.001, disk.LOOK_SECONDS
    try:
        with pytest.raises(EngineError, match="nobody wants it any more"):
            disk.raw(disk.layers(path)[0], copied, alive)
    finally:
        disk.LOOK_SECONDS = before
    running = [one.read_bytes() for one in Path("/proc").glob("[0-9]*/cmdline") if one.exists()]

    assert looked[-1]
    assert not any(str(copied).encode() in one for one in running)
    assert copied.stat().st_blocks * 512 < path.stat().st_size


def test_a_disk_that_cannot_be_copied_says_why(tmp_path: Path) -> None:
    layer = disk.layers(make(tmp_path / "web.qcow2"))[0]

    with pytest.raises(ProcessError, match=r"'qemu-img' exited with 1: .*No such file or directory"):
        disk.raw(replace(layer, path=tmp_path / "gone.qcow2"), tmp_path / "copy.raw", lambda: None)
