"""Disks in a folder and in a bucket: under their digests, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagetest.errors import ConfigError, EngineError, GateClosedError, StorageError
from imagetest.execute import aws, disks
from imagetest.model.assessment import Objection, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.finding import Status
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.disk import DiskPromoter, bucket, finished
from tests.nouns import NOW, found, judged, waiver
from tests.volumes import small_volume

JUDGED = judged(
    found("a"), found("b", Status.FAILED, waiver("b")), found("c", Status.NOT_APPLICABLE), found("d", Status.FAILED)
)
OPEN = Verdict(gate="default", objections=(), decided=NOW)
EVIDENCE = Evidence(assessment_id="run-web", document=encode(Document(assessment=JUDGED, verdict=OPEN)))


def made(path: Path, content: bytes = b"", size: str = "1M") -> Path:
    """Make a disk that says something in its first bytes."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(content + bytes(int(size[:-1]) * (1 << 20) - len(content)))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


def on_top(base: Path, path: Path) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, path], check=True)
    return path


def image(path: Path) -> Image:
    digest = disks.Digests().of(disks.layers(path))
    return Image(name="web", kind="qemu", reference=str(path), digest=digest)


def outlet(place: str | Path, channel: str = "stable") -> Outlet:
    return Outlet(channel=channel, image="web", disks=str(place))


def put(one: Image, to: Outlet) -> tuple[Placement, ...]:
    placements = DiskPromoter().place(one, to, EVIDENCE)
    DiskPromoter().publish(one, to, placements)
    return placements


def named(one: Image) -> str:
    return one.digest.replace(":", "-")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return made(tmp_path / "web.qcow2", b"first")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "images"


# -- a folder


def test_a_disk_its_checksum_and_its_assessment_lie_under_its_digest(disk: Path, shelf: Path) -> None:
    one = image(disk)
    (place,) = put(one, outlet(shelf))
    folder = shelf / "web"

    assert sorted(path.name for path in folder.iterdir()) == [
        f"{named(one)}.assessment.json", f"{named(one)}.intoto.json", f"{named(one)}.qcow2", f"{named(one)}.sha256",
        "stable.json", "stable.qcow2",
    ]  # fmt: skip
    assert place == Placement(where=f"qemu:{folder}/{named(one)}.qcow2", digest=one.digest)
    assert (folder / f"{named(one)}.qcow2").read_bytes() == disk.read_bytes()
    assert (folder / f"{named(one)}.assessment.json").read_bytes() == EVIDENCE.document
    assert subprocess.run(["sha256sum", "-c", f"{named(one)}.sha256"], cwd=folder, check=False).returncode == 0
    assert (folder / "stable.qcow2").readlink() == Path(f"{named(one)}.qcow2")
    assert json.loads((folder / "stable.json").read_text()) == {
        "image": "web", "channel": "stable", "digest": one.digest, "disk": f"{named(one)}.qcow2",
        "sha256": one.digest.removeprefix("sha256:"),
    }  # fmt: skip


def attested(folder: Path, one: Image) -> Any:
    return json.loads((folder / f"{named(one)}.intoto.json").read_text())


def test_what_was_tested_is_attested_of_the_very_file(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(on_top(disk, tmp_path / "top.qcow2"))
    (place,) = put(one, outlet(shelf))
    said = attested(shelf / "web", one)
    document = hashlib.sha256((shelf / "web" / f"{named(one)}.assessment.json").read_bytes()).hexdigest()

    assert said == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"{named(one)}.qcow2", "digest": {"sha256": place.digest.removeprefix("sha256:")}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "WARNED",
            "configuration": [{"name": f"{named(one)}.assessment.json", "digest": {"sha256": document}}],
            "passedTests": ["a"], "warnedTests": ["b"], "failedTests": ["d"],
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "status", "result"),
    [
        (OPEN, Status.PASSED, "PASSED"),
        (replace(OPEN, tolerated=("a",)), Status.FAILED, "WARNED"),
        (replace(OPEN, objections=(Objection(rule="r", message="it is broken"),)), Status.FAILED, "FAILED"),
    ],
)
def test_what_is_attested_is_what_was_judged(
    verdict: Verdict, status: Status, result: str, disk: Path, shelf: Path
) -> None:
    one = image(disk)
    document = encode(Document(assessment=judged(found("a", status)), verdict=verdict))
    DiskPromoter().place(one, outlet(shelf), Evidence(assessment_id="run-web", document=document))

    assert attested(shelf / "web", one)["predicate"]["result"] == result


def test_a_disk_with_others_below_it_is_made_into_one(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(on_top(disk, tmp_path / "top.qcow2"))
    (place,) = put(one, outlet(shelf))
    again = put(one, outlet(shelf))
    flat = Path(place.where.removeprefix("qemu:"))

    assert again == (place,)
    assert flat.name == f"{named(one)}.qcow2"
    assert len(disks.layers(flat)) == 1
    assert place.digest == "sha256:" + hashlib.sha256(flat.read_bytes()).hexdigest() != one.digest
    assert subprocess.run(["qemu-img", "compare", "-q", flat, disk], check=False).returncode == 0


def test_a_raw_disk_keeps_its_ending_and_the_link_of_another_goes(disk: Path, shelf: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.img"
    raw.write_bytes(b"\1" * 4096)
    put(image(disk), outlet(shelf))
    put(image(raw), outlet(shelf))

    assert sorted(path.name for path in (shelf / "web").glob("stable.*")) == ["stable.json", "stable.raw"]
    assert (shelf / "web/stable.raw").read_bytes() == raw.read_bytes()


def test_a_disk_that_is_not_what_was_tested_is_refused(disk: Path, shelf: Path) -> None:
    one = image(disk)
    disk.write_bytes(disk.read_bytes() + b"more")

    with pytest.raises(GateClosedError, match="was tested"):
        put(one, outlet(shelf))
    assert not shelf.exists()


def test_a_disk_that_changes_while_it_is_copied_is_refused(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(disk)
    other = made(tmp_path / "other.qcow2", b"other")
    behind = DiskPromoter()
    original = disks.Digests.of

    def changing(self: disks.Digests, layers: tuple[disks.Layer, ...]) -> str:
        found = original(self, layers)
        disk.write_bytes(other.read_bytes())
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disks.Digests, "of", changing)
        with pytest.raises(GateClosedError, match="changed while it was copied"):
            behind.place(one, outlet(shelf), EVIDENCE)
    assert list((shelf / "web").iterdir()) == []


def test_a_disk_that_is_gone_is_an_error_of_one_line(shelf: Path, tmp_path: Path) -> None:
    gone = Image(name="web", kind="qemu", reference=str(tmp_path / "none.qcow2"), digest="sha256:" + "0" * 64)

    with pytest.raises(EngineError, match=r"cannot read disk .*none.qcow2"):
        put(gone, outlet(shelf))


def test_a_file_that_somebody_changed_is_neither_taken_nor_pointed_at(disk: Path, shelf: Path) -> None:
    one = image(disk)
    placements = put(one, outlet(shelf))
    (shelf / "web" / f"{named(one)}.qcow2").write_bytes(b"forged")

    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().place(one, outlet(shelf), EVIDENCE)
    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().publish(one, outlet(shelf, "beta"), placements)
    assert not (shelf / "web/beta.json").exists()


def test_what_is_gone_or_was_never_brought_is_not_pointed_at(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(disk)
    (place,) = DiskPromoter().place(one, outlet(shelf), EVIDENCE)
    (shelf / "web" / f"{named(one)}.qcow2").unlink()

    with pytest.raises(StorageError, match="is not there any more"):
        DiskPromoter().publish(one, outlet(shelf), (place,))
    with pytest.raises(StorageError, match="was never brought to"):
        DiskPromoter().publish(one, outlet(tmp_path / "elsewhere"), (place,))


def test_a_link_that_leads_out_is_not_followed(disk: Path, shelf: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shelf.mkdir()
    (shelf / "web").symlink_to(outside)

    with pytest.raises(StorageError, match="leads out of"):
        put(image(disk), outlet(shelf))
    assert list(outside.iterdir()) == []


def test_a_link_in_a_disks_place_is_not_followed(disk: Path, shelf: Path) -> None:
    one = image(disk)
    (shelf / "web").mkdir(parents=True)
    (shelf / "web" / f"{named(one)}.qcow2").symlink_to(disk)

    with pytest.raises(StorageError, match="is a link, expected a disk"):
        put(one, outlet(shelf))


def test_a_full_disk_leaves_nothing_half(disk: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.raw"
    big.write_bytes(os.urandom(4 << 20))
    with small_volume(tmp_path / "small") as small:
        put(image(disk), outlet(small))
        before = sorted(path.name for path in (small / "web").iterdir())
        with pytest.raises(StorageError, match=r"cannot publish .*: No space left on device"):
            put(image(big), outlet(small))
        after = sorted(path.name for path in (small / "web").iterdir())

    assert before == after


def test_what_a_killed_promotion_left_goes_in_time(disk: Path, shelf: Path) -> None:
    (shelf / "web").mkdir(parents=True)
    old, young = shelf / "web/.x.qcow2.0.part", shelf / "web/.y.qcow2.0.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    put(image(disk), outlet(shelf))

    assert (old.exists(), young.exists()) == (False, True)


def test_a_disk_that_a_killed_promotion_was_making_into_one_file_goes_in_time(
    disk: Path, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    monkeypatch.setattr(finished, "ROOM", str(room))
    old, young, another = (room / name for name in ("imagetest-disk-old", "imagetest-disk-young", "somebody-elses"))
    for folder in (old, young, another):
        folder.mkdir(parents=True)
        (folder / "disk.qcow2").write_bytes(b"half")
    for folder in (old, another):
        os.utime(folder / "disk.qcow2", (0, 0))
        os.utime(folder, (0, 0))
    put(image(on_top(disk, tmp_path / "top.qcow2")), outlet(shelf))

    assert sorted(path.name for path in room.iterdir()) == [young.name, another.name]


def test_many_who_promote_at_once_leave_whole_disks_and_one_pointer(shelf: Path, tmp_path: Path) -> None:
    several = [image(made(tmp_path / f"{number}.qcow2", b"%d" % number)) for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: put(one, outlet(shelf)), several * 4))
    folder = shelf / "web"

    assert {path.name for path in folder.glob("sha256-*.qcow2")} == {f"{named(one)}.qcow2" for one in several}
    assert all(
        hashlib.sha256(path.read_bytes()).hexdigest() in path.name for path in folder.glob("sha256-*.qcow2")
    )  # fmt: skip
    assert (folder / "stable.qcow2").resolve().name in {f"{named(one)}.qcow2" for one in several}
    assert not list(folder.glob(".*"))


def test_a_withdrawn_channel_leads_nowhere_and_the_disk_stays(disk: Path, shelf: Path) -> None:
    one = image(disk)
    placements = put(one, outlet(shelf))
    put(one, outlet(shelf, "stable.2"))
    for _ in range(2):
        DiskPromoter().withdraw(outlet(shelf), placements)

    assert sorted(path.name for path in (shelf / "web").glob("stable*")) == ["stable.2.json", "stable.2.qcow2"]
    assert (shelf / "web" / f"{named(one)}.qcow2").exists()


def test_a_channel_without_a_place_for_disks_says_so() -> None:
    with pytest.raises(ConfigError, match="channel 'stable' takes no disks, which 'web' is") as caught:
        DiskPromoter().check(outlet(""))
    assert "[channels.stable] disks" in caught.value.hint


def test_what_was_placed_is_kept_though_its_own_file_is_gone(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(on_top(disk, tmp_path / "top.qcow2"))
    placements = put(one, outlet(shelf))
    put(image(disk), outlet(shelf))
    (tmp_path / "top.qcow2").unlink()
    kept = DiskPromoter().kept(one, outlet(shelf), placements)
    DiskPromoter().publish(one, outlet(shelf), kept)
    elsewhere = DiskPromoter().kept(one, outlet(tmp_path / "elsewhere"), placements)

    assert kept == placements
    assert elsewhere == ()
    assert json.loads((shelf / "web/stable.json").read_text())["digest"] == one.digest


def test_what_is_gone_is_not_kept_and_what_is_something_else_is_refused(disk: Path, shelf: Path) -> None:
    one = image(disk)
    placements = put(one, outlet(shelf))
    path = shelf / "web" / f"{named(one)}.qcow2"
    path.write_bytes(b"forged")
    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().kept(one, outlet(shelf), placements)
    path.unlink()

    assert DiskPromoter().kept(one, outlet(shelf), placements) == ()


@pytest.mark.parametrize("wrong", ["stable.json", "stable.qcow2"])
def test_a_channel_half_of_which_is_gone_does_not_stand(wrong: str, disk: Path, shelf: Path) -> None:
    one = image(disk)
    placements = put(one, outlet(shelf))
    whole = DiskPromoter().stands(one, outlet(shelf), placements)
    (shelf / "web" / wrong).unlink()

    assert whole
    assert not DiskPromoter().stands(one, outlet(shelf), placements)


# -- a bucket


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in {**settings, "AWS_DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    client = aws.client("s3")
    client.create_bucket(Bucket="images", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield client
    for one in client.list_objects_v2(Bucket="images").get("Contents", []):
        client.delete_object(Bucket="images", Key=one["Key"])
    client.delete_bucket(Bucket="images")
    client.close()


BUCKET = "s3://images/golden/"


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="images").get("Contents", [])]


def body(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket="images", Key=key)["Body"].read())


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a disk of three parts, the last of them short."""
    path = tmp_path / "large.raw"
    path.write_bytes(os.urandom(2 * bucket.PART_BYTES + 12345))
    return path


def test_a_bucket_gets_the_same_files(s3: Any, disk: Path) -> None:
    one = image(disk)
    (place,) = put(one, outlet(BUCKET))
    again = put(one, outlet(BUCKET))
    stem = f"golden/web/{named(one)}"

    assert keys(s3) == [
        f"{stem}.assessment.json",
        f"{stem}.intoto.json",
        f"{stem}.qcow2",
        f"{stem}.sha256",
        "golden/web/stable.json",
    ]
    assert again == (place,) == (Placement(where=f"s3://images/{stem}.qcow2", digest=one.digest),)
    assert body(s3, f"{stem}.qcow2") == disk.read_bytes()
    assert json.loads(body(s3, "golden/web/stable.json"))["digest"] == one.digest


def test_a_large_disk_is_uploaded_in_parts_that_are_checked(s3: Any, large: Path) -> None:
    one = image(large)
    put(one, outlet(BUCKET))
    put(one, outlet(BUCKET))
    key = f"golden/web/{named(one)}.raw"
    head = s3.head_object(Bucket="images", Key=key, ChecksumMode="ENABLED")

    assert body(s3, key) == large.read_bytes()
    assert head["ETag"].endswith('-3"')
    assert s3.list_multipart_uploads(Bucket="images").get("Uploads", []) == []


def test_an_upload_that_fails_leaves_nothing(s3: Any, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, size: int = 0) -> Iterator[bytes]:
        yield path.read_bytes()[:size]
        raise KeyboardInterrupt

    monkeypatch.setattr(bucket, "chunks", broken)
    with pytest.raises(KeyboardInterrupt):
        DiskPromoter().place(image(large), outlet(BUCKET), EVIDENCE)

    assert keys(s3) == []
    assert s3.list_multipart_uploads(Bucket="images").get("Uploads", []) == []


def begun(s3: Any, key: str) -> str:
    made = s3.create_multipart_upload(Bucket="images", Key=key)["UploadId"]
    s3.upload_part(Bucket="images", Key=key, UploadId=made, PartNumber=1, Body=b"half")
    return str(made)


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the uploads that began just now; the emulator says of all that they began years ago."""
    found: set[str] = set()
    client = aws.client

    def telling(service: str, region: str = "") -> Any:
        def tell(parsed: dict[str, Any], **_: object) -> None:
            for one in parsed.get("Uploads", ()):
                if one["UploadId"] in found:
                    one["Initiated"] = datetime.now(UTC)

        made = client(service, region)
        made.meta.events.register("after-call.s3.ListMultipartUploads", tell)
        return made

    monkeypatch.setattr(aws, "client", telling)
    return found


def test_what_a_killed_upload_left_goes_in_time(s3: Any, disk: Path, young: set[str]) -> None:
    killed, mine = begun(s3, "golden/web/sha256-0.qcow2"), begun(s3, "golden/web/sha256-1.qcow2")
    others = [begun(s3, "golden/web/else.qcow2"), begun(s3, "golden/web2/sha256-0.qcow2")]
    young.add(mine)
    put(image(disk), outlet(BUCKET))
    left = s3.list_multipart_uploads(Bucket="images")["Uploads"]
    for one in left:
        s3.abort_multipart_upload(Bucket="images", Key=one["Key"], UploadId=one["UploadId"])

    assert {one["UploadId"] for one in left} == {mine, *others}
    assert killed not in {one["UploadId"] for one in left}


def test_why_an_upload_failed_is_said_though_it_cannot_be_aborted(
    s3: Any, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws.client

    def failing(service: str, region: str = "") -> Any:
        def fail(model: Any, **_: object) -> None:
            if model.name in {"UploadPart", "AbortMultipartUpload"}:
                raise ClientError({"Error": {"Code": "Test", "Message": f"no {model.name}"}}, model.name)

        made = client(service, region)
        made.meta.events.register("before-call.s3", fail)
        return made

    monkeypatch.setattr(aws, "client", failing)
    with pytest.raises(EngineError, match="no UploadPart"):
        put(image(large), outlet(BUCKET))
    assert keys(s3) == []


@pytest.mark.parametrize("place", ["", BUCKET], ids=["folder", "bucket"])
def test_a_disk_that_goes_while_it_is_brought_is_one_line(place: str, s3: Any, large: Path, shelf: Path) -> None:
    del s3
    one, original = image(large), disks.Digests.of

    def going(self: disks.Digests, layers: tuple[disks.Layer, ...]) -> str:
        found = original(self, layers)
        large.unlink()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disks.Digests, "of", going)
        with pytest.raises(EngineError, match=f"cannot read disk '{large}': No such file"):
            DiskPromoter().place(one, outlet(place or shelf), EVIDENCE)


def test_without_room_for_one_file_it_is_one_line(disk: Path, shelf: Path, tmp_path: Path) -> None:
    one = image(on_top(disk, tmp_path / "top.qcow2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finished, "ROOM", str(tmp_path / "nowhere"))
        with pytest.raises(EngineError, match=f"cannot make a folder in {tmp_path}/nowhere: No such file"):
            put(one, outlet(shelf))


def test_an_object_that_somebody_changed_is_neither_taken_nor_pointed_at(s3: Any, disk: Path) -> None:
    one = image(disk)
    placements = put(one, outlet(BUCKET))
    key = f"golden/web/{named(one)}.qcow2"
    s3.put_object(Bucket="images", Key=key, Body=b"forged", Metadata={"sha256": one.digest[7:]})
    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().place(one, outlet(BUCKET), EVIDENCE)

    s3.put_object(Bucket="images", Key=key, Body=b"forged")
    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().publish(one, outlet(BUCKET), placements)


def test_a_withdrawn_channel_of_a_bucket_leads_nowhere(s3: Any, disk: Path) -> None:
    placements = put(image(disk), outlet(BUCKET))
    for _ in range(2):
        DiskPromoter().withdraw(outlet(BUCKET), placements)

    assert "golden/web/stable.json" not in keys(s3)
    assert len(keys(s3)) == 4


def test_what_lies_in_a_bucket_is_read_before_it_is_gone_back_to(s3: Any, large: Path) -> None:
    one = image(large)
    placements = put(one, outlet(BUCKET))
    large.unlink()
    kept = DiskPromoter().kept(one, outlet(BUCKET), placements)
    key = f"golden/web/{named(one)}.raw"
    s3.put_object(Bucket="images", Key=key, Body=b"forged", Metadata={"sha256": one.digest[7:]})
    with pytest.raises(StorageError, match="is not what it is called"):
        DiskPromoter().kept(one, outlet(BUCKET), placements)
    s3.delete_object(Bucket="images", Key=key)

    assert kept == placements
    assert DiskPromoter().kept(one, outlet(BUCKET), placements) == ()


def test_what_s3_hides_is_told_with_the_permission_that_is_missing(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without s3:ListBucket, S3 answers so for what is not there; moto lets everybody see all."""

    class Hides(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hides)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_DEFAULT_REGION": "eu-west-1"}
    for name, value in {**settings, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    try:
        with pytest.raises(EngineError, match=r"cannot read s3://images/.*403") as caught:
            put(image(disk), outlet(BUCKET))
    finally:
        server.shutdown()
        server.server_close()

    assert "s3:ListBucket on the bucket" in caught.value.hint


def test_a_bucket_that_is_not_there_is_an_error_of_one_line(s3: Any, disk: Path) -> None:
    del s3
    with pytest.raises(EngineError, match=r"cannot \w+ s3://nowhere-at-all/web/.*NoSuchBucket|does not exist"):
        put(image(disk), outlet("s3://nowhere-at-all"))
