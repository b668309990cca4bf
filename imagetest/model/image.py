"""The artifact under test, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A finished image: what it is called here, where it is, and the digest of its content."""

    name: str
    """The name under test, such as `photoapp`; the same on every machine and in every run."""
    kind: str
    """The platform that boots it, which is the name of its driver: `docker`."""
    reference: str
    """What the driver boots; it names the content, never a tag that may move."""
    digest: str
    """The content digest that a verdict and a promotion are bound to: `sha256:` and 64 hex digits."""
    platform: str = ""
    """Operating system and architecture, such as `linux/amd64`."""
    size: int | None = None
    """Bytes, as the platform counts them."""
    created: datetime | None = None
    """When the platform says that the image was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing that a bake depends on, such as a file or a variable, and the digest of its value."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bake:
    """From what, by what and when an image was made."""

    builder: str
    """The name of the builder: `packer`."""
    builder_version: str = ""
    template: str = ""
    """The template's path, relative to the project where it lies inside."""
    source: str = ""
    """The source within the template, such as `docker.photoapp`."""
    base: str = ""
    """The image that the bake started from, with its digest."""
    commit: str = ""
    """The version-control commit of the template, with `+` behind it when the work tree differed."""
    key: str = ""
    """The digest of all inputs; two bakes with one key are the same bake."""
    inputs: tuple[Input, ...] = ()
    unknown: tuple[str, ...] = ()
    """Inputs that cannot be known beforehand, in words; such a bake is never reused unless the user vouches for it."""
    reused: bool = False
    """True when an earlier bake with the same key was taken instead of baking again."""
    started: datetime | None = None
    finished: datetime | None = None
    log: str = ""
    """The file name of the builder's log beside the report."""
    log_digest: str = ""
