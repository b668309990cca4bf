"""As much of HCL2's and Packer's expressions as decides which files, variables and images a template reads.

What cannot be worked out beforehand raises UnknownValueError with the reason; nothing is guessed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMPURE = re.compile(
    r"\b(timestamp|(legacy_)?(isotime|strftime)|uuid|uuidv4|vault|consul_keys?|aws_secretsmanager(_raw)?|bcrypt)\b"
    r"|\bdata\.|\bbuild\.(?!name\b|type\b)\w|\bbuild\s+[`\"]|\bpacker\.(?!version\b)\w"
)
"""Functions and names whose value is another one each time, or that ask somebody else."""

READERS = frozenset({"file", "filebase64", "fileexists", "fileset", "templatefile"})
"""Functions that read from the disk."""

READER = re.compile(rf"\b(?:{'|'.join(sorted(READERS))})\s*\(")
CALL = re.compile(r"^([a-z_0-9]+)\s*\((.*)\)$", re.DOTALL)
GO_TEMPLATE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
CLOSING = {"(": ")", "[": "]", "{": "}"}


class UnknownValueError(Exception):
    """A value that only the bake itself will know."""


@dataclass(kw_only=True)
class Scope:
    """What expressions may refer to, and what they were found to read."""

    root: Path
    """The template's folder: `path.root`, `template_dir`, and the base of what HCL2's functions read."""
    cwd: Path
    """The folder that Packer runs in: `path.cwd`, `pwd`, and the base of relative paths in settings."""
    variables: dict[str, Any]
    hcl: bool = True
    """False for a template in JSON, where `${` means nothing."""
    locals: dict[str, Any] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    environment: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    """What is read that cannot be known, in words."""

    def read(self, path: str, *, base: Path | None = None) -> Path:
        """Note that a file is read."""
        found = (base or self.cwd) / os.path.expanduser(path)  # noqa: PTH111 - pathlib's raises for an unknown user
        self.files.add(found)
        return found


def value_of(node: Any, scope: Scope) -> Any:
    """Work out a value as python-hcl2 or a JSON template gives it. Raises UnknownValueError."""
    if isinstance(node, list):
        return [value_of(one, scope) for one in node]
    if isinstance(node, dict):
        return {key: value_of(one, scope) for key, one in node.items() if not key.startswith("__")}
    if not isinstance(node, str):
        return node
    if not scope.hcl:
        return go_template(node, scope)
    if node.startswith("${") and node.endswith("}") and _closing(node, 1) == len(node) - 1:
        return expression(node[2:-1], scope)
    quoted = len(node) > 1 and node.startswith('"') and node.endswith('"')
    return template(_unquote(node) if quoted else node, scope)


def survey(node: Any, scope: Scope) -> None:
    """Note what a value reads, whether or not the value itself can be worked out."""
    if isinstance(node, (list, dict)):
        for one in node.values() if isinstance(node, dict) else node:
            survey(one, scope)
    elif isinstance(node, str) and scope.hcl:
        try:
            for inside in _interpolations(node):
                _read_within(inside, scope)
        except UnknownValueError as reason:
            if READER.search(node):
                scope.unknown.append(f"what {reason} reads")


def template(text: str, scope: Scope) -> str:
    """Fill in `${...}`. Raises UnknownValueError."""
    filled, position = [], 0
    while (start := text.find("${", position)) >= 0:
        if start and text[start - 1] == "$":
            filled.append(text[position : start - 1] + "${")
            position = start + 2
            continue
        end = _closing(text, start + 1)
        filled += [text[position:start], _text(expression(text[start + 2 : end], scope))]
        position = end + 1
    whole = "".join(filled) + text[position:]
    if "%{" in whole:
        raise UnknownValueError("a template directive '%{...}'")
    return go_template(whole, scope)


def go_template(text: str, scope: Scope) -> str:
    """Fill in those `{{...}}` that are known beforehand; the others stay, as Packer fills them in later."""

    def fill(match: re.Match[str]) -> str:
        words = match[1].replace("`", '"').split(None, 1)
        name, argument = words[0] if words else "", words[1].strip('" ') if len(words) > 1 else ""
        if name == "user" and argument in scope.variables:
            return go_template(_text(scope.variables[argument]), scope)
        if name == "env":
            scope.environment.add(argument)
            return os.environ.get(argument, "")
        known = {"template_dir": str(scope.root), "pwd": str(scope.cwd)}
        return known.get(name, match[0])

    try:
        return GO_TEMPLATE.sub(fill, text)
    except RecursionError as error:
        raise UnknownValueError("a variable that refers to itself") from error


def expression(text: str, scope: Scope) -> Any:
    """Work out an expression. Raises UnknownValueError."""
    text = text.strip()
    if text.startswith('"') and _end_of_string(text, 0) == len(text) - 1:
        return template(_unquote(text), scope)
    if (number := re.fullmatch(r"-?\d+(\.\d+)?", text)) is not None:
        return float(text) if number[1] else int(text)
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    if (name := re.fullmatch(r"(var|local|path)\.([\w-]+)", text)) is not None:
        return _reference(name[1], name[2], scope)
    if (call := CALL.match(text)) is not None and _closing(text, text.index("(")) == len(text) - 1:
        return _call(call[1], arguments(call[2]), scope)
    if text.startswith("[") and _closing(text, 0) == len(text) - 1 and not re.match(r"\[\s*for\b", text):
        return [expression(one, scope) for one in arguments(text[1:-1])]
    raise UnknownValueError(f"the expression '{text}'")


def typed(text: str, scope: Scope) -> Any:
    """Read what `-var` or the environment gives for a variable that is no string. Raises UnknownValueError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return expression(text, scope)


def arguments(text: str) -> list[str]:
    """Split at the commas that are not inside of anything. Raises UnknownValueError."""
    parts, start, position = [], 0, 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position = _end_of_string(text, position)
        elif character in CLOSING:
            position = _closing(text, position)
        elif character == ",":
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def is_impure(node: Any, scope: Scope, seen: frozenset[str] = frozenset()) -> bool:
    """Say whether a value is another one each time, by itself or by a local that it refers to."""
    text = str(node)
    names = set(re.findall(r"\blocal\.([\w-]+)", text)) - seen
    return IMPURE.search(text) is not None or any(
        is_impure(scope.locals.get(one), scope, seen | names) for one in names
    )


def _reference(kind: str, name: str, scope: Scope) -> Any:
    if kind == "path":
        return str({"root": scope.root, "cwd": scope.cwd}.get(name, name))
    if kind == "var":
        if name not in scope.variables:
            raise UnknownValueError(f"the variable '{name}', which has no value")
        return scope.variables[name]
    if name not in scope.locals:
        raise UnknownValueError(f"local.{name}")
    try:
        return value_of(scope.locals[name], scope)
    except RecursionError as error:
        raise UnknownValueError(f"local.{name}, which refers to itself") from error


def _call(name: str, given: list[str], scope: Scope) -> Any:
    if name in READERS:
        return _read(name, given, scope)
    values = [expression(one, scope) for one in given]
    if name == "env" and values:
        scope.environment.add(_text(values[0]))
        return os.environ.get(_text(values[0]), "")
    if name in PURE:
        try:
            return PURE[name](*values)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise UnknownValueError(f"the function {name}()") from error
    raise UnknownValueError(f"the function {name}()")


def _read(name: str, given: list[str], scope: Scope) -> Any:
    """Note what a function reads and return its value."""
    try:
        paths = [_text(expression(one, scope)) for one in given[: 2 if name == "fileset" else 1]]
    except UnknownValueError as reason:
        scope.unknown.append(f"what {name}({given[0] if given else ''}) reads: {reason}")
        raise
    if name == "fileset" and len(paths) > 1:
        return _fileset(scope.root / paths[0], paths[1], scope)
    if not paths or name == "fileset":
        raise UnknownValueError(f"the function {name}()")
    path = scope.read(paths[0], base=scope.root)
    text = path.read_text(errors="replace") if path.is_file() else ""
    if name == "templatefile" and (READER.search(text) or IMPURE.search(text)):
        scope.unknown.append(f"what {paths[0]!r} reads, which is a template itself")
    if name == "file":
        return text
    raise UnknownValueError(f"the function {name}()")


def _fileset(base: Path, pattern: str, scope: Scope) -> list[str]:
    if "**" in pattern or "{" in pattern or pattern.startswith("/"):  # which mean other things to pathlib
        fixed = itertools.takewhile(lambda part: not set(part) & set("*?[{"), Path(pattern).parts)
        scope.files.add(base.joinpath(*fixed))
        raise UnknownValueError(f"the pattern {pattern!r}")
    found = sorted(path for path in base.glob(pattern) if path.is_file())
    scope.files.update(found)
    return [str(path.relative_to(base)) for path in found]


PURE: dict[str, Callable[..., Any]] = {
    "abspath": lambda path: str(Path(path).absolute()),
    "basename": lambda path: Path(path).name,
    "concat": lambda *lists: [one for part in lists for one in part],
    "dirname": lambda path: str(Path(path).parent),
    "format": lambda form, *values: re.sub(r"%[sdv]", "{}", form).format(*values),
    "join": lambda separator, *lists: separator.join(str(one) for part in lists for one in part),
    "lower": str.lower,
    "pathexpand": os.path.expanduser,
    "replace": lambda text, old, new: text.replace(old, new),
    "trimspace": str.strip,
    "upper": str.upper,
}


def _interpolations(text: str) -> Iterator[str]:
    """Return what stands in each `${...}` and `%{...}`. Raises UnknownValueError for one that does not end."""
    for match in re.finditer(r"(?<!\$)\$\{|(?<!%)%\{", text):
        yield text[match.end() : _closing(text, match.end() - 1)]


def _read_within(text: str, scope: Scope) -> None:
    """Note what the calls inside of an expression read, those inside of the calls too."""
    for match in READER.finditer(text):
        end = _closing(text, match.end() - 1)
        name = match[0].rstrip("( \t\n")
        try:
            _read(name, arguments(text[match.end() : end]), scope)
        except UnknownValueError:
            continue  # it was noted: the value itself is of no interest here


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _unquote(text: str) -> str:
    if text.startswith('"<<'):
        return text[1:-1].partition("\n")[2].rpartition("\n")[0]
    inner = text[1:-1]
    return re.sub(r"\\(.)", lambda one: {"n": "\n", "t": "\t", "r": "\r"}.get(one[1], one[1]), inner)


def _closing(text: str, opening: int) -> int:
    """Find what closes the bracket at `opening`, past strings and other brackets. Raises UnknownValueError."""
    position = opening + 1
    while position < len(text):
        character = text[position]
        if character == CLOSING[text[opening]]:
            return position
        if character == '"':
            position = _end_of_string(text, position)
        elif character in CLOSING:
            position = _closing(text, position)
        position += 1
    raise UnknownValueError(f"'{text}'")


def _end_of_string(text: str, start: int) -> int:
    """Find the quote that ends a string, past the strings inside of its `${...}`. Raises UnknownValueError."""
    position = start + 1
    while position < len(text):
        if text[position] == '"':
            return position
        if text.startswith("${", position) and text[position - 1] != "$":
            position = _closing(text, position + 1)
        position += 2 if text[position] == "\\" else 1
    raise UnknownValueError(f"'{text}'")
