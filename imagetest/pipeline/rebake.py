"""Bake an image once more, to hold what comes of it against the image under test; none of it is ever published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imagetest.errors import ConfigError, LeakError, StorageError
from imagetest.execute.leases import IMAGE, Leases
from imagetest.model.image import Image
from imagetest.model.plan import BakeOrder
from imagetest.pipeline.claims import leased
from imagetest.ports import Builder, Driver, Progress


class Rebakes:
    """The images that were baked for a comparison, by the name of the image under test."""

    def __init__(
        self,
        *,
        builder: Callable[[], Builder],
        driver: Callable[[str], Driver],
        leases: Leases,
        folder: Path,
        progress: Progress,
        secrets: Callable[[], tuple[str, ...]],
    ) -> None:
        self._builder = builder
        self._driver = driver
        self._leases = leases
        self._folder = folder
        self._progress = progress
        self._secrets = secrets
        self._made: dict[str, list[Image]] = {}

    def bake(self, order: BakeOrder | None, source: str, *, name: str, on: Image | None = None) -> Image:
        """Bake one source again, without its post-processors; `on` a finished image, run its provisioners on that.

        Raises ConfigError, with the reason, where that cannot be done, and BakeError when the builder fails.
        """
        if order is None:
            raise ConfigError(f"{name!r} was not baked here: no template is known of it")
        log = self._folder / f"{'rerun' if on else 'rebake'}-{name}.log"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with leased(self._leases, self._driver, name, self._progress) as claim:
                artifact = self._builder().repeat(
                    order, source, base=on.digest if on else "", log=log, secrets=self._secrets(),
                    progress=self._progress, claim=claim,
                )  # fmt: skip
                self._leases.take(IMAGE + artifact.kind, artifact.reference, name)
        except OSError as error:
            raise StorageError(f"cannot write {log}: {error.strerror}") from error
        image = self._driver(artifact.kind).identify(artifact.reference, name=name)
        self._made.setdefault(name, []).append(image)
        return image

    def discard(self, name: str) -> None:
        """Remove what was baked for an image. Raises LeakError."""
        for image in self._made.pop(name, []):
            self._driver(image.kind).discard(image.reference)
            self._leases.release(image.reference)

    def close(self) -> list[LeakError]:
        """Remove all that is left, and return what could not be."""
        leaks: list[LeakError] = []
        for name in list(self._made):
            try:
                self.discard(name)
            except LeakError as error:
                leaks.append(error)
        return leaks
