"""Publish Docker images: a tag for each channel."""

from __future__ import annotations

from docker.utils import parse_repository_tag

from imagetest.errors import EngineError
from imagetest.execute import engine
from imagetest.model.image import Image


class DockerPromoter:
    """Moves a channel's tag to the promoted image, in the engine that holds it."""

    def publish(self, image: Image, tag: str) -> None:
        """Make the tag name the image, and read it back."""
        repository, name = parse_repository_tag(tag)
        with engine.session() as client, engine.translated(f"tag {image.name!r} as {tag!r}"):
            client.tag(image.reference, repository, name or "latest", force=True)
            found = client.inspect_image(tag)["Id"]
        if found != image.digest:
            raise EngineError(f"{tag!r} names {found} after it was tagged, expected {image.digest}")

    def withdraw(self, tag: str) -> None:
        """Remove the tag; the image itself stays. A tag that is not there is fine."""
        try:
            with engine.session() as client, engine.translated(f"remove the tag {tag!r}"):
                client.remove_image(tag, noprune=True)
        except EngineError as error:
            if not isinstance(error.__cause__, engine.ImageNotFound):
                raise
