"""What tests will ask of a machine, read from their source: a guess, which if wrong costs time and never an answer."""

from __future__ import annotations

import ast
import functools
import shlex
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from imagetest.transport.questions.families import FAMILIES

PRELUDE = (
    "uname -s", "cat /etc/os-release", "uname -m", "command -v command", "test -d /run/systemd/system/",
    "command -v sysctl", "command -v ss",
)  # fmt: skip
"""What testinfra's modules ask of every machine before they know how to ask the rest."""

SOCKETS = ("tcp", "udp", "unix")

CONTENT = {"content": "cat -- {}", "content_string": "cat -- {}", "linked_to": "realpath {}",
           "md5sum": "md5sum {} | cut -d' ' -f1", "sha256sum": "sha256sum {} | cut -d ' ' -f 1"}  # fmt: skip
"""Properties of testinfra's files that no family answers, and the commands behind them."""

COMMANDS = {"run", "check_output", "run_test", "command"}

Names = Mapping[str, tuple[str, ...]]
"""The strings that a name in a test's source may stand for."""


def guess(items: Iterable[pytest.Item]) -> Iterator[str]:
    """Give the commands that tests may ask with; what is known to change a machine is for the reader to leave out."""
    modules: dict[int, Names] = {}
    asked = [text for item in items for text in _of(item, modules)]
    if asked:
        yield from PRELUDE
    yield from asked


def _of(item: pytest.Item, modules: dict[int, Names]) -> Iterator[str]:
    """Give what one test may ask; `modules` keeps what the names of a module stand for, by the id of its globals."""
    function = getattr(item, "function", None)
    code = getattr(function, "__code__", None)
    if function is None or code is None:
        return
    node = _functions(item.path).get((code.co_name, code.co_firstlineno))
    if node is None:
        return
    params = item.callspec.params if hasattr(item, "callspec") else {}
    module = id(function.__globals__)
    if module not in modules:
        modules[module] = _named(function.__globals__)
    own: dict[str, tuple[str, ...]] = {}
    names = ChainMap(own, modules[module])  # type: ignore[arg-type]  # nothing is written into the second
    for name, value in _local(node).items():
        own[name] = _values(value, names)
    own |= _named(params)
    for call, attribute in _calls(node):
        yield from _asked(call, attribute, names)


@functools.lru_cache(maxsize=512)
def _functions(path: Path) -> dict[tuple[str, int], ast.FunctionDef]:
    """Return a module's functions by name and first line, which is that of the first decorator."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {(node.name, min([node.lineno, *(one.lineno for one in node.decorator_list)])): node for node in found}


@functools.lru_cache(maxsize=8192)
def _calls(node: ast.FunctionDef) -> tuple[tuple[ast.Call, str], ...]:
    """Return calls such as `host.file(...)`, with the attribute that is taken of what they give, if any."""
    taken = {id(one.value): one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    return tuple(
        (call, taken.get(id(call), ""))
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    )


@functools.lru_cache(maxsize=8192)
def _local(node: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return what a function gives names to, one by one or in a loop."""
    found: dict[str, ast.expr] = {}
    for one in ast.walk(node):
        match one:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.For(target=ast.Name(id=name), iter=value):
                found[name] = value
            case _:
                pass
    return found


def _constants(value: ast.expr) -> tuple[str, ...]:
    match value:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Tuple(elts=several) | ast.List(elts=several) | ast.Set(elts=several):
            return tuple(text for one in several for text in _constants(one))
        case _:
            return ()


def _named(values: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {name: found for name, value in values.items() if (found := _strings(value))}


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple | list | set | frozenset):
        return tuple(one for one in value if isinstance(one, str))
    return ()


def _asked(call: ast.Call, attribute: str, names: Names) -> Iterator[str]:
    assert isinstance(call.func, ast.Attribute)  # noqa: S101 - told to the type checker
    kind = call.func.attr
    for word in _values(call.args[0], names) if call.args else ():
        if kind in COMMANDS and len(call.args) == 1:
            yield word
        elif kind == "socket" and word.partition("://")[0] in SOCKETS:
            yield f"/usr/bin/ss --numeric --listening --{word.partition('://')[0]}"
        elif kind == "file" and attribute in CONTENT:
            yield CONTENT[attribute].format(shlex.quote(word))
        else:
            for family in FAMILIES:
                yield from family.texts(kind, word)


def _values(argument: ast.expr, names: Names) -> tuple[str, ...]:
    return names.get(argument.id, ()) if isinstance(argument, ast.Name) else _constants(argument)
