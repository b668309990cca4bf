"""A project on disk with a template, and what its bakes depend on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagetest.builders.packer import ingredients, template
from imagetest.model.plan import BakeOrder
from imagetest.ports import Ingredients

PACKER = "packer 1.6.6"
DIGEST = "sha256:" + "b" * 64


@dataclass
class Project:
    """Files, and an order to bake one template of them."""

    folder: Path
    template: str = "packer/web.pkr.hcl"
    packer: str = PACKER
    base: dict[str, str] = field(default_factory=lambda: {"debian:12": DIGEST})
    """The digest of each base image that can be looked up."""
    asked: list[tuple[str, bool]] = field(default_factory=list)
    """The base images that were looked up, and whether Packer would pull them."""

    def write(self, **files: str) -> None:
        """Write files; `__` in a name is a folder's slash and `_dot_` a dot."""
        for name, content in files.items():
            self.file(name.replace("__", "/").replace("_dot_", "."), content)

    def file(self, name: str, content: str = "") -> Path:
        """Write one file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def order(self, **changes: object) -> BakeOrder:
        """Return an order for the template."""
        plain = BakeOrder(name="web", template=self.folder / self.template, project=self.folder)
        return replace(plain, **changes)  # type: ignore[arg-type]

    def all(self, **changes: object) -> dict[str, Ingredients]:
        """Return what the bake of each source depends on."""
        order = self.order(**changes)
        found = template.read(order)
        return {
            source.name: ingredients.gather(found, source, order, builder=self.packer, base=self._look_up)
            for source in found.sources
        }

    def one(self, **changes: object) -> Ingredients:
        """Return what the bake of the first source depends on."""
        return next(iter(self.all(**changes).values()))

    def key(self, **changes: object) -> str:
        """Return a digest of all inputs, as the key of a bake is one."""
        return hashlib.sha256(repr(self.one(**changes).inputs).encode()).hexdigest()

    def _look_up(self, reference: str, pull: bool) -> tuple[str, str]:  # noqa: FBT001 - the callback's plain flag
        self.asked.append((reference, pull))
        found = self.base.get(reference, "")
        return found, "" if found else f"nobody knows {reference!r}"
