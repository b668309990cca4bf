"""A template made of another one, to bake one of its sources once more and publish nothing."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

from imagetest.builders.packer import hcl
from imagetest.builders.packer.template import Block, Template
from imagetest.errors import ConfigError

STARTS_FROM_AN_IMAGE = frozenset({"docker"})
"""Builders that start from a finished image by its name alone."""

PUBLISHES = frozenset({"post-processor", "post-processors", "hcp_packer_registry"})

TEMPLATE_DIR = re.compile(r"\{\{-?\s*template_dir\s*-?\}\}")


def write(template: Template, source: Block, folder: Path, *, path: Path, base: str) -> Path:
    """Write a template into a folder that bakes `source` from `base`, or from its own where that is empty.

    `path` is the original, a file or a folder; the result is the same. Raises ConfigError where there can be none.
    """
    if source.type not in STARTS_FROM_AN_IMAGE:
        raise ConfigError(f"source {source.name!r} is of type {source.type!r}, which starts from no finished image")
    if template.dynamic:
        raise ConfigError("the template makes sources or steps by 'dynamic' blocks, which nobody but Packer can read")
    if not template.hcl:
        return _write_json(template, source, folder, base)
    for file in template.files:
        if file.name.endswith(".pkr.json"):
            raise ConfigError(f"{file.name} is HCL in JSON, which cannot be changed on the way")
        text = file.read_text(encoding="utf-8")
        hcl_template = file.name.endswith(".pkr.hcl")
        (folder / file.name).write_text(_changed(text, source, template.root, base) if hcl_template else text)
    return folder if path.is_dir() else folder / path.name


def _changed(text: str, source: Block, root: Path, base: str) -> str:
    """Return an HCL file without what publishes, and with another base where the source is described in it."""
    changes: list[tuple[int, int, str]] = []
    for block in hcl.blocks(text):
        if block.kind in PUBLISHES:
            changes.append((block.start, block.end, ""))
        elif base and block.kind == "source" and ".".join(block.labels) == source.label:
            changes += _rebased(text, block, base)
    for start, end, instead in reversed(_outermost(changes)):
        text = text[:start] + instead + text[end:]
    return hcl.with_root(text, str(root))


def _rebased(text: str, block: hcl.Block, base: str) -> list[tuple[int, int, str]]:
    """Return the changes that make a source start from an image that this engine has."""
    found = [hcl.attribute(text, block, name) for name in ("image", "pull")]
    gone = [(place[0], place[1], "") for place in found if place is not None]
    inner = [one for one in hcl.blocks(text) if one.kind == "build" and block.inside <= one.start < block.end]
    gone += [(one.start, one.end, "") for one in inner]
    return [(block.inside, block.inside, f'\n  image = "{base}"\n  pull  = false\n'), *gone]


def _outermost(changes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the changes in order, without those that stand within another."""
    kept: list[tuple[int, int, str]] = []
    for change in sorted(changes, key=lambda one: (one[0], -one[1])):
        if not kept or change[0] >= kept[-1][1]:
            kept.append(change)
    return kept


def _write_json(template: Template, source: Block, folder: Path, base: str) -> Path:
    original = template.files[0]
    tables: dict[str, Any] = json.loads(original.read_text(encoding="utf-8"))
    tables.pop("post-processors", None)
    builders = copy.deepcopy(tables["builders"])
    for one in builders:
        if base and (one.get("name") or one.get("type")) == source.name:
            one.pop("build", None)
            one |= {"image": base, "pull": False}
    tables["builders"] = builders
    text = TEMPLATE_DIR.sub(json.dumps(str(template.root))[1:-1].replace("\\", "\\\\"), json.dumps(tables, indent=2))
    if "template_dir" in text:
        raise ConfigError("the template uses template_dir for more than a path, and cannot be moved")
    made = folder / original.name
    made.write_text(text, encoding="utf-8")
    return made
