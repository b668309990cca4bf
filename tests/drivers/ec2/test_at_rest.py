"""AMIs before their first boot: their snapshots are read whole, or one clear line says why they are not."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from imagetest.drivers.ec2 import Ec2Driver, blocks, resting
from imagetest.drivers.ec2.amis import Ami
from imagetest.drivers.ec2.blocks import Snapshot
from imagetest.drivers.held import place
from imagetest.errors import EngineError, StorageError
from imagetest.execute import aws as door
from imagetest.execute.leases import Leases
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan
from imagetest.pipeline.boot import Fleet
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import ask, let_go, make_access
from tests.drivers.ec2.conftest import stubbed_client

pytestmark = pytest.mark.docker

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest")

BLOCK, CHECKSUM = 512 << 10, "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE="
"""How large a block is, and what `openssl sha256 -binary | base64` says of as many zeroes."""


@pytest.fixture
def snapshot(aws: AwsWithBodies, _account: None, ec2: Any) -> Iterator[Snapshot]:
    found = ec2.describe_images(ImageIds=[aws.ami("server")])["Images"][0]["BlockDeviceMappings"][0]
    client = door.client("ebs", aws.region)
    yield Snapshot(client, found["Ebs"]["SnapshotId"])
    client.close()


@pytest.fixture
def image(aws: AwsWithBodies, driver: Ec2Driver) -> Image:
    return driver.identify(f"{aws.region}:{aws.ami('server')}", name="web")


@as_root
class TestOpened:
    def test_it_is_as_it_shipped_and_leads_nowhere(
        self, aws: AwsWithBodies, driver: Ec2Driver, image: Image, tmp_path: Path
    ) -> None:
        resource, before = f"imagetest-test-rest@{aws.region}", len(aws.called)
        try:
            up = driver.rest(image, resource=resource, access=make_access(tmp_path / "keys"))
            shipped = ask(up, "cat /etc/machine-id; ls -A /root/.ssh; ls /sbin/init; stat -c '%U:%G' /var/mail")
            running = ask(up, "cat /proc/[0-9]*/comm | sort -u")[1].split()
            network = ask(up, "tail -n +3 /proc/net/dev | cut -d: -f1")[1].split()
            let_go(up)
        finally:
            driver.destroy(resource)

        assert shipped[1].splitlines()[-1] == b"root:mail"
        assert b"ls: cannot access '/sbin/init'" in shipped[2]
        assert set(running) <= {b"sh", b"cat", b"sort", b"sleep"}
        assert network == [b"lo"]
        assert set(aws.called[before:]) == {"DescribeImages", "ListSnapshotBlocks", "GetSnapshotBlock"}
        assert "MiB of snapshot snap-" in up.boot.notes[0]
        assert not place.of(resource).exists()

    def test_an_ami_that_changed_since_it_was_judged_is_not_opened(
        self, driver: Ec2Driver, image: Image, tmp_path: Path
    ) -> None:
        other = replace(image, digest="sha256:" + "0" * 64)

        with pytest.raises(EngineError, match="was to be booted"):
            driver.rest(other, resource="imagetest-test-other", access=make_access(tmp_path / "keys"))

    def test_what_an_earlier_run_left_open_is_removed_by_its_name(self, aws: AwsWithBodies, driver: Ec2Driver) -> None:
        resource = f"imagetest-test-earlier@{aws.region}"
        (place.make(resource) / "disk.raw").write_bytes(b"half a copy")
        driver.destroy(resource)

        assert not place.of(resource).exists()

    def test_a_key_that_may_not_be_used_is_named(
        self, aws: AwsWithBodies, driver: Ec2Driver, image: Image, tmp_path: Path
    ) -> None:
        aws.fail("ListSnapshotBlocks", "AccessDeniedException")

        with pytest.raises(door.RefusedError, match="AccessDeniedException") as caught:
            driver.rest(image, resource="imagetest-test-denied", access=make_access(tmp_path / "keys"))
        assert "CopyImage" in caught.value.hint  # it is a public one
        assert not place.of("imagetest-test-denied").exists()

    def test_one_that_fails_tells_its_own_error_and_asks_for_nothing_that_was_not_made(
        self, aws: AwsWithBodies, driver: Ec2Driver, image: Image, tmp_path: Path
    ) -> None:
        """With credentials that may read, and do nothing else."""
        fleet = Fleet(run="rests", leases=Leases(tmp_path / "leases"), folder=tmp_path, drivers=lambda _name: driver)
        aws.fail("ListSnapshotBlocks", "AccessDeniedException")
        before = len(aws.called)

        with pytest.raises(door.RefusedError, match="AccessDeniedException"):
            fleet.rest(image, BootPlan(driver="ec2"))
        assert set(aws.called[before:]) <= {"DescribeImages", "ListSnapshotBlocks"}
        assert fleet.close() == []
        assert list((tmp_path / "leases").glob("*.json")) == []


@as_root
class TestRead:
    def test_pages_make_the_whole_file_system(
        self, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(blocks, "PAGE", 100)
        path = tmp_path / "disk"
        snapshot.copy(path)
        partition = f"{path}?offset={1 << 20}"
        done = subprocess.run(["e2fsck", "-fn", partition], check=False, capture_output=True, text=True)

        assert done.returncode == 0, done.stdout
        assert snapshot.blocks > 100
        assert snapshot.bytes == snapshot.blocks * BLOCK
        assert path.stat().st_blocks * 512 < 2 * snapshot.bytes < path.stat().st_size

    def test_one_that_is_broken_off_reads_but_what_is_on_its_way(
        self, aws: AwsWithBodies, snapshot: Snapshot, tmp_path: Path
    ) -> None:
        looked: list[int] = []

        def alive() -> None:
            looked.append(aws.called.count("GetSnapshotBlock"))
            if len(looked) == 3:
                raise EngineError("nobody wants it any more")

        with pytest.raises(EngineError, match="nobody wants it any more"):
            snapshot.copy(tmp_path / "disk", alive=alive)
        read = aws.called.count("GetSnapshotBlock")

        assert snapshot.blocks == 3
        assert read <= looked[-1] + 2 * blocks.SIDE_BY_SIDE

    def test_it_is_the_same_though_aws_throttles_and_tokens_expire(
        self, aws: AwsWithBodies, snapshot: Snapshot, tmp_path: Path
    ) -> None:
        snapshot.copy(tmp_path / "undisturbed")
        aws.fail("ListSnapshotBlocks", "RequestThrottledException")
        aws.fail("GetSnapshotBlock", "RequestThrottledException", times=2)
        aws.fail("GetSnapshotBlock", "ValidationException", times=3)
        listed = aws.called.count("ListSnapshotBlocks")
        snapshot.copy(tmp_path / "disturbed")

        assert digest(tmp_path / "disturbed") == digest(tmp_path / "undisturbed")
        assert aws.called.count("ListSnapshotBlocks") == listed + 2 + 3


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def stubbed() -> Iterator[Stubber]:
    yield from stubbed_client("ebs")


def listed(stubbed: Stubber, *indices: int, token: str = "", **asked: Any) -> None:
    told: dict[str, Any] = {"VolumeSize": 1, "BlockSize": BLOCK}
    told["Blocks"] = [{"BlockIndex": one, "BlockToken": f"t{one}"} for one in indices]
    if token:
        told["NextToken"] = token
    stubbed.add_response(
        "list_snapshot_blocks", told, {"SnapshotId": "snap-1", "MaxResults": blocks.PAGE, **asked}
    )  # fmt: skip


def block(stubbed: Stubber, data: bytes, **said: Any) -> None:
    told = {"DataLength": len(data), "ChecksumAlgorithm": "SHA256", "Checksum": CHECKSUM} | said
    body = StreamingBody(io.BytesIO(data), len(data))
    stubbed.add_response("get_snapshot_block", {**told, "BlockData": body})


@pytest.mark.parametrize(
    ("data", "said", "complaint"),
    [
        (b"x" * BLOCK, {}, "block 7 of snapshot 'snap-1' is not what its checksum says; it was read 3 times"),
        (bytes(BLOCK - 1), {}, "came with 524287 bytes, expected 524288"),
        (bytes(BLOCK), {"DataLength": 3}, "expected 524288"),
        (bytes(BLOCK), {"ChecksumAlgorithm": "CRC32"}, "a checksum by 'CRC32', expected SHA256"),
        (bytes(BLOCK), {"Checksum": ""}, "is not what its checksum says"),
    ],
)
def test_a_block_that_does_not_arrive_whole_is_read_again_and_never_taken(
    stubbed: Stubber, tmp_path: Path, data: bytes, said: dict[str, Any], complaint: str
) -> None:
    listed(stubbed, 7, StartingBlockIndex=0)
    for _ in range(blocks.ATTEMPTS):
        block(stubbed, data, **said)

    with pytest.raises(EngineError) as caught:
        Snapshot(stubbed.client, "snap-1").copy(tmp_path / "disk")
    assert complaint in str(caught.value)


def test_a_block_that_arrives_whole_at_last_is_taken(stubbed: Stubber, tmp_path: Path) -> None:
    listed(stubbed, 7, StartingBlockIndex=0)
    block(stubbed, bytes(3))
    block(stubbed, bytes(BLOCK))
    snapshot = Snapshot(stubbed.client, "snap-1")
    snapshot.copy(tmp_path / "disk")

    assert (snapshot.blocks, snapshot.bytes) == (1, BLOCK)
    assert (tmp_path / "disk").stat().st_size == 1 << 30


def test_a_list_goes_on_where_it_was_when_its_token_has_expired(stubbed: Stubber, tmp_path: Path) -> None:
    listed(stubbed, 7, token="old", StartingBlockIndex=0)  # noqa: S106 - no secret
    block(stubbed, bytes(BLOCK))
    stubbed.add_client_error("list_snapshot_blocks", "ValidationException")
    listed(stubbed, token="empty", StartingBlockIndex=8)  # noqa: S106 - no secret
    listed(stubbed, 9, NextToken="empty")
    block(stubbed, bytes(BLOCK))
    snapshot = Snapshot(stubbed.client, "snap-1")
    snapshot.copy(tmp_path / "disk")

    assert snapshot.blocks == 2


def test_a_block_that_is_gone_from_the_list_is_an_error(stubbed: Stubber, tmp_path: Path) -> None:
    listed(stubbed, 7, StartingBlockIndex=0)
    stubbed.add_client_error("get_snapshot_block", "ValidationException")
    stubbed.add_response("list_snapshot_blocks", {"Blocks": [], "VolumeSize": 1, "BlockSize": BLOCK})

    with pytest.raises(EngineError, match="block 7 of snapshot 'snap-1' is not listed any more"):
        Snapshot(stubbed.client, "snap-1").copy(tmp_path / "disk")


def test_a_disk_that_is_full_is_one_clear_line(stubbed: Stubber, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        Snapshot(stubbed.client, "snap-1").copy(tmp_path / "missing" / "disk")


def described(**ebs: Any) -> Ami:
    volume = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1", **ebs}}
    said = {"Architecture": "x86_64", "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [volume]}
    return Ami(region="eu-west-1", id="ami-1", said=said)


@as_root
@pytest.mark.parametrize(
    ("code", "encrypted", "hint"),
    [
        ("AccessDeniedException", True, "kms:Decrypt"),
        ("AccessDeniedException", False, "permission for ListSnapshotBlocks"),
        ("ResourceNotFoundException", False, "shared with it?"),
    ],
)
def test_a_snapshot_that_may_not_be_read_says_what_is_missing(
    refusing: Callable[[str], None], tmp_path: Path, code: str, encrypted: bool, hint: str  # noqa: FBT001
) -> None:  # fmt: skip
    refusing(code)

    with pytest.raises(door.RefusedError, match=code) as caught:
        resting.open_root(
            described(Encrypted=encrypted), resource="imagetest-test-kms", access=make_access(tmp_path / "keys")
        )  # fmt: skip
    assert hint in caught.value.hint


@pytest.fixture
def refusing(stubbed: Stubber, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that has the driver's next question answered with a code."""
    monkeypatch.setattr(door, "client", lambda *_: stubbed.client)
    return lambda code: stubbed.add_client_error("list_snapshot_blocks", code)


@pytest.mark.parametrize(
    ("ami", "complaint"),
    [
        (replace(described(), said={**described().said, "Architecture": "arm64"}), "is for arm64"),
        (replace(described(), said={**described().said, "RootDeviceName": "/dev/sda1"}), "says of no snapshot"),
        (described(SnapshotId=None), "says of no snapshot"),
    ],
)
def test_what_cannot_be_opened_here_is_told_before_anything_is_read(tmp_path: Path, ami: Ami, complaint: str) -> None:
    with pytest.raises(EngineError, match=complaint):
        resting.open_root(ami, resource="imagetest-test-never", access=make_access(tmp_path / "keys"))
