"""The EBS direct APIs, for snapshots of AMIs: ListSnapshotBlocks and GetSnapshotBlock.

https://docs.aws.amazon.com/ebs/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.ec2.models import ec2_backends

from imagetest.errors import ImagetestError
from imagetest.testing.aws.disks import Disks
from imagetest.testing.aws.ec2 import Ec2

OPERATIONS = {"ListSnapshotBlocks", "GetSnapshotBlock"}

PATH = re.compile(r"/snapshots/(?P<snapshot>[^/]+)/blocks(/(?P<index>\d+))?")

BLOCK = 512 << 10
"""Bytes, as in AWS."""

LONGEST_PAGE = 10000

TOKENS_LAST = 7 * 86400
"""Seconds."""

Answer = tuple[HTTPStatus, list[tuple[str, str]], bytes]


class Blocks:
    """What the API answers. A token names what it is for: a page or a block of one snapshot."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks
        self._known: dict[Path, tuple[int, ...]] = {}

    def answer(self, path: str, query: str) -> Answer:
        """Answer one request."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        found = PATH.fullmatch(path)
        if found is None:
            return _refused("ValidationException", "INVALID_PARAMETER_VALUE", f"{path} names no block")
        snapshot = unquote(found["snapshot"])
        try:
            disk, size = self._disk(snapshot)
        except LookupError:
            said = f"The snapshot '{snapshot}' does not exist."
            return _refused("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", said, HTTPStatus.NOT_FOUND)
        except ImagetestError as error:
            return _refused("InternalServerException", "", str(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        if found["index"] is None:
            return self._list(snapshot, disk, size, asked)
        return self._get(snapshot, disk, int(found["index"]), asked.get("blockToken", ""))

    def _list(self, snapshot: str, disk: Path, size: int, asked: dict[str, str]) -> Answer:
        first = int(asked.get("startingBlockIndex", 0))
        if token := asked.get("pageToken"):
            kind, _, number = _opened(snapshot, token).partition(" ")
            if kind != "page":
                return _refused("ValidationException", "INVALID_PAGE_TOKEN", "The page token is not valid.")
            first = int(number)
        left = [one for one in self._of(disk) if one >= first]
        most = min(int(asked.get("maxResults", LONGEST_PAGE)), LONGEST_PAGE)
        blocks = [{"BlockIndex": one, "BlockToken": _token(snapshot, f"block {one}")} for one in left[:most]]
        told: dict[str, Any] = {"Blocks": blocks, "VolumeSize": size, "BlockSize": BLOCK}
        told["ExpiryTime"] = time.time() + TOKENS_LAST
        if len(left) > most:
            told["NextToken"] = _token(snapshot, f"page {left[most]}")
        return HTTPStatus.OK, _headers("application/json"), json.dumps(told).encode()

    def _get(self, snapshot: str, disk: Path, index: int, token: str) -> Answer:
        if _opened(snapshot, token) != f"block {index}":
            return _refused("ValidationException", "INVALID_BLOCK_TOKEN", "The block token is not valid.")
        with disk.open("rb") as file:
            data = os.pread(file.fileno(), BLOCK, index * BLOCK)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        named = [("x-amz-Data-Length", str(len(data))), ("x-amz-Checksum", checksum)]
        named.append(("x-amz-Checksum-Algorithm", "SHA256"))
        return HTTPStatus.OK, [*_headers("application/octet-stream"), ("Content-Length", str(len(data))), *named], data

    def _disk(self, snapshot: str) -> tuple[Path, int]:
        """Return the disk of a snapshot and its size in GiB. Raises LookupError where no AMI has it."""
        for account in list(ec2_backends.values()):
            for region in list(account.values()):
                for ami in list(region.amis.values()):
                    if ami.ebs_snapshot.id == snapshot and ami.id in Ec2.references:
                        size = int(ami.block_device_mappings[0]["Ebs"]["VolumeSize"])
                        return self._disks.of(Ec2.references[ami.id], size), size
        raise LookupError(snapshot)

    def _of(self, disk: Path) -> tuple[int, ...]:
        """Return which blocks of a disk hold anything."""
        if disk not in self._known:
            with disk.open("rb") as file:
                self._known[disk] = tuple(_written(file.fileno()))
        return self._known[disk]


def _written(file: int) -> list[int]:
    found: list[int] = []
    size, at = os.fstat(file).st_size, 0
    while at < size:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            break  # only a hole is left
        index = at // BLOCK
        if os.pread(file, BLOCK, index * BLOCK).strip(b"\0"):
            found.append(index)
        at = (index + 1) * BLOCK
    return found


def _token(snapshot: str, what: str) -> str:
    return base64.urlsafe_b64encode(f"{snapshot} {what}".encode()).decode()


def _opened(snapshot: str, token: str) -> str:
    """Return what a token of a snapshot is for; an empty string for one that is not of this snapshot."""
    try:
        owner, _, what = base64.urlsafe_b64decode(token).decode().partition(" ")
    except ValueError:
        return ""
    return what if owner == snapshot else ""


def _refused(code: str, reason: str, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    told = {"__type": code, "message": message, "Reason": reason}
    return status, _headers("application/json"), json.dumps(told).encode()


def _headers(kind: str) -> list[tuple[str, str]]:
    return [("Content-Type", kind)]
