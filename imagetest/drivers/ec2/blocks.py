"""The bytes of a snapshot, read block by block with the EBS direct APIs: no instance has to run for it.

The APIs: https://docs.aws.amazon.com/ebs/latest/userguide/readsnapshots.html. A snapshot holds the blocks that were
ever written; what it does not hold is zeroes.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from imagetest.errors import EngineError, StorageError
from imagetest.execute import aws
from imagetest.execute.interrupts import interrupts

PAGE = 1000
"""How many blocks are listed, and then read, at a time; 512 KiB each, so that no token gets old."""

FEWEST = 100
"""The shortest list that AWS gives out."""

SIDE_BY_SIDE = 8
"""How many blocks are read at the same time; boto3 keeps ten connections."""

ATTEMPTS = 3
"""How often a block is read that does not arrive whole. What AWS refuses for its load botocore repeats by itself."""

GIB = 1 << 30

OUTDATED = "ValidationException"
"""What AWS says of a token that has expired, among other things."""

ALGORITHM = "SHA256"


class Snapshot:
    """A snapshot that is read."""

    def __init__(self, ebs: Any, identity: str) -> None:
        """Read it by a client of `ebs`."""
        self._ebs = ebs
        self._id = identity
        self.blocks = 0
        """How many blocks were read."""
        self.bytes = 0
        """How many bytes that was."""

    def copy(self, path: Path, *, alive: Callable[[], None] = interrupts.checkpoint) -> None:
        """Write it to a new file as large as the volume, with holes where it has no blocks.

        `alive` is called after each block, and what it raises breaks it off.
        Raises EngineError for what AWS refuses or does not send whole, and StorageError where the file has no room.
        """
        try:
            with path.open("xb") as file, ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
                try:
                    for page in self._pages():
                        file.truncate(page["VolumeSize"] * GIB)
                        self._read(page, file.fileno(), pool, alive)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror}", hint="make room there for what the AMI's root volume holds"
            ) from error

    def _pages(self) -> Iterator[dict[str, Any]]:
        after: dict[str, Any] = {"StartingBlockIndex": 0}
        last = -1
        while True:
            try:
                page = self._list(PAGE, **after)
            except aws.RefusedError as error:
                if error.code != OUTDATED or "NextToken" not in after:
                    raise
                page = self._list(PAGE, StartingBlockIndex=last + 1)
            yield page
            if not page.get("NextToken"):
                return
            last = max((int(one["BlockIndex"]) for one in page["Blocks"]), default=last)
            after = {"NextToken": page["NextToken"]}

    def _list(self, most: int, **after: Any) -> dict[str, Any]:
        with aws.translated(f"list the blocks of snapshot {self._id!r}"):
            found: dict[str, Any] = self._ebs.list_snapshot_blocks(SnapshotId=self._id, MaxResults=most, **after)
        return found

    def _read(
        self, page: dict[str, Any], file: int, pool: ThreadPoolExecutor, alive: Callable[[], None]
    ) -> None:  # fmt: skip
        """Read all the blocks of a page into a file."""
        size = int(page["BlockSize"])

        def read(index: int, token: str) -> int:
            data = self._block(index, token, size)
            if data.strip(b"\0"):
                _write(file, data, index * size)
            return len(data)

        waiting = [pool.submit(read, int(one["BlockIndex"]), str(one["BlockToken"])) for one in page["Blocks"]]
        for one in waiting:
            self.bytes += one.result()
            self.blocks += 1
            alive()

    def _block(self, index: int, token: str, size: int) -> bytes:
        """Return one block, once it is what its checksum says."""
        what = f"block {index} of snapshot {self._id!r}"
        wrong: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                with aws.translated(f"read {what}"):
                    said = self._ebs.get_snapshot_block(SnapshotId=self._id, BlockIndex=index, BlockToken=token)
                    data: bytes = said["BlockData"].read()
                return _whole(said, data, size, what)
            except aws.RefusedError as error:
                if error.code != OUTDATED or wrong is not None:
                    raise
                wrong, token = error, self._another(index)
            except EngineError as error:
                wrong = error
        raise EngineError(f"{wrong}; it was read {ATTEMPTS} times") from wrong

    def _another(self, index: int) -> str:
        """Return another token for a block whose first one has expired."""
        found = self._list(FEWEST, StartingBlockIndex=index)["Blocks"]
        if not found or int(found[0]["BlockIndex"]) != index:
            raise EngineError(f"block {index} of snapshot {self._id!r} is not listed any more")
        return str(found[0]["BlockToken"])


def _whole(said: dict[str, Any], data: bytes, size: int, what: str) -> bytes:
    """Return the data of a block. Raises EngineError when it is not what AWS says that it is."""
    if said.get("ChecksumAlgorithm") != ALGORITHM:
        raise EngineError(f"{what} came with a checksum by {said.get('ChecksumAlgorithm')!r}, expected {ALGORITHM}")
    if len(data) != size or said.get("DataLength") != size:
        raise EngineError(f"{what} came with {len(data)} bytes, expected {size}")
    if base64.b64encode(hashlib.sha256(data).digest()).decode() != said.get("Checksum"):
        raise EngineError(f"{what} is not what its checksum says")
    return data


def _write(file: int, data: bytes, at: int) -> None:
    """Write all of it: the system may take less at once, and says so by a number alone."""
    left = memoryview(data)
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written
