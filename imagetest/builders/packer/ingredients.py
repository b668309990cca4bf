"""Everything that a bake depends on, as far as it can be known, and in words what cannot."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagetest.builders.packer import amazon, digests
from imagetest.builders.packer.expressions import IMPURE, Scope, UnknownValueError, is_impure, survey, typed, value_of
from imagetest.builders.packer.template import Block, Template
from imagetest.errors import ConfigError
from imagetest.execute.redact import Redactor
from imagetest.model.image import Input
from imagetest.model.plan import BakeOrder
from imagetest.model.text import legible
from imagetest.ports import Ingredients

PATHS = frozenset({
    "source", "sources", "script", "scripts", "playbook_file", "playbook_files", "playbook_dir", "playbook_paths",
    "role_paths", "collection_paths", "group_vars", "host_vars", "galaxy_file", "inventory_file",
    "inventory_groups_file", "manifest_file", "manifest_dir", "module_paths", "hiera_config_path", "cookbook_paths",
    "roles_path", "environments_path", "data_bags_path", "local_state_tree", "local_pillar_roots", "http_directory",
    "cd_files", "floppy_files", "floppy_dirs", "user_data_file", "path", "build_dir", "vault_password_file",
    "command_file", "iso_url", "iso_urls", "source_path",
})  # fmt: skip
"""Settings whose value is a path on the machine that bakes."""

PATTERNS = frozenset({"cd_files", "floppy_files"})
"""Those of them that may be patterns."""

TRANSPARENT = frozenset({
    "shell", "file", "powershell", "windows-shell", "windows-restart", "sleep", "breakpoint", "ansible-local",
    "puppet-masterless",
})  # fmt: skip
"""Provisioners that read nothing on the machine that bakes but what the template names."""

ENVIRONMENT = ("DOCKER_DEFAULT_PLATFORM",)
"""Variables of the environment that decide what the docker command makes, named or not."""

FALSE = frozenset({"false", "f", "0", "", "none"})
"""How a flag is written that is not set, as Packer reads one."""

MOUNTS = re.compile(r"^(-v|--volume|--volumes-from|--mount|--env-file)(=|$)|^-v.")
"""Options of `docker run` that bring files of this machine in."""

PASSED = re.compile(r"(?:^|\0)(?:-e|--env)[\0=]?([A-Za-z_]\w*)(?=\0|$)")
"""Options of `docker run` that pass a variable of the environment on, in its words with NUL between them."""


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
    scope = scope_of(template, order)
    inputs = {"packer": builder, "source": source.name, "project": digests.of_value(str(order.project))}
    inputs |= _variables(template, scope)
    for block in _relevant(template, source):
        _read(block, scope, order.project)
    shown = _base(source, scope, base)
    if template.data:
        scope.unknown.append("the template asks data sources")
    if template.dynamic:
        scope.unknown.append("the template makes sources or steps by 'dynamic' blocks")
    scope.files.update(template.files, order.var_files, _declared(order))
    private = {*template.files, *order.var_files} if template.sensitive else set()
    for path in sorted(scope.files):
        found = digests.of_path(path, order.project)
        inputs |= {name: digests.of_secret(name, one) if path in private else one for name, one in found.items()}
    scope.environment.update(name for name in ENVIRONMENT if name in os.environ)
    inputs |= {f"environment {name}": digests.of_value(os.environ.get(name, "")) for name in scope.environment}
    secrets = tuple(dict.fromkeys(_secrets(template, scope)))
    redact = Redactor(secrets)

    def mask(text: str) -> str:
        return legible(redact(text))

    if shown:
        inputs["base image"] = mask(shown)
    return Ingredients(
        source=source.name,
        inputs=tuple(Input(name=mask(name), digest=value) for name, value in sorted(inputs.items())),
        unknown=tuple(dict.fromkeys(map(mask, scope.unknown))),
        base=mask(shown),
        secrets=secrets,
    )


def scope_of(template: Template, order: BakeOrder) -> Scope:
    """Work out the variables, and note what they and the locals read."""
    scope = Scope(root=template.root, cwd=order.project, variables={}, locals=template.locals, hcl=template.hcl)
    for name, node in template.defaults.items():
        try:
            scope.variables[name] = value_of(node, scope)
        except UnknownValueError as reason:
            scope.unknown.append(f"the default of variable {name!r}: {reason}")
    for name, text in template.given.items():
        try:
            scope.variables[name] = typed(text, scope) if name in template.structured else text
        except UnknownValueError as reason:
            scope.unknown.append(f"the value of variable {name!r}: {reason}")
    survey(template.locals, scope)
    return scope


def _variables(template: Template, scope: Scope) -> dict[str, str]:
    return {
        f"variable {name}": digests.of_secret(name, value) if name in template.sensitive else digests.of_value(value)
        for name, value in scope.variables.items()
    }


def _secrets(template: Template, scope: Scope) -> Iterable[str]:
    for name in sorted(template.sensitive):
        try:
            value = scope.variables[name] if name in scope.variables else value_of(template.locals.get(name), scope)
        except UnknownValueError:
            continue  # nobody here can mask what nobody here knows
        yield from (str(one) for one in _leaves(value) if one is not None)


def _relevant(template: Template, source: Block) -> list[Block]:
    """Return the source and what runs for it; what runs for other sources only is left out."""
    names = (source.name, source.label, source.name.rpartition(".")[2])
    steps = [block for block in template.blocks if block.kind != "source" and block.build == source.build]
    mine = [block for block in steps if not block.only or any(fnmatch.filter(names, one) for one in block.only)]
    return [source, *mine]


def _read(block: Block, scope: Scope, project: Path) -> None:
    """Note what a block reads, and what cannot be known of it."""
    survey(block.body, scope)
    local = block.type.startswith("shell-local")
    if local or (block.kind == "provisioner" and block.type not in TRANSPARENT):
        scope.unknown.append(f"the {block.kind} {block.type!r} may read what the template does not name")
    download = block.body.get("direction") in {"download", '"download"'} or block.body.get("generated") is True
    named = amazon.NAMING if block.kind == "source" and block.type in amazon.TYPES else frozenset()
    for setting, node in _settings({name: one for name, one in block.body.items() if name.strip('"') not in named}):
        if setting in {"only", "except"} or (download and setting == "source"):
            continue
        for leaf in _leaves(node):
            _note(leaf, f"{setting} of the {block.kind} {block.type!r}", scope, project, Role.of(block, setting))


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a setting is, as far as it matters to what is read."""

    path: bool
    pattern: bool
    shapes: bool
    """True when its value can end up in the image."""

    @classmethod
    def of(cls, block: Block, setting: str) -> Role:
        """Look a setting up; `source` in a source is no path."""
        return cls(
            path=setting in PATHS and not (block.kind == "source" and setting == "source"),
            pattern=setting in PATTERNS,
            shapes=block.kind != "post-processor",
        )


def _note(leaf: Any, what: str, scope: Scope, project: Path, role: Role) -> None:
    try:
        value = value_of(leaf, scope)
    except UnknownValueError as reason:
        if role.path or (role.shapes and is_impure(leaf, scope)):
            scope.unknown.append(f"{what} is {reason}")
        return
    for text in (one for one in _leaves(value) if isinstance(one, str)):
        if "{{" in text and (role.path or (role.shapes and IMPURE.search(text))):
            scope.unknown.append(f"{what} is {text!r}")
        elif role.path and "://" not in text:
            path = scope.read(text)
            if role.pattern and not path.exists():
                scope.files.update(Path(one) for one in glob.glob(str(path)))  # noqa: PTH207 - it may be absolute
        elif role.shapes and _names_a_file(text, (project, scope.root)):
            scope.read(text)


def _names_a_file(text: str, homes: Iterable[Path]) -> bool:
    """Say whether a string in a setting that is not known to be a path is one all the same: of the project's."""
    if not text or len(text) > 4096 or "\n" in text or "\0" in text or text.startswith(("-", "~")):  # noqa: PLR2004 - PATH_MAX
        return False
    try:
        if text.startswith("/"):
            return any(Path(text).is_relative_to(home) for home in homes) and Path(text).exists()
        return any((home / text).is_file() for home in homes)
    except OSError:  # longer than a name may be
        return False


def _settings(body: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return every setting, those of nested blocks as well."""
    for name, value in body.items():
        nested = value if isinstance(value, list) else [value]
        blocks = [one for one in nested if isinstance(one, dict)]
        if blocks and len(blocks) == len(nested):
            for one in blocks:
                yield from _settings(one)
        elif not name.startswith("__"):
            yield name.strip('"'), value


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def _declared(order: BakeOrder) -> set[Path]:
    found: set[Path] = set()
    for pattern in order.inputs:
        pattern_here = str(order.project / pattern)
        matches = {Path(one) for one in glob.glob(pattern_here, recursive=True, include_hidden=True)}  # noqa: PTH207
        if not matches:
            raise ConfigError(f"inputs of image {order.name!r}: nothing matches {pattern!r} in {order.project}")
        found |= matches
    return found


def _base(source: Block, scope: Scope, look_up: Callable[[str, bool], tuple[str, str]]) -> str:
    """Return the base image with its digest, and note why it is not known where it is not."""
    if source.type == "qemu":
        return _disk(source, scope)
    if source.type in amazon.TYPES:
        return amazon.base(source, scope, amazon.newest)
    if source.type == "docker":
        return _container(source, scope, look_up)
    scope.unknown.append(f"what a source of type {source.type!r} starts from")
    return ""


def _container(source: Block, scope: Scope, look_up: Callable[[str, bool], tuple[str, str]]) -> str:
    """Return the container image that a container starts from."""
    _machine(source, scope)
    try:
        reference = value_of(source.body.get("image", ""), scope)
        pull = value_of(source.body.get("pull", True), scope)
    except UnknownValueError as reason:
        scope.unknown.append(f"the base image is {reason}")
        return ""
    if not reference:
        scope.unknown.append("the base image is built by the template")
        return ""
    digest, why = look_up(str(reference), str(pull).lower() not in FALSE)
    if digest:
        return f"{reference}@{digest}"
    scope.unknown.append(why)
    return str(reference)


def _disk(source: Block, scope: Scope) -> str:
    """Return the disk or the installer that a virtual machine starts from; one on this machine is an input as well."""
    found = []
    for setting in ("iso_url", "iso_checksum"):
        try:
            found.append(str(value_of(source.body.get(setting, ""), scope)))
        except UnknownValueError as reason:
            if setting not in PATHS:  # else it was said already
                scope.unknown.append(f"{setting} is {reason}")
            return ""
    url, checksum = found
    if url and "://" not in url:
        return url
    if not url or checksum.removeprefix("sha256:") in {"", "none"} or checksum.startswith("file:"):
        scope.unknown.append("what the machine starts from has no checksum in the template")
    return f"{url}@{checksum}" if url else ""


def _machine(source: Block, scope: Scope) -> None:
    """Note what a container that bakes is given of this machine."""
    if source.body.get("volumes"):
        scope.unknown.append("what is in the volumes")
    try:
        words = value_of(source.body.get("run_command", []), scope)
    except UnknownValueError as reason:
        scope.unknown.append(f"run_command is {reason}")
        return
    words = [str(one) for one in words] if isinstance(words, list) else [str(words)]
    scope.environment.update(PASSED.findall("\0".join(words)))
    if any(MOUNTS.match(word) for word in words):
        scope.unknown.append("what run_command brings in from this machine")
    if words and not any(re.search(r"\{\{\s*\.Image\s*\}\}", word) for word in words):
        scope.unknown.append("run_command does not start {{.Image}}")
