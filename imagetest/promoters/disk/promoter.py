"""Publish disks: by digest the disk, its checksum, its assessment and attestation; then what the channel points at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from imagetest.errors import ConfigError, StorageError
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Placement
from imagetest.promoters.disk.attestation import statement
from imagetest.promoters.disk.bucket import Bucket
from imagetest.promoters.disk.finished import Finished, finished
from imagetest.promoters.disk.folder import Folder

DIGEST = "sha256:"


class Shelf(Protocol):
    """Where the disks of one image lie."""

    def where(self, name: str) -> str:
        """Return what a placement says of a file."""
        ...

    def put(self, name: str, disk: Finished) -> None:
        """Have a disk lie there whole, or not at all."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Have a small file say something else from one moment to the next, and read it back."""
        ...

    def holds(self, name: str, sha256: str, disk: Finished | None = None) -> bool:
        """Say whether a disk lies there, which may be at hand. Raises StorageError when something else does."""
        ...

    def whole(self, name: str, sha256: str) -> bool:
        """Say whether a disk lies there, by reading all of it. Raises StorageError when something else does."""
        ...

    def says(self, name: str) -> bytes | None:
        """Return what a small file says; None where there is none."""
        ...

    def leads(self, channel: str, name: str) -> bool:
        """Say whether what a channel is read by, beside its small file, leads to a disk."""
        ...

    def point(self, channel: str, name: str) -> None:
        """Make what a channel is read by, beside its small file, lead to a disk."""
        ...

    def remove(self, channel: str) -> None:
        """Remove all that a channel is read by."""
        ...


class DiskPromoter:
    """Keeps promoted disks under their digests, and has a channel's small file name one of them."""

    def check(self, outlet: Outlet) -> None:
        """Find out whether the channel has a place for disks."""
        if not outlet.disks:
            raise ConfigError(
                f"channel {outlet.channel!r} takes no disks, which {outlet.image!r} is",
                hint=f"say where they lie: [channels.{outlet.channel}] disks = a folder, or s3://BUCKET/PREFIX",
            )

    def place(self, image: Image, outlet: Outlet, evidence: Evidence) -> tuple[Placement, ...]:
        """Put the disk, its checksum, its assessment and what attests it there, under the digest of what was tested."""
        shelf, stem = _shelf(outlet), _stem(image)
        with finished(image) as disk:
            name = f"{stem}.{disk.format}"
            if not shelf.holds(name, disk.sha256, disk):
                shelf.put(name, disk)
            shelf.write(f"{stem}.sha256", f"{disk.sha256}  {name}\n".encode())
            if evidence.document:
                assessed = f"{stem}.assessment.json"
                attested = statement(evidence.document, name=name, sha256=disk.sha256, assessment=assessed)
                shelf.write(assessed, evidence.document)
                shelf.write(f"{stem}.intoto.json", attested)
            return (Placement(where=shelf.where(name), digest=DIGEST + disk.sha256),)

    def publish(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Point the channel at the disk, which must be what was placed."""
        shelf = _shelf(outlet)
        place = _placed(shelf, image, outlet, placements)
        name = place.where.rpartition("/")[2]
        if not shelf.holds(name, place.digest.removeprefix(DIGEST)):
            raise StorageError(f"{place.where!r} is not there any more", hint="promote it again")
        shelf.point(outlet.channel, name)
        shelf.write(f"{outlet.channel}.json", _pointer(image, outlet, name, place.digest))

    def stands(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> bool:
        """Say whether the channel's small file says just this, and its link leads to the disk."""
        shelf = _shelf(outlet)
        place = _found(shelf, image, placements)
        if place is None:
            return False
        name = place.where.rpartition("/")[2]
        said = shelf.says(f"{outlet.channel}.json")
        return said == _pointer(image, outlet, name, place.digest) and shelf.leads(outlet.channel, name)

    def kept(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> tuple[Placement, ...]:
        """Return where the disk lies, which is read to find out."""
        shelf = _shelf(outlet)
        place = _found(shelf, image, placements)
        if place is None or not shelf.whole(place.where.rpartition("/")[2], place.digest.removeprefix(DIGEST)):
            return ()
        return (place,)

    def withdraw(self, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Remove what the channel is read by; the disks stay."""
        del placements
        _shelf(outlet).remove(outlet.channel)


def _shelf(outlet: Outlet) -> Shelf:
    if outlet.disks.startswith("s3://"):
        return Bucket(outlet.disks, outlet.image)
    return Folder(Path(outlet.disks), outlet.image)


def _stem(image: Image) -> str:
    return image.digest.replace(":", "-")


def _placed(shelf: Shelf, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> Placement:
    """Return where the disk was placed. Raises StorageError when it was placed nowhere that the channel is now."""
    place = _found(shelf, image, placements)
    if place is None:
        raise StorageError(
            f"{image.name!r} {image.digest[:19]} was never brought to {outlet.disks!r}", hint="promote it again"
        )
    return place


def _found(shelf: Shelf, image: Image, placements: Sequence[Placement]) -> Placement | None:
    for place in placements:
        name = place.where.rpartition("/")[2]
        if place.where == shelf.where(name) and name.startswith(_stem(image)):
            return place
    return None


def _pointer(image: Image, outlet: Outlet, name: str, digest: str) -> bytes:
    said = {"image": image.name, "channel": outlet.channel, "digest": image.digest, "disk": name, "sha256": digest[7:]}
    return json.dumps(said, indent=2).encode() + b"\n"
