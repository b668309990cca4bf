"""The images that others publish: what each is called, who owns it, and the container image behind it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

OWNERS = {
    "ubuntu/": "099720109477", "al2023-": "137112412989", "amzn2-": "137112412989", "debian-": "136693071363",
}  # fmt: skip
"""Accounts of those who publish images, by how the names of their images begin."""

ANYBODY = "136693071363"

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A public image and what boots when it is launched."""

    name: str
    reference: str
    architecture: str = "x86_64"

    def id(self, region: str) -> str:
        """Return its id, which is another one in each region, and the same in each run."""
        return "ami-0" + hashlib.sha256(f"{region}/{self.name}".encode()).hexdigest()[:16]

    @property
    def owner(self) -> str:
        """Return the account that publishes it."""
        return next((one for start, one in OWNERS.items() if self.name.startswith(start)), ANYBODY)

    def created(self, position: int) -> datetime:
        """Return the day in its name (YYYYMMDD); without one, later the later it was named."""
        found = re.search(r"20\d{6}", self.name)
        try:
            return datetime.strptime(found[0], "%Y%m%d").replace(tzinfo=UTC) if found else _later(position)
        except ValueError:
            return _later(position)


def _later(position: int) -> datetime:
    return FIRST_DAY + timedelta(days=position)
