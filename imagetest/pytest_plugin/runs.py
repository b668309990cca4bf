"""One run: its id, its own folder, and the folder of its reports."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagetest.config.settings import Settings
from imagetest.errors import StorageError
from imagetest.pipeline.report import point_latest
from imagetest.pytest_plugin.handover import FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that has begun."""

    id: str
    folder: Path
    """Where its processes meet, below the project's state."""
    reports: Path

    def clear(self) -> None:
        """Remove what only the running processes needed; an empty folder goes with it."""
        (self.folder / FILE).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def link(self) -> None:
        """Make `latest` lead to the reports, unless the user chose where they go."""
        if self.reports == self.folder:
            point_latest(self.folder)


def open_run(settings: Settings, report_dir: str | None) -> Run:
    """Make the run's folder. Raises StorageError when it cannot be made."""
    identity = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    folder = settings.state / "runs" / identity
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StorageError(
            f"cannot make {folder}: {error.strerror}", hint="make room or permissions, or set [imagetest] state"
        ) from error
    return Run(id=identity, folder=folder, reports=Path(report_dir).resolve() if report_dir else folder)
