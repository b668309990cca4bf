"""Read a template, in JSON or in HCL2, into the few things that baking it needs to know."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imagetest.errors import ConfigError
from imagetest.model.plan import BakeOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A source, a provisioner or a post-processor, as it stands in the template."""

    kind: str
    """`source`, `provisioner` or `post-processor`."""
    type: str
    """Packer's name for what it is: `docker`, `shell`, `docker-tag`."""
    body: dict[str, Any]
    name: str = ""
    """A source's full name, as Packer reports it."""
    label: str = ""
    """A source's name where it is described, such as `docker.web`; what a step's `only` may say too."""
    only: tuple[str, ...] = ()
    build: int = 0
    """Which of the template's build blocks it stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a template says."""

    files: tuple[Path, ...]
    root: Path
    blocks: tuple[Block, ...]
    defaults: dict[str, Any]
    """What the template and the variable files say of each variable, not yet worked out."""
    given: dict[str, str]
    """What the environment and the order say of it, as text."""
    sensitive: frozenset[str]
    structured: frozenset[str] = frozenset()
    """Variables that are no plain text: what is given for them is an expression."""
    locals: dict[str, Any] = field(default_factory=dict)
    data: bool = False
    """True when the template asks data sources while it is read."""
    dynamic: bool = False
    """True when it makes sources or steps by `dynamic` blocks."""
    plugins: bool = False
    """True when the template names the plugins that it needs."""
    hcl: bool = True

    @property
    def sources(self) -> tuple[Block, ...]:
        """Return the sources in the order of the template."""
        return tuple(block for block in self.blocks if block.kind == "source")


def read(order: BakeOrder) -> Template:
    """Read the template of an order. Raises ConfigError when it cannot be read at all."""
    try:
        return _read(order)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = "a block is not of the shape that Packer gives it"
        raise ConfigError(f"{order.template} is no Packer template: {said}") from error


def _read(order: BakeOrder) -> Template:
    path = order.template
    if path.is_file() and path.name.endswith(".json") and not path.name.endswith(".pkr.json"):
        return _read_json(path, order)
    files = sorted([*path.glob("*.pkr.hcl"), *path.glob("*.pkr.json")]) if path.is_dir() else [path]
    return _read_hcl(path if path.is_dir() else path.parent, files, order)


def _read_json(path: Path, order: BakeOrder) -> Template:
    tables = _load_json(path)
    blocks = [
        Block(kind="source", type=str(one.get("type", "")), name=str(one.get("name") or one.get("type", "")), body=one)
        for one in _objects(path, tables, "builders")
    ]
    blocks += [_json_block("provisioner", one) for one in _objects(path, tables, "provisioners")]
    blocks += [_json_block("post-processor", one) for one in _objects(path, tables, "post-processors")]
    variables = dict(tables.get("variables", {}))
    for file in order.var_files:
        variables |= _load_json(file)
    return Template(
        files=(path,),
        root=path.parent,
        blocks=tuple(blocks),
        defaults={name: value for name, value in variables.items() if value is not None},
        given=dict(order.variables),
        sensitive=frozenset(tables.get("sensitive-variables", [])),
        hcl=False,
    )


def _objects(path: Path, tables: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the entries of a list; a post-processor may be its type alone, or stand in a chain."""
    entries = tables.get(name, [])
    chains = entries if isinstance(entries, list) else [entries]
    flat: list[Any] = [step for one in chains for step in (one if isinstance(one, list) else [one])]
    steps = [{"type": step} if isinstance(step, str) and name == "post-processors" else step for step in flat]
    if not all(isinstance(step, dict) for step in steps):
        raise ConfigError(f"{path} is no Packer template: {name!r} must be a list of objects")
    return steps


def _json_block(kind: str, body: dict[str, Any]) -> Block:
    return Block(kind=kind, type=str(body.get("type", "")), body=body, only=tuple(body.get("only", [])))


def _read_hcl(root: Path, files: list[Path], order: BakeOrder) -> Template:
    tables: list[dict[str, Any]] = [_load_hcl(file) for file in files]
    declared = _labelled(tables, "variable") | {
        name: {"default": value} for table in tables for one in table.get("variables", []) for name, value in _body(one)
    }
    endings = ("hcl", "json")  # Packer's order: the later file wins
    auto = [file for one in endings if order.template.is_dir() for file in sorted(root.glob(f"*.auto.pkrvars.{one}"))]
    variables = {_bare(name): body["default"] for name, body in declared.items() if "default" in body}
    for file in [*auto, *order.var_files]:
        variables |= _variables_of(file)
    declarations = {_bare(name): body for name, body in declared.items()}
    named_locals = {_bare(name): body for name, body in _labelled(tables, "local").items()}
    guarded = {**named_locals, **declarations}
    environment = {name: os.environ[f"PKR_VAR_{name}"] for name in declarations if f"PKR_VAR_{name}" in os.environ}
    filed = {name for file in [*auto, *order.var_files] for name in _variables_of(file)}
    return Template(
        files=(*files, *auto),
        root=root,
        blocks=tuple(_hcl_blocks(tables)),
        defaults={name: value for name, value in variables.items() if name in declarations},
        given={**{name: value for name, value in environment.items() if name not in filed}, **dict(order.variables)},
        sensitive=frozenset(name for name, body in guarded.items() if body.get("sensitive") is True),
        structured=frozenset(name for name, body in declarations.items() if _is_structured(body)),
        locals={
            **{name: value for table in tables for one in table.get("locals", []) for name, value in _body(one)},
            **{name: body.get("expression") for name, body in named_locals.items()},
        },
        data=any(table.get("data") for table in tables),
        dynamic=any("dynamic" in build for table in tables for build in table.get("build", [])),
        plugins=any("required_plugins" in one for table in tables for one in table.get("packer", [])),
    )


def _hcl_blocks(tables: list[dict[str, Any]]) -> list[Block]:
    described = {
        (_bare(kind), _bare(name)): body
        for table in tables
        for one in table.get("source", [])
        for kind, named in one.items()
        if isinstance(named, dict)
        for name, body in named.items()
    }
    blocks: list[Block] = []
    for number, build in enumerate(build for table in tables for build in table.get("build", [])):
        prefix = f"{_bare(str(build['name']))}." if "name" in build else ""
        found = [_hcl_source(described, _bare(one), {}, prefix) for one in _listed(build.get("sources", []))]
        for one in build.get("source", []):
            found += [_hcl_source(described, _bare(label), body, prefix) for label, body in one.items()]
        found += _steps(build, "provisioner") + _steps(build, "post-processor")
        for chain in build.get("post-processors", []):
            found += _steps(chain, "post-processor")
        blocks += [replace(block, build=number) for block in found]
    return blocks


def _hcl_source(
    described: dict[tuple[str, str], dict[str, Any]], label: str, body: dict[str, Any], prefix: str
) -> Block:
    kind, _, name = label.removeprefix("source.").partition(".")
    shown = _bare(str(body["name"])) if "name" in body else name
    return Block(
        kind="source",
        type=kind,
        name=f"{prefix}{kind}.{shown}",
        label=f"{kind}.{name}",
        body={**described.get((kind, name), {}), **body},
    )


def _steps(build: dict[str, Any], kind: str) -> list[Block]:
    return [
        Block(kind=kind, type=_bare(label), body=body, only=tuple(_bare(one) for one in _listed(body.get("only", []))))
        for one in build.get(kind, [])
        for label, body in one.items()
        if isinstance(body, dict)
    ]


def _is_structured(declaration: dict[str, Any]) -> bool:
    """Say whether a variable is a list, a map or a flag, by its type or else by its default."""
    default = declaration.get("default")
    if "type" not in declaration:
        return isinstance(default, (list, dict, bool))
    return _bare(str(declaration["type"])).removeprefix("${").removesuffix("}") not in {"string", "number", "any"}


def _variables_of(file: Path) -> dict[str, Any]:
    return _load_json(file) if file.name.endswith(".json") else dict(_body(_load_hcl(file)))


def _labelled(tables: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {label: body for table in tables for one in table.get(kind, []) for label, body in one.items()}


def _body(table: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in table.items() if not name.startswith("__")]


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _load_json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} is no Packer template: expected a JSON object")
    return loaded


def _load_hcl(path: Path) -> dict[str, Any]:
    if path.name.endswith(".json"):
        return _as_blocks(_load_json(path))
    import hcl2
    from lark.exceptions import LarkError

    try:
        text = path.read_text(encoding="utf-8")
        loaded: dict[str, Any] = hcl2.loads(text if text.endswith("\n") else text + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except LarkError as error:
        line = getattr(error, "line", 0)
        where = f"line {line}" if line else "its end"
        raise ConfigError(
            f"{path} is not valid HCL at {where}", hint=f"'packer validate {path.name}' says what is wrong there"
        ) from error
    return loaded


def _as_blocks(tables: dict[str, Any]) -> dict[str, Any]:
    """Bring HCL2's JSON syntax into the shape of its native one, in which every block stands in a list."""
    nested = {"provisioner", "post-processor", "post-processors", "source"}
    blocks = {name: value if isinstance(value, list) else [value] for name, value in tables.items()}
    for build in blocks.get("build", []):
        build |= {
            name: [build[name]] if isinstance(build[name], dict) else build[name] for name in nested & build.keys()
        }
    return blocks
