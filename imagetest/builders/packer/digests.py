"""Digests of what a bake reads: files and folders as they would be uploaded, and values."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any


def of_path(path: Path, project: Path) -> dict[str, str]:
    """Return the digest of a file, or of everything below a folder, by name; links are followed, and count too."""
    return _tree(Path(os.path.abspath(path)), project, frozenset())  # noqa: PTH100 - a link must keep its own name


def of_value(value: Any) -> str:
    """Return the digest of a value."""
    return "sha256:" + hashlib.sha256(_bytes(value)).hexdigest()


def of_secret(name: str, value: Any) -> str:
    """Return a digest that is dear to guess from: this ends up in reports."""
    salt = f"imagetest variable {name}".encode()
    return "scrypt:" + hashlib.scrypt(_bytes(value), salt=salt, n=2**14, r=8, p=1).hex()[:64]


def shown(path: Path, project: Path) -> str:
    """Return a path as people know it: relative to the project where it lies inside."""
    path = path.relative_to(project) if path.is_relative_to(project) else path
    return os.fsencode(path).decode(errors="backslashreplace")


def _tree(path: Path, project: Path, above: frozenset[str]) -> dict[str, str]:
    name, real = shown(path, project), os.path.realpath(path)
    if not path.is_dir():
        return {f"file {name}": _file(path)}
    found = {f"folder {name}": f"{_mode(path)}{_link(path)}"}
    if real in above:
        return found  # a link to a folder that it lies in
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        return {**found, f"folder {name}": f"cannot be read: {error.strerror}"}
    for entry in entries:
        found |= _tree(entry, project, above | {real})
    return found


def _file(path: Path) -> str:
    """Return the digest of a file's content, with its mode, which an upload keeps; `missing` when there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return f"not a file ({stat.filemode(path.stat().st_mode)[0]})"
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        return f"sha256:{content} {_mode(path)}{_link(path)}"
    except OSError:
        return f"missing{_link(path)}"


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def _link(path: Path) -> str:
    return f" -> {os.fsencode(path.readlink()).decode(errors='backslashreplace')}" if path.is_symlink() else ""


def _bytes(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text.encode("utf-8", "surrogatepass")
