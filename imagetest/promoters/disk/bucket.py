"""A bucket of disks: nothing stands under its key before S3 has found it whole.

S3 checks each part of an upload against its SHA-256 and answers with one of all the parts' ("Checking object integrity
in Amazon S3": composite checksums), so that what lies there is known without reading it back.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from imagetest.errors import EngineError, StorageError
from imagetest.execute import aws
from imagetest.execute.interrupts import interrupts
from imagetest.promoters.disk.finished import CHUNK_BYTES, Finished, chunks, content_of, must_be, size_of

PART_BYTES = 8 << 20
"""The size of a part; S3 takes 10,000 parts at most ("Amazon S3 multipart upload limits")."""

MOST_PARTS = 10_000
HIDDEN = frozenset({"403", "AccessDenied"})
"""What S3 answers for an object that may be read: also for one that is not there, if the bucket may not be listed
("GetObject", "HeadObject"; a HEAD has no body to say more than the number)."""

LISTING = "give the credentials s3:ListBucket on the bucket, without which S3 does not tell what is not there"

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
NO_UPLOAD = "NoSuchUpload"

STEM = "sha256-"
"""How the names of disks begin, and of nothing else below the prefix of an image."""

STALE = timedelta(days=1)
"""After this long an upload that is not complete is one that nobody will complete; S3 keeps, and bills, its parts."""

AGAIN = "does another promote? promote it again"


class Bucket:
    """The disks of one image, below a prefix of its name."""

    def __init__(self, url: str, image: str) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = "/".join(part for part in (prefix.strip("/"), image) if part)

    def where(self, name: str) -> str:
        """Return what a placement says of an object."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def put(self, name: str, disk: Finished) -> None:
        """Upload a disk, in parts where it is large; S3 puts them together once every one of them is there."""
        with _asked(f"upload {self.where(name)}") as s3:
            self._sweep(s3)
            if size_of(disk.path) <= PART_BYTES:
                self._put(s3, name, content_of(disk.path), disk)
            else:
                self._put_parts(s3, name, disk)
        if not self.holds(name, disk.sha256, disk):
            raise StorageError(f"{self.where(name)} is not there after it was uploaded", hint="promote it again")

    def write(self, name: str, content: bytes) -> None:
        """Put a small object, and read it back."""
        key = {"Bucket": self._bucket, "Key": self._key(name)}
        with _asked(f"write {self.where(name)}") as s3:
            s3.put_object(
                **key,
                Body=content,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=_base64(hashlib.sha256(content).digest()),
            )
            found = s3.get_object(**key)["Body"].read()
        if found != content:
            raise StorageError(f"{self.where(name)} says something else after it was written", hint=AGAIN)

    def holds(self, name: str, sha256: str, disk: Finished | None = None) -> bool:
        """Say whether a disk lies there: by its own sums where it is at hand, else by what it was uploaded with."""
        with _asked(f"read {self.where(name)}") as s3:
            try:
                head = s3.head_object(Bucket=self._bucket, Key=self._key(name), ChecksumMode="ENABLED")
            except s3.exceptions.ClientError as error:
                if aws.code_of(error) in MISSING:
                    return False
                raise
        told = head.get("Metadata", {}).get("sha256", "nothing")
        if told != sha256 or (disk is not None and not _same(head, disk)):
            raise self._other(name, told, sha256)
        return True

    def whole(self, name: str, sha256: str) -> bool:
        """Say whether a disk lies there, by reading it. Raises StorageError when something else does."""
        read = hashlib.sha256()
        with _asked(f"read {self.where(name)}") as s3:
            found = self._get(s3, name)
            if found is None:
                return False
            for chunk in found.iter_chunks(CHUNK_BYTES):
                interrupts.checkpoint()
                read.update(chunk)
        if read.hexdigest() != sha256:
            raise self._other(name, read.hexdigest(), sha256)
        return True

    def says(self, name: str) -> bytes | None:
        """Return what a small object says; None where there is none."""
        with _asked(f"read {self.where(name)}") as s3:
            found = self._get(s3, name)
            return bytes(found.read()) if found is not None else None

    def leads(self, channel: str, name: str) -> bool:
        """Say yes: in a bucket the channel's small object is all that leads to the disk."""
        del channel, name
        return True

    def _get(self, s3: Any, name: str) -> Any:
        """Return the body of an object; None where there is none."""
        try:
            return s3.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]
        except s3.exceptions.ClientError as error:
            if aws.code_of(error) in MISSING:
                return None
            raise

    def _other(self, name: str, found: str, expected: str) -> StorageError:
        return StorageError(
            f"{self.where(name)} is not what it is called: SHA-256 {found}, expected {expected}",
            hint="find out who changed it; remove it, and promote again",
        )

    def point(self, channel: str, name: str) -> None:
        """Do nothing: in a bucket the channel's small object is all that leads to the disk."""
        del channel, name

    def remove(self, channel: str) -> None:
        """Remove the channel's small object; one that is not there is fine."""
        name = f"{channel}.json"
        with _asked(f"remove {self.where(name)}") as s3:
            s3.delete_object(Bucket=self._bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _put(self, s3: Any, name: str, content: bytes, disk: Finished) -> None:
        read = hashlib.sha256(content)
        must_be(disk.sha256, read.hexdigest(), str(disk.path))
        s3.put_object(
            Bucket=self._bucket, Key=self._key(name), Body=content, ChecksumAlgorithm="SHA256",
            ChecksumSHA256=_base64(read.digest()),
            Metadata={"sha256": disk.sha256},
        )  # fmt: skip

    def _put_parts(self, s3: Any, name: str, disk: Finished) -> None:
        key = {"Bucket": self._bucket, "Key": self._key(name)}
        begun = s3.create_multipart_upload(
            **key, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE", Metadata={"sha256": disk.sha256}
        )  # fmt: skip
        upload = key | {"UploadId": begun["UploadId"]}
        try:
            parts, whole = _upload(s3, upload, disk)
            must_be(disk.sha256, whole, str(disk.path))
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(s3.exceptions.ClientError):  # why it failed says more, and the next one sweeps
                s3.abort_multipart_upload(**upload)
            raise

    def _sweep(self, s3: Any) -> None:
        """Abort what promotions that were killed began to upload for this image, and what nobody will finish."""
        now = datetime.now(UTC)
        ours = self._key(STEM)
        for one in aws.pages(s3, "list_multipart_uploads", "Uploads", Bucket=self._bucket, Prefix=ours):
            if now - one["Initiated"] < STALE:
                continue
            try:
                s3.abort_multipart_upload(Bucket=self._bucket, Key=one["Key"], UploadId=one["UploadId"])
            except s3.exceptions.ClientError as error:
                if aws.code_of(error) != NO_UPLOAD:
                    raise


@contextmanager
def _asked(what: str) -> Iterator[Any]:
    try:
        with closing(aws.client("s3")) as s3, aws.translated(what):
            yield s3
    except aws.RefusedError as error:
        if error.code in HIDDEN:
            raise EngineError(str(error), hint=f"{LISTING}; what else is needed is in docs/promotion.md") from error
        raise


def _upload(s3: Any, upload: dict[str, str], disk: Finished) -> tuple[list[dict[str, Any]], str]:
    """Upload the parts of a disk; return them, and the digest of all that was read."""
    whole, parts = hashlib.sha256(), []
    for number, chunk in enumerate(chunks(disk.path, _part_bytes(disk)), start=1):
        whole.update(chunk)
        part = {"PartNumber": number, "ChecksumSHA256": _base64(hashlib.sha256(chunk).digest())}
        done = s3.upload_part(**upload, **part, ChecksumAlgorithm="SHA256", Body=chunk)
        parts.append(part | {"ETag": done["ETag"]})
    return parts, whole.hexdigest()


def _same(head: Mapping[str, Any], disk: Finished) -> bool:
    """Say whether S3 tells the size and the checksum of a disk that was uploaded by `put`."""
    size = size_of(disk.path)
    found = [hashlib.sha256(chunk).digest() for chunk in chunks(disk.path, _part_bytes(disk))]
    whole = hashlib.sha256(b"".join(found)).digest() if size > PART_BYTES else b"".join(found)
    told = str(head.get("ChecksumSHA256", "")).partition("-")[0]  # behind it S3 tells how many parts there were
    return head["ContentLength"] == size and told == _base64(whole)


def _part_bytes(disk: Finished) -> int:
    """Return the size of the parts, which follows from that of the disk alone."""
    return PART_BYTES * -(-size_of(disk.path) // (PART_BYTES * MOST_PARTS) or 1)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
