"""`imagetest demo`: a good image is promoted, three broken ones are refused, and the channel keeps the good one."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagetest.cli.common import table
from imagetest.errors import GateClosedError, InfrastructureError, StorageError
from imagetest.policy.exit_code import ExitCode

if TYPE_CHECKING:
    from imagetest.config.settings import Settings
    from imagetest.model.codec import Document

IMAGE, CHANNEL, VARIABLE = "photoapp", "stable", "breakage"

PROJECT = f"""[images.{IMAGE}]
template = "packer/photoapp/photoapp.pkr.hcl"
suites = ["baseline", "photoapp"]
profile = "photoapp"

[channels.{CHANNEL}]
"""

ALLOWED = f"""[images.{IMAGE}]
listeners = ["tcp/8080"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One bake of the story."""

    breakage: str
    told: str
    refused_by: str = ""
    """The control that must refuse it; empty for the image that must pass."""


STORY = (
    Chapter(breakage="none", told="A good image: baked, booted, checked, and promoted."),
    Chapter(
        breakage="permits-root-login", refused_by="sshd-no-root-login",
        told="Somebody left PermitRootLogin yes behind: a hardening that no longer holds.",
    ),
    Chapter(
        breakage="leaves-a-private-key", refused_by="image-no-private-keys",
        told="A deploy key stayed in the image: a secret that everybody who can pull it has.",
    ),
    Chapter(
        breakage="does-not-serve", refused_by="photoapp-serves",
        told="The service was started by hand and enabled nowhere: it is dead after the first cold boot.",
    ),
)  # fmt: skip


def demo(
    *,
    aws: Annotated[bool, typer.Option("--aws", help="only its last chapter: an AMI, without an account")] = False,
) -> None:
    """Tell the whole story in a few minutes: what passes is promoted, what does not is refused."""
    if aws:
        from imagetest.cli import demo_aws

        demo_aws.tell(Path.cwd() / "imagetest-demo-aws")
        return
    from imagetest.config.settings import load

    settings = load()
    if IMAGE not in settings.images or CHANNEL not in settings.channels:
        settings = load(_project(Path.cwd() / "imagetest-demo") / "imagetest.toml")
    rows, held, good = [], True, ""
    for number, chapter in enumerate(STORY, start=1):
        typer.echo(f"\n--- {number} of {len(STORY)}: {chapter.told}\n")
        code, document = _verify(settings, chapter, settings.state / "demo" / f"{number}-{chapter.breakage}")
        if document is None:
            raise InfrastructureError("an image of the story could not be judged", hint="the output above says why")
        at = _channel(settings)
        good = good or at
        refusals = [one.control_id for one in document.verdict.objections]
        refused = code == ExitCode.CLOSED and chapter.refused_by in refusals and at == good
        held = held and (refused if chapter.refused_by else code == ExitCode.OPEN and bool(at))
        verdict = "OPEN" if document.verdict.open else "CLOSED"
        rows.append([chapter.breakage, verdict, _few(refusals), at[:19] or "nothing"])
    typer.echo("\n--- The story in one table\n")
    table(["BREAKAGE", "VERDICT", "REFUSED BY", f"CHANNEL {CHANNEL!r} POINTS AT"], rows)
    typer.echo(f"\nreports: {settings.state / 'demo'}/*/report.html")
    if not held:
        raise GateClosedError("the story did not go as docs/demo.md tells it", hint="the output above says where")


def _verify(settings: Settings, chapter: Chapter, reports: Path) -> tuple[int, Document | None]:
    from imagetest.execute import process
    from imagetest.model.codec import decode

    shutil.rmtree(reports, ignore_errors=True)
    code = process.foreground(
        sys.executable, "-m", "pytest", "--tb=no", "--no-header", "-p", "no:cacheprovider",
        "--image", IMAGE, "--promote", CHANNEL, "--report-dir", str(reports),
        cwd=settings.project, env={**os.environ, f"PKR_VAR_{VARIABLE}": chapter.breakage},
    )  # fmt: skip
    stored = reports / "assessment.json"
    return code, decode(stored.read_bytes(), origin=str(stored)) if stored.is_file() else None


def _few(controls: list[str], most: int = 2) -> str:
    shown = ", ".join(controls[:most])
    return f"{shown} and {len(controls) - most} more" if len(controls) > most else shown or "-"


def _channel(settings: Settings) -> str:
    from imagetest.config import wiring
    from imagetest.policy.channels import current

    at = current(wiring.store(settings).history(CHANNEL), channel=CHANNEL, image=IMAGE)
    return at.digest if at else ""


def _project(folder: Path) -> Path:
    """Make a project around the templates that come with imagetest."""
    from imagetest.config.suites import shipped

    try:
        shutil.copytree(shipped("packer") / "photoapp", folder / "packer" / "photoapp", dirs_exist_ok=True)
        (folder / "imagetest.toml").write_text(PROJECT)
        (folder / "baseline.toml").write_text(ALLOWED)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    typer.echo(f"using the project {folder}")
    return folder
