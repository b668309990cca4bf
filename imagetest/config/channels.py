"""Channels: what is wrong with one before anything is baked, and what it is for one image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagetest.config import schema
from imagetest.config.apart import Spot, clash
from imagetest.config.mistakes import Mistakes, unknown
from imagetest.model.outlet import AmiOutlet, Outlet

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
TAG = re.compile(rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?")
"""What Docker takes for a tag, by the grammar in github.com/distribution/reference."""

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()/-]*)?")
"""A bucket and a prefix of characters that need no care ("Naming Amazon S3 objects", "Bucket naming rules")."""

PARAMETER = re.compile(r"(?!/?(?:aws|ssm)(?:/|$))(?:/[A-Za-z0-9_.-]+){1,15}|(?!aws|ssm)[A-Za-z0-9_.-]+", re.IGNORECASE)
"""What SSM takes for a parameter's name ("PutParameter")."""

REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
ACCOUNT = re.compile(r"\d{12}")
ORGANISATION = re.compile(
    r"arn:aws[a-z-]*:organizations::\d{12}:(?:organization/o-[a-z0-9]+|ou/o-[a-z0-9]+/ou-[a-z0-9-]+)"
)
KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(?:key|alias)/[\w/-]+|alias/[\w/-]+|(?:mrk-)?[0-9a-f-]{32,36}")
"""What EC2 takes for a KMS key of CopyImage: an id, an alias, or the ARN of either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a channel's settings are held against."""

    images: Mapping[str, schema.ImageTable]
    channels: Mapping[str, schema.ChannelTable]
    gates: Mapping[str, object]


def check_channels(project: Project, mistakes: Mistakes) -> None:
    """Note every mistake in the channels."""
    for name, table in project.channels.items():
        place = ("channels", name)
        if table.gate not in project.gates:
            mistakes.add((*place, "gate"), unknown("gate", table.gate, project.gates))
        if wrong := _wrong_tag(project, name, table):
            mistakes.add((*place, "tag"), wrong)
        if table.push and not _has_registry(table.tag):
            mistakes.add(
                (*place, "push"), f"{table.tag!r} names no registry: expected one, as in 'registry.example/web'"
            )
        if table.disks is not None and table.disks.startswith("s3:") and not BUCKET.fullmatch(table.disks):
            mistakes.add((*place, "disks"), f"got {table.disks!r}, expected a folder or 's3://BUCKET/PREFIX'")
        if table.disks == "":
            mistakes.add((*place, "disks"), "expected a folder or 's3://BUCKET/PREFIX', got ''")
        if table.ami is not None:
            for key, said in _wrong_ami(project, name, table.ami):
                mistakes.add((*place, "ami", key), said)
    _check_apart(project, mistakes)


def _check_apart(project: Project, mistakes: Mistakes) -> None:
    """Note two images that would share something by channels that are sound by themselves."""
    sound = {
        name: table
        for name, table in project.channels.items()
        if not _wrong_tag(project, name, table) and not (table.ami and list(_wrong_ami(project, name, table.ami)))
    }
    found = clash(
        Spot(outlet=outlet(Path(), channel, table, image), kind=(one.image or "").partition(":")[0])
        for channel, table in sound.items()
        for image, one in project.images.items()
    )
    if found is not None:
        place = ["tag"] if found.what == "tag" else ["ami", "parameter"]
        mistakes.add(("channels", found.other.outlet.channel, *place), str(found))


def outlet(project: Path, channel: str, table: schema.ChannelTable, image: str) -> Outlet:
    """Return what a channel is for one image; a folder is relative to the project."""
    disks = table.disks or ""
    return Outlet(
        channel=channel,
        image=image,
        tag=table.tag.format(image=image, channel=channel),
        push=table.push,
        disks=disks if not disks or disks.startswith("s3://") else str(project / Path(disks).expanduser()),
        ami=_ami(table.ami, channel, image) if table.ami is not None else None,
    )


def _ami(table: schema.AmiTable, channel: str, image: str) -> AmiOutlet:
    one = isinstance(table.kms_key, str)
    return AmiOutlet(
        regions=tuple(table.regions),
        accounts=tuple(table.accounts),
        organisations=tuple(table.organisations),
        kms_key=str(table.kms_key) if one else "",
        kms_keys={} if isinstance(table.kms_key, str) else table.kms_key,
        parameter=table.parameter.format(image=image, channel=channel),
        deprecate=table.deprecate,
        keep=table.keep,
        wait=table.wait,
    )


def _has_registry(tag: str) -> bool:
    """Say whether a tag begins with a host, by the rule that Docker goes by."""
    first, slash, _ = tag.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost") and "{" not in first


def _wrong_tag(project: Project, name: str, table: schema.ChannelTable) -> str:
    """Say what is wrong with a channel's tag, before an image is promoted and cannot be tagged."""

    def refused(tag: str) -> str:
        return "" if TAG.fullmatch(tag) else f"{table.tag!r} makes {tag!r}, which is no tag"

    return _wrong_name(project, name, table.tag, "tag", refused)


def _wrong_ami(project: Project, name: str, table: schema.AmiTable) -> Iterator[tuple[str, str]]:
    keys = [table.kms_key] if isinstance(table.kms_key, str) else list(table.kms_key.values())
    listed = (
        ("regions", table.regions, REGION, "a region such as 'eu-west-1'"),
        ("accounts", table.accounts, ACCOUNT, "an account of twelve digits"),
        ("organisations", table.organisations, ORGANISATION, "the ARN of an organisation or an organisational unit"),
        ("kms_key", [one for one in keys if one], KEY, "a key's id, its alias, or the ARN of either"),
    )
    for key, values, pattern, expected in listed:
        for value in values:
            if not pattern.fullmatch(value):
                yield key, f"got {value!r}, expected {expected}"
        if twice := [value for value, times in Counter(values).items() if times > 1 and key != "kms_key"]:
            yield key, f"{twice[0]!r} stands there twice"
    if isinstance(table.kms_key, dict) and (others := sorted(table.kms_key.keys() - set(table.regions))):
        yield "kms_key", f"{others[0]!r} is none of the regions that get a copy"
    if isinstance(table.kms_key, str) and table.kms_key.startswith("arn:") and len(table.regions) > 1:
        yield "kms_key", "an ARN names a key of one region: expected a table of keys by region, or an alias"
    if table.parameter and (wrong := _wrong_name(project, name, table.parameter, "parameter", _no_parameter)):
        yield "parameter", wrong


def _no_parameter(value: str) -> str:
    return (
        "" if PARAMETER.fullmatch(value) else f"{value!r} is no parameter's name: expected one as '/images/web/stable'"
    )


def _wrong_name(project: Project, name: str, template: str, what: str, refused: Callable[[str], str]) -> str:
    """Say what is wrong with a name that is made for each image and each channel."""
    try:
        made = [template.format(image=image, channel=name) for image in project.images or ["image"]]
    except (KeyError, IndexError, ValueError, AttributeError):
        return f"got {template!r}, expected a {what} with '{{image}}' and '{{channel}}' in it and no other braces"
    if wrong := next((said for one in made if (said := refused(one))), ""):
        return wrong
    if "{image}" not in template and len(project.images) > 1:
        return f"several images would share one {what}: expected '{{image}}' in it"
    same = [other for other, table in project.channels.items() if _template(table, what) == template]
    if len(same) > 1 and "{channel}" not in template:
        return f"the channels {', '.join(same)} would share one {what}: expected '{{channel}}' in it"
    return ""


def _template(table: schema.ChannelTable, what: str) -> str | None:
    if what == "tag":
        return table.tag
    return table.ami.parameter if table.ami is not None else None
