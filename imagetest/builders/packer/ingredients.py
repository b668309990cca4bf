"""Everything that a bake depends on, as far as it can be known, and in words what cannot."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from imagetest.builders.packer.expressions import IMPURE, Scope, UnknownValueError, value_of
from imagetest.builders.packer.template import Block, Template
from imagetest.errors import ConfigError
from imagetest.model.image import Input
from imagetest.model.plan import BakeOrder
from imagetest.ports import Ingredients

PATHS = frozenset({
    "source", "sources", "script", "scripts", "playbook_file", "playbook_files", "playbook_dir", "playbook_paths",
    "role_paths", "collection_paths", "group_vars", "host_vars", "galaxy_file", "inventory_file", "inventory_groups_file",
    "manifest_file", "manifest_dir", "module_paths", "hiera_config_path", "cookbook_paths", "roles_path",
    "environments_path", "data_bags_path", "local_state_tree", "local_pillar_roots", "http_directory", "cd_files",
    "floppy_files", "floppy_dirs", "user_data_file", "path", "build_dir", "vault_password_file", "command_file",
})  # fmt: skip
"""Settings whose value is a path on the machine that bakes."""

TRANSPARENT = frozenset({
    "shell", "file", "powershell", "windows-shell", "windows-restart", "sleep", "breakpoint", "ansible-local",
    "puppet-masterless",
})  # fmt: skip
"""Provisioners that read nothing on the machine that bakes but what the template names."""

IGNORED = frozenset({".git", ".hg", ".svn", "__pycache__"})

Digest = Callable[[str], str]


def gather(
    template: Template,
    source: Block,
    order: BakeOrder,
    *,
    builder: str,
    base: Callable[[str, bool], tuple[str, str]],
) -> Ingredients:
    """Return what the bake of one source depends on.

    `base` is given the reference of a base image and whether Packer will pull it; it returns the image's digest, or an
    empty one and the reason why it cannot be known.
    """
    scope, unknown = _scope(template, order)
    inputs = {"packer": builder, "source": source.name, "project": _digest(str(order.project))}
    inputs |= _variables(template, scope)
    for block in _relevant(template, source):
        unknown += _read(block, scope, order.project)
    scope.files.update(template.files, order.var_files, _declared(order))
    for path in sorted(scope.files):
        inputs |= _file(path, order.project)
    inputs |= {f"environment {name}": _digest(os.environ.get(name, "")) for name in sorted(scope.environment)}
    shown, reasons = _base(source, scope, base)
    if shown:
        inputs["base image"] = shown
    if template.data:
        unknown.append("the template asks data sources")
    return Ingredients(
        source=source.name,
        inputs=tuple(Input(name=name, digest=value) for name, value in sorted(inputs.items())),
        unknown=tuple(dict.fromkeys([*unknown, *reasons])),
        base=shown,
        secrets=tuple(str(scope.variables[name]) for name in sorted(template.sensitive) if name in scope.variables),
    )


def _scope(template: Template, order: BakeOrder) -> tuple[Scope, list[str]]:
    scope = Scope(root=template.root, cwd=order.project, variables={}, locals=template.locals, hcl=template.hcl)
    unknown = []
    for name, node in template.defaults.items():
        try:
            scope.variables[name] = value_of(node, scope)
        except UnknownValueError as reason:
            unknown.append(f"the default of variable {name!r}: {reason}")
    scope.variables |= template.given
    return scope, unknown


def _variables(template: Template, scope: Scope) -> dict[str, str]:
    return {
        f"variable {name}": _secret(name, _plain(value)) if name in template.sensitive else _digest(_plain(value))
        for name, value in scope.variables.items()
    }


def _relevant(template: Template, source: Block) -> list[Block]:
    """Return the source and what runs for it; what runs for other sources only is left out."""
    steps = [block for block in template.blocks if block.kind != "source"]
    mine = [block for block in steps if not block.only or any(fnmatch.fnmatch(source.name, one) for one in block.only)]
    return [source, *mine]


def _read(block: Block, scope: Scope, project: Path) -> list[str]:
    """Note what a block reads, and return what cannot be known of it."""
    unknown: list[str] = []
    local = block.type.startswith("shell-local")
    if local or (block.kind == "provisioner" and block.type not in TRANSPARENT):
        unknown.append(f"the {block.kind} {block.type!r} may read what the template does not name")
    download = block.body.get("direction") in {"download", '"download"'} or block.body.get("generated") is True
    for setting, node in _settings(block.body):
        if setting in {"__is_block__", "only", "except", "override"} or (download and setting == "source"):
            continue
        is_path = setting in PATHS and not (block.kind == "source" and setting == "source")
        try:
            value = value_of(node, scope)
        except UnknownValueError as reason:
            if is_path or (block.kind != "post-processor" and IMPURE.search(str(node))):
                unknown.append(f"{setting} of the {block.kind} {block.type!r} is {reason}")
            continue
        unknown += _note(setting, value, scope, project, is_path=is_path, kind=f"{block.kind} {block.type!r}")
    return unknown


def _note(setting: str, value: Any, scope: Scope, project: Path, *, is_path: bool, kind: str) -> list[str]:
    unknown = []
    for text in _strings(value):
        if is_path and "{{" in text:
            unknown.append(f"{setting} of the {kind} is {text!r}")
        elif is_path and "://" not in text:
            scope.read(text)
        elif not kind.startswith("post-processor") and "{{" in text and IMPURE.search(text):
            unknown.append(f"{setting} of the {kind} is {text!r}")
        elif _names_a_file(text, project):
            scope.read(text)
    return unknown


def _names_a_file(text: str, project: Path) -> bool:
    """Say whether a string in a setting that is not known to be a path is one all the same."""
    if not text or len(text) > 255 or "\n" in text or text.startswith(("/", "-", "~")):  # noqa: PLR2004 - NAME_MAX
        return False
    return (project / text).is_file()


def _settings(body: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return every setting, those of nested blocks as well."""
    for name, value in body.items():
        nested = value if isinstance(value, list) else [value]
        blocks = [one for one in nested if isinstance(one, dict)]
        if blocks and len(blocks) == len(nested):
            for one in blocks:
                yield from _settings(one)
        else:
            yield name, value


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _declared(order: BakeOrder) -> set[Path]:
    found: set[Path] = set()
    for pattern in order.inputs:
        matches = set(order.project.glob(pattern))
        if not matches:
            raise ConfigError(f"inputs of image {order.name!r}: nothing matches {pattern!r} in {order.project}")
        found |= matches
    return found


def _base(source: Block, scope: Scope, look_up: Callable[[str, bool], tuple[str, str]]) -> tuple[str, list[str]]:
    """Return the base image with its digest, and why it is not known where it is not."""
    if source.type != "docker":
        return "", [f"what a source of type {source.type!r} starts from"]
    try:
        reference = value_of(source.body.get("image", ""), scope)
        pull = value_of(source.body.get("pull", True), scope)
    except UnknownValueError as reason:
        return "", [f"the base image is {reason}"]
    if not reference:
        return "", ["the base image is built by the template"] if "build" in source.body else []
    digest, why = look_up(str(reference), str(pull).lower() != "false")
    return (f"{reference}@{digest}", []) if digest else (str(reference), [why])


def _file(path: Path, project: Path) -> dict[str, str]:
    """Return the digest of a file, or of each file below a folder."""
    name = _shown(path, project)
    if path.is_dir():
        tree = {f"folder {name}": _digest("folder")}
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(one for one in folders if one not in IGNORED)
            for one in sorted(files):
                tree |= _file(Path(folder) / one, project)
        return tree
    return {f"file {name}": _content(path)}


def _content(path: Path) -> str:
    """Return the digest of a file's content and of whether it is executable; `missing` when there is none."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return f"not a file ({stat.filemode(mode)[0]})"
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "missing"
    return f"sha256:{content}" + ("+x" if mode & stat.S_IXUSR else "")


def _shown(path: Path, project: Path) -> str:
    try:
        shown = path.resolve().relative_to(project.resolve())
    except ValueError:
        shown = path
    return os.fsencode(shown).decode(errors="backslashreplace")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _secret(name: str, value: str) -> str:
    """Return a digest that is dear to guess from: this ends up in reports."""
    salt = f"imagetest variable {name}".encode()
    return "scrypt:" + hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1).hex()[:64]
