"""Put everything that is known of one image into one assessment."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from imagetest.execute.operator import operator
from imagetest.model.assessment import Assessment, Phase, Tool
from imagetest.model.control import Control, Profile
from imagetest.model.finding import Check, Waiver
from imagetest.model.image import Bake, Image
from imagetest.model.instance import Boot
from imagetest.model.parity import Parity
from imagetest.model.text import cleaned
from imagetest.policy import assess

LIBRARIES = ("imagetest", "pytest", "pytest-testinfra", "paramiko", "docker")


@dataclass(kw_only=True)
class Verification:
    """What is gathered while one image is verified."""

    image: Image
    profile: Profile
    bake: Bake | None = None
    boot: Boot | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Why a test that was found has no result, by its control, or by its id where it is bound to none."""
    parities: tuple[Parity, ...] = ()
    errors: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


def conclude(
    gathered: Verification,
    *,
    run: str,
    catalogue: Mapping[str, Control],
    waivers: Iterable[Waiver],
    invocation: Iterable[str],
    now: datetime,
) -> Assessment:
    """Return the assessment of one image."""
    checks = tuple(gathered.checks.values())
    found = assess.findings(checks, gathered.profile, absent=gathered.absent)
    assessment = Assessment(
        id=f"{run}-{gathered.image.name}",
        image=gathered.image,
        bake=gathered.bake,
        boot=gathered.boot,
        profile=gathered.profile,
        controls=assess.controls(catalogue, checks, gathered.profile, absent=gathered.absent),
        checks=checks,
        findings=assess.waive(found, waivers, image=gathered.image.name, today=now.date()),
        parities=gathered.parities,
        errors=tuple(dict.fromkeys(gathered.errors)),
        tools=_tools(gathered),
        phases=tuple(Phase(name=name, seconds=round(spent, 3)) for name, spent in gathered.seconds.items()),
        invocation=shlex.join(invocation),
        operator=operator(),
        started=gathered.started,
        finished=now,
    )
    return cleaned(assessment)


def _tools(gathered: Verification) -> tuple[Tool, ...]:
    tools = [Tool(name="python", version=platform.python_version())]
    tools += [Tool(name=name, version=_version(name)) for name in LIBRARIES]
    if gathered.bake and gathered.bake.builder_version:
        tools.append(Tool(name=gathered.bake.builder, version=gathered.bake.builder_version))
    if gathered.boot:
        tools.append(Tool(name=f"{gathered.boot.driver} engine", version=gathered.boot.driver_version))
    return tuple(tools)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def invocation() -> list[str]:
    """Return the command line of this process, with the program's name alone."""
    return [sys.argv[0].rpartition("/")[2].replace("__main__.py", "pytest"), *sys.argv[1:]]
