"""Write every report of one assessment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from imagetest.errors import StorageError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.ports import Reporter


def write(folder: Path, assessment: Assessment, verdict: Verdict, reporters: Iterable[Reporter]) -> tuple[Path, ...]:
    """Write the reports into a folder and return their paths.

    A report is there whole or not at all. Raises StorageError when one cannot be written.
    """
    return tuple(save(folder / one.filename, one.render(assessment, verdict)) for one in reporters)


def save(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all. Raises StorageError."""
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        _discard(draft)
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint="make room or permissions, or choose another --report-dir"
        ) from error
    return path


def point_latest(folder: Path) -> None:
    """Make `latest` beside a run's folder lead to it."""
    link = folder.parent / "latest"
    draft = folder.parent / f".latest-{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(link)
    except OSError as error:
        _discard(draft)
        raise StorageError(f"cannot link {link}: {error.strerror}") from error


def _discard(draft: Path) -> None:
    try:
        draft.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself cannot be written: nothing was
