"""As much of HCL2's and Packer's expressions as decides which files, variables and images a template reads.

What cannot be worked out beforehand raises UnknownValueError with the reason; nothing is guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMPURE = re.compile(r"\b(timestamp|isotime|uuid|uuidv4|vault|consul_key|aws_secretsmanager|bcrypt)\b|\bdata\.")
"""Functions whose value is another one each time, or that ask somebody else."""

CALL = re.compile(r"^([a-z_0-9]+)\((.*)\)$", re.DOTALL)
GO_TEMPLATE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)


class UnknownValueError(Exception):
    """A value that only the bake itself will know."""


@dataclass(kw_only=True)
class Scope:
    """What expressions may refer to, and what they were found to read."""

    root: Path
    """The template's folder: `path.root`, `template_dir`."""
    cwd: Path
    """The folder that Packer runs in: `path.cwd`, `pwd`, and the base of relative paths."""
    variables: dict[str, Any]
    hcl: bool = True
    """False for a template in JSON, where `${` means nothing."""
    locals: dict[str, Any] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    environment: set[str] = field(default_factory=set)

    def read(self, path: str) -> Path:
        """Note that a file is read."""
        found = self.cwd / Path(path).expanduser()
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
    if node.startswith("${") and node.endswith("}") and _closing(node, 1) == len(node) - 1:
        return expression(node[2:-1], scope)
    if len(node) > 1 and node.startswith('"') and node.endswith('"'):
        return template(_unquote(node), scope)
    return template(node, scope) if scope.hcl else go_template(node, scope)


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

    return GO_TEMPLATE.sub(fill, text)


def expression(text: str, scope: Scope) -> Any:
    """Work out an expression. Raises UnknownValueError."""
    text = text.strip()
    if text.startswith('"') and text.endswith('"') and _closing_quote(text) == len(text) - 1:
        return template(_unquote(text), scope)
    if (number := re.fullmatch(r"-?\d+(\.\d+)?", text)) is not None:
        return float(text) if number[1] else int(text)
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    if (name := re.fullmatch(r"(var|local|path)\.(\w+)", text)) is not None:
        return _reference(name[1], name[2], scope)
    if (call := CALL.match(text)) is not None and _closing_parenthesis(text, len(call[1])) == len(text) - 1:
        return _call(call[1], arguments(call[2]), scope)
    if text.startswith("[") and text.endswith("]"):
        return [expression(one, scope) for one in arguments(text[1:-1])]
    _read_within(text, scope)
    raise UnknownValueError(f"the expression '{text}'")


def arguments(text: str) -> list[str]:
    """Split at the commas that are not inside of anything."""
    parts, depth, start, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == '"' and text[position - 1 : position] != "\\":
            quoted = not quoted
        elif not quoted and character in "([{":
            depth += 1
        elif not quoted and character in ")]}":
            depth -= 1
        elif character == "," and not quoted and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _reference(kind: str, name: str, scope: Scope) -> Any:
    if kind == "path":
        return str({"root": scope.root, "cwd": scope.cwd}.get(name, name))
    if kind == "var":
        if name not in scope.variables:
            raise UnknownValueError(f"the variable '{name}', which has no value")
        return scope.variables[name]
    if name not in scope.locals:
        raise UnknownValueError(f"local.{name}")
    return value_of(scope.locals[name], scope)


def _call(name: str, given: list[str], scope: Scope) -> Any:
    if name in {"file", "filebase64", "templatefile"}:
        path = scope.read(_text(expression(given[0], scope)))
        return path.read_text(errors="replace") if name == "file" and path.is_file() else ""
    if name == "env":
        scope.environment.add(_text(expression(given[0], scope)))
        return os.environ.get(_text(expression(given[0], scope)), "")
    values = [expression(one, scope) for one in given]
    if name == "fileset":
        base = scope.cwd / str(values[0])
        found = sorted(path for path in base.glob(str(values[1])) if path.is_file())
        scope.files.update(found)
        return [str(path.relative_to(base)) for path in found]
    if name in PURE:
        try:
            return PURE[name](*values)
        except (TypeError, ValueError, AttributeError) as error:
            raise UnknownValueError(f"the function {name}()") from error
    raise UnknownValueError(f"the function {name}()")


PURE: dict[str, Callable[..., Any]] = {
    "abspath": lambda path: str(Path(path).absolute()),
    "basename": lambda path: Path(path).name,
    "concat": lambda *lists: [one for part in lists for one in part],
    "dirname": lambda path: str(Path(path).parent),
    "format": lambda form, *values: re.sub(r"%[sdv]", "{}", form).format(*values),
    "join": lambda separator, *lists: separator.join(str(one) for part in lists for one in part),
    "lower": str.lower,
    "pathexpand": lambda path: str(Path(path).expanduser()),
    "replace": lambda text, old, new: text.replace(old, new),
    "trimspace": str.strip,
    "upper": str.upper,
}


def _read_within(text: str, scope: Scope) -> None:
    """Note the files that the calls inside of an expression read, even where its value stays unknown."""
    for match in re.finditer(r"\b(?:file|filebase64|templatefile|fileset)\(", text):
        end = _closing_parenthesis(text, match.end() - 1)
        expression(text[match.start() : end + 1], scope)


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
    """Find the brace that closes the one at `opening`. Raises UnknownValueError when there is none."""
    return _match(text, opening, "{", "}")


def _closing_parenthesis(text: str, opening: int) -> int:
    return _match(text, opening, "(", ")")


def _match(text: str, opening: int, left: str, right: str) -> int:
    depth = 0
    for position in range(opening, len(text)):
        if text[position] == left:
            depth += 1
        elif text[position] == right:
            depth -= 1
            if depth == 0:
                return position
    raise UnknownValueError(f"'{text}'")


def _closing_quote(text: str) -> int:
    position = 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    return position
