"""What Packer says that it made of a source, and how it is booted."""

from __future__ import annotations

from pathlib import Path

from imagetest.builders.packer import amazon
from imagetest.builders.packer.stream import Transcript
from imagetest.builders.packer.template import Block
from imagetest.errors import BakeError
from imagetest.ports import Artifact, Event, Progress

BOOTABLE = {
    "packer.post-processor.docker-import": "docker", "packer.post-processor.docker-tag": "docker",
    "transcend.qemu": "qemu", "mitchellh.amazonebs": "ec2",
}  # fmt: skip
"""Packer's builder ids, as it reports them with an artifact, and the driver that boots what they made."""


def made_of(source: Block, heard: Transcript, project: Path, region: str, progress: Progress) -> Artifact | None:
    """Return what was made of a source and can be booted; None when nothing was made."""
    names = (source.name, f"{source.type}.{source.name}")  # JSON templates are reported by either since 1.8.6
    made = [one for name in names for _, one in sorted(heard.artifacts.get(name, {}).items())]
    usable = [one for one in made if one.get("builder-id") in BOOTABLE and "<sensitive>" not in one.get("id", "")]
    if made and not usable:
        raise BakeError(
            f"source {source.name!r} made {made[0].get('string') or 'an artifact'!r}, which no driver can boot",
            hint=f"drivers boot: {', '.join(sorted(set(BOOTABLE.values())))}; does a docker source say commit = true?",
        )
    if not usable:
        return None
    best = next((one for one in usable if one.get("id", "").startswith("sha256:")), usable[0])
    kind, reference = BOOTABLE[best["builder-id"]], best.get("id", "")
    if kind == "qemu":
        reference = _disk(best, project)
    elif kind == "ec2":
        reference = _ami(source, reference, region, progress)
    return Artifact(source=source.name, kind=kind, reference=reference)


def copies_of(source: Block, heard: Transcript, region: str) -> tuple[str, ...]:
    """Return the AMIs in other regions that a template had made as well, `REGION:AMI` each."""
    made = [
        one for name in (source.name, f"{source.type}.{source.name}") for one in heard.artifacts.get(name, {}).values()
    ]
    amis = [one.get("id", "") for one in made if BOOTABLE.get(one.get("builder-id", "")) == "ec2"]
    return tuple(copy for one in amis[:1] for copy in amazon.chosen(one, region)[1])


def _ami(source: Block, made: str, region: str, progress: Progress) -> str:
    """Return the AMI to test, and say which copies of it nobody tests."""
    own, copies = amazon.chosen(made, region)
    if not own:
        raise BakeError(
            f"source {source.name!r} made {made}, and it cannot be told which of them is to be tested",
            hint="write the region into the template; what passed can be copied to others when it is promoted",
        )
    if copies:
        said = f"{own} is tested; its copies by the template are not: {', '.join(copies)}"
        progress(Event(subject=source.name, text=said))
    return own


def _disk(made: dict[str, str], project: Path) -> str:
    """Return the path of the disk that a machine boots from: the id that Packer reports is `VM`, whatever was made.

    Further disks are called as the first one with a number behind, and UEFI's variables lie beside them.
    """
    files = [path for key, path in made.items() if key.startswith("file ") and Path(path).name != "efivars.fd"]
    return str(project / min(files, key=lambda path: (len(path), path))) if files else ""
