"""Publish Docker images: a tag for each channel."""

from __future__ import annotations

from docker.utils import parse_repository_tag

from imagetest.errors import EngineError
from imagetest.execute import engine
from imagetest.model.image import Image


class DockerPromoter:
    """Moves a channel's tag to the promoted image, in the engine that holds it."""

    def publish(self, image: Image, tag: str) -> None:
        """Make the tag name the image, and read it back; a tag of its digest keeps it once the first moves on."""
        repository, name = parse_repository_tag(tag)
        with engine.session() as client, engine.translated(f"tag {image.name!r} as {tag!r}"):
            client.tag(image.reference, repository, _lasting(image.digest), force=True)
            client.tag(image.reference, repository, name or "latest", force=True)
            found = client.inspect_image(tag)["Id"]
        if found != image.digest:
            raise EngineError(f"{tag!r} names {found} after it was tagged, expected {image.digest}")

    def withdraw(self, tag: str) -> None:
        """Remove the tag; a tag that is not there is fine.

        The image itself stays, for an auditor and for a rollback: an engine deletes what it has no more name for, so
        its digest's tag is made first.
        """
        repository, _ = parse_repository_tag(tag)
        with engine.session() as client, engine.translated(f"remove the tag {tag!r}"):
            try:
                found = client.inspect_image(tag)["Id"]
            except engine.ImageNotFound:
                return
            client.tag(found, repository, _lasting(found), force=True)
            client.remove_image(tag, noprune=True)


def _lasting(digest: str) -> str:
    """Return the tag that an image keeps for good: the first 12 digits of its digest, as Docker shortens it."""
    return digest.removeprefix("sha256:")[:12]
