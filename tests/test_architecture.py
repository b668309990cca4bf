"""The shape of the package: who may import whom, who may start programs, and how big a module may grow."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "imagetest"
MODULES = sorted(ROOT.rglob("*.py"))
MAX_LINES = 400

# Lowest first. A module imports only from layers below its own; names that share a layer never import each other.
# The ports speak of key pairs, which `execute` makes, and of nothing else that touches this machine: that is why they
# stand above it. `marks` is what a suite says to imagetest, and needs nothing of it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "marks"}),
    frozenset({"model"}),
    frozenset({"policy", "execute"}),
    frozenset({"ports", "transport"}),
    frozenset(
        {
            "pipeline", "builders", "drivers", "collectors", "reporters", "promoters", "deployers", "registry",
            "testing",
        }
    ),
    frozenset({"config"}),
    frozenset({"cli", "console", "pytest_plugin"}),
)  # fmt: skip
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

STARTS_PROGRAMS = {"subprocess", "multiprocessing", "pty", "pexpect"}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Give the full name of everything that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_module = pytest.mark.parametrize("path", MODULES, ids=identity)


@every_module
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = part_of(path)
    if here == "__init__":
        return
    assert here in RANK, f"{here}: give it a layer in LAYERS"
    others = {name.split(".")[1] for name in imported(path) if name.startswith("imagetest.")} & RANK.keys() - {here}

    assert [other for other in sorted(others) if RANK[other] >= RANK[here]] == []


@every_module
def test_a_module_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@every_module
def test_one_module_alone_starts_programs(path: Path) -> None:
    started = {name.split(".")[0] for name in imported(path)} & STARTS_PROGRAMS

    assert started == ({"subprocess"} if identity(path) == "execute/process.py" else set())


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in {"errors", "marks", "model"}], ids=identity
)
def test_the_nouns_need_the_standard_library_alone(path: Path) -> None:
    """Apart from the codec, which turns them into JSON, and from the marks, which are pytest's."""
    allowed = {"model/codec.py": {"msgspec"}, "marks.py": {"pytest"}}.get(identity(path), set())
    needed = {name.split(".")[0] for name in imported(path)} - {"imagetest"}

    assert needed - sys.stdlib_module_names == allowed


def test_every_layer_names_what_there_is_or_what_is_planned() -> None:
    planned = {"collectors", "deployers", "console"}

    assert RANK.keys() - {part_of(path) for path in MODULES} <= planned
