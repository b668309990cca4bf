"""`imagetest init`: a new project that runs as it stands."""

from __future__ import annotations

import json
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Annotated

import typer

from imagetest.errors import StorageError, UsageError

SKELETON = Path(__file__).parent / "skeleton"

RENAMED = {"gitignore": ".gitignore"}
"""Files that cannot carry their real names inside a package."""


def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; it is made if it is not there.")] = Path(),
) -> None:
    """Make a new project: a template, a suite, the configuration and a CI workflow."""
    files = {_target(path, folder): path for path in sorted(SKELETON.rglob("*")) if _is_content(path)}
    there = [str(target.relative_to(folder)) for target in [*files, folder / "requirements.txt"] if target.exists()]
    if there:
        raise UsageError(f"{folder.resolve()} already has {', '.join(there)}", hint="choose an empty folder")
    for target, path in files.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        except OSError as error:
            raise StorageError(f"cannot write {target}: {error.strerror}") from error
        typer.echo(f"wrote {target}")
    requirements = folder / "requirements.txt"
    requirements.write_text(_requirement() + "\n")
    typer.echo(f"wrote {requirements}")
    go = f"cd {folder} && " if folder != Path() else ""
    typer.echo(
        f"\nNow prove its image:\n  {go}pytest --image app\nand promote it:\n  {go}pytest --image app --promote stable"
    )


def _requirement() -> str:
    """Return what pip installs this very imagetest from: PEP 610 records where an installed distribution came from."""
    origin = json.loads(distribution("imagetest").read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        return f"imagetest @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    if str(origin.get("url", "")).startswith("https://"):
        return f"imagetest @ {origin['url']}"
    comment = "# installed from a folder: write here where your CI gets this version of imagetest from"
    return f"{comment}\nimagetest=={version('imagetest')}"


def _is_content(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _target(path: Path, folder: Path) -> Path:
    inside = path.relative_to(SKELETON)
    return folder / inside.with_name(RENAMED.get(inside.name, inside.name))
