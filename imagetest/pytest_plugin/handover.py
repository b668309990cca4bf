"""What the controller and the workers of pytest-xdist tell each other before the tests, through the run's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from imagetest.errors import MachineLostError
from imagetest.model.image import Image
from imagetest.model.instance import Address, Boot
from imagetest.model.plan import BootPlan

FILE = "machines.json"
WATCHED = "watched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One image that was booted: where it answers, and what a worker needs to open it at rest."""

    image: Image
    plan: BootPlan
    address: Address
    boot: Boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Handovers:
    """All of them, and the secrets to mask."""

    machines: dict[str, Handover]
    secrets: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the file where only its owner can read it."""
        descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self))


def read(folder: Path) -> Handovers:
    """Read the file. Raises MachineLostError when the controller has not booted anything."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Handovers)
    except FileNotFoundError as error:
        raise MachineLostError("no instance was booted") from error


def wish(folder: Path, watched: Mapping[str, Sequence[str]]) -> None:
    """Tell the controller, before it boots anything, which checks want to know by image what became of it."""
    draft = folder / f"{WATCHED}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(watched))
    draft.replace(folder / WATCHED)


def wishes(folder: Path) -> dict[str, list[str]]:
    """Return what the first worker wished; all collect the same tests."""
    try:
        return msgspec.json.decode((folder / WATCHED).read_bytes(), type=dict[str, list[str]])
    except FileNotFoundError:
        return {}
