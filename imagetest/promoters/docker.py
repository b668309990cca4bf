"""Publish Docker images: a tag for each channel, in this engine or in a registry."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker
from docker.auth import resolve_repository_name
from docker.utils import parse_repository_tag

from imagetest.errors import ConfigError, EngineError, GateClosedError
from imagetest.execute import engine
from imagetest.execute.interrupts import interrupts
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Placement

SCHEME = "docker:"

PUSH_SECONDS = 600
"""How long a registry may say nothing: it does so while it puts a large layer together."""

DENIED = ("denied", "unauthorized", "no basic auth credentials", "authentication required")
"""Words by which registries and the engine tell that somebody may not push."""

EMPTY = "imagetest.revoked"
"""The label of the image without a single file that a registry's tag names once it was withdrawn."""


class DockerPromoter:
    """Moves a channel's tag to the promoted image, and pushes it where the channel says so."""

    def check(self, outlet: Outlet) -> None:
        """Find out whether the channel has a tag for images."""
        if not outlet.tag:
            raise ConfigError(f"channel {outlet.channel!r} has no tag", hint=f"set it: [channels.{outlet.channel}] tag")

    def place(self, image: Image, outlet: Outlet, evidence: Evidence) -> tuple[Placement, ...]:
        """Give the image a tag of its digest, which keeps it once the channel moves on, and push that."""
        del evidence
        lasting = f"{_repository(outlet.tag)}:{_lasting(image.digest)}"
        with _engine() as client:
            with engine.translated(f"tag {image.name!r} as {lasting!r}"):
                _name(client, image, lasting)
            if not outlet.push:
                return (Placement(where=SCHEME + lasting, digest=image.digest),)
            manifest = _push(client, lasting)
            _is_of(client, image, _repository(outlet.tag), manifest)
        return (Placement(where=f"{SCHEME}{_repository(outlet.tag)}@{manifest}", digest=manifest),)

    def publish(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Make the channel's tag name the image, here and in the registry, and read it back."""
        with _engine() as client:
            with engine.translated(f"tag {image.name!r} as {outlet.tag!r}"):
                _name(client, image, f"{_repository(outlet.tag)}:{_lasting(image.digest)}")
                _name(client, image, outlet.tag)
            if not outlet.push:
                return
            manifest, expected = _push(client, outlet.tag), {one.digest for one in placements}
        if expected and manifest not in expected:
            raise EngineError(f"{outlet.tag!r} was pushed as {manifest}, expected {' or '.join(sorted(expected))}")

    def stands(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> bool:
        """Say whether the channel's tag names the image here, and what was pushed in the registry."""
        with _engine() as client:
            with engine.translated(f"read {outlet.tag!r}"):
                here = _id(client, outlet.tag) == image.digest
            if not (here and outlet.push):
                return here
            return _manifest(client, outlet.tag) in {one.digest for one in placements}

    def kept(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> tuple[Placement, ...]:
        """Return where the image was brought in this engine or its registry, from which it is pulled if need be."""
        repository = _repository(outlet.tag)
        prefix = f"{SCHEME}{repository}@" if outlet.push else f"{SCHEME}{repository}:"
        found = tuple(one for one in placements if one.where.startswith(prefix))[:1]
        with _engine() as client:
            for place in found:
                reference = place.where.removeprefix(SCHEME)
                if outlet.push and not _pulled(client, repository, reference, place.digest):
                    return ()
                with engine.translated(f"read {reference!r}"):
                    if _id(client, reference) != image.digest:
                        return ()
        return found

    def withdraw(self, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Remove the tag; a tag that is not there is fine.

        The image itself stays, for an auditor and for a rollback: an engine deletes what it has no more name for, so
        its digest's tag is made first. Registries let nobody remove a tag alone, but with all that has its digest:
        there the tag is made to name an image in which there is nothing.
        """
        del placements
        with _engine() as client:
            if outlet.push:
                _push_nothing(client, outlet.tag)
            with engine.translated(f"remove the tag {outlet.tag!r}"):
                _unname(client, outlet.tag)


@contextmanager
def _engine() -> Iterator[docker.APIClient]:
    with engine.session() as client:
        client.timeout = PUSH_SECONDS
        yield client


def _name(client: docker.APIClient, image: Image, tag: str) -> None:
    repository, name = parse_repository_tag(tag)
    client.tag(image.digest, repository, name or "latest", force=True)  # its reference may name another by now
    found = client.inspect_image(tag)["Id"]
    if found != image.digest:
        raise EngineError(f"{tag!r} names {found} after it was tagged, expected {image.digest}")


def _unname(client: docker.APIClient, tag: str) -> None:
    try:
        found = client.inspect_image(tag)
    except engine.ImageNotFound:
        return
    if EMPTY not in (found["Config"].get("Labels") or {}):
        client.tag(found["Id"], _repository(tag), _lasting(found["Id"]), force=True)
    client.remove_image(tag, noprune=True)


def _push(client: docker.APIClient, tag: str) -> str:
    """Push a tag and return the digest of its manifest, as the engine says and the registry answers."""
    said: str | None = None
    with engine.translated(f"push {tag!r}"):
        for line in client.push(tag, stream=True, decode=True):
            interrupts.checkpoint()
            if "error" in line:
                raise _refused(tag, line)
            said = (line.get("aux") or {}).get("Digest", said)
    if said is None:
        raise EngineError(f"cannot push {tag!r}: the engine does not tell its digest")
    with engine.translated(f"read {tag!r} back from its registry"):
        found = client.inspect_distribution(tag)["Descriptor"]["digest"]
    if found != said:
        raise EngineError(f"{tag!r} is {found} in its registry after {said} was pushed", hint="does another push it?")
    return str(said)


def _refused(tag: str, line: Mapping[str, Any]) -> EngineError:
    said = " ".join(str(line["error"]).split())
    host = resolve_repository_name(_repository(tag))[0]
    denied = any(word in said.lower() for word in DENIED)
    return EngineError(
        f"cannot push {tag!r}: {said}",
        hint=f"'docker login {host}', as a user who may push there" if denied else f"is {host!r} the right registry?",
    )


def _is_of(client: docker.APIClient, image: Image, repository: str, manifest: str) -> None:
    """Make sure that the engine knows the manifest as this image's."""
    with engine.translated(f"read {image.name!r} back"):
        found = client.inspect_image(f"{repository}@{manifest}")["Id"]
    if found != image.digest:
        raise GateClosedError(f"{repository}@{manifest} is {found}, expected {image.digest}", hint="verify it again")


def _manifest(client: docker.APIClient, reference: str) -> str:
    """Return the digest of what a registry has under a name; an empty string where it has nothing."""
    with engine.translated(f"read {reference!r} in its registry"):
        try:
            return str(client.inspect_distribution(reference)["Descriptor"]["digest"])
        except engine.NotFound:
            return ""


def _pulled(client: docker.APIClient, repository: str, reference: str, manifest: str) -> bool:
    """Have what a registry has under a digest in this engine, and say whether the registry has it."""
    if _manifest(client, reference) != manifest:
        return False
    with engine.translated(f"pull {reference!r}"):
        if not _id(client, reference):
            for line in client.pull(repository, tag=manifest, stream=True, decode=True):
                interrupts.checkpoint()
                if "error" in line:
                    raise EngineError(f"cannot pull {reference!r}: {' '.join(str(line['error']).split())}")
    return True


def _push_nothing(client: docker.APIClient, tag: str) -> None:
    nothing = io.BytesIO()
    tarfile.open(fileobj=nothing, mode="w").close()
    repository, name = parse_repository_tag(tag)
    with engine.translated(f"withdraw {tag!r}"):
        kept = _id(client, tag)
        if kept:
            client.tag(kept, repository, _lasting(kept), force=True)
        client.import_image_from_data(
            nothing.getvalue(), repository=repository, tag=name or "latest", changes=[f"LABEL {EMPTY}=true"]
        )  # fmt: skip
    _push(client, tag)


def _id(client: docker.APIClient, tag: str) -> str:
    try:
        found = client.inspect_image(tag)
    except engine.ImageNotFound:
        return ""
    return "" if EMPTY in (found["Config"].get("Labels") or {}) else str(found["Id"])


def _repository(tag: str) -> str:
    return str(parse_repository_tag(tag)[0])


def _lasting(digest: str) -> str:
    """Return the tag that an image keeps for good: the first 12 digits of its digest, as Docker shortens it."""
    return digest.removeprefix("sha256:")[:12]
