"""What sources that make AMIs start from, and where what they make is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from imagetest.builders.packer.expressions import Scope, UnknownValueError, value_of
from imagetest.builders.packer.template import Block
from imagetest.errors import ImagetestError
from imagetest.execute import aws

TYPES = frozenset({"amazon-ebs"})

NAMING = frozenset({
    "ami_name", "ami_description", "tags", "tag", "run_tags", "run_tag", "run_volume_tags", "run_volume_tag",
    "spot_tags", "spot_tag", "snapshot_tags", "snapshot_tag", "snapshot_description", "deprecate_at",
})  # fmt: skip
"""Settings that say what an AMI is called and change nothing in it: a name has to be another one in each bake."""

OWN_ACCESS = ("access_key", "secret_key", "token", "profile", "assume_role", "vault_aws_engine", "custom_endpoint_ec2")
"""Settings by which Packer asks AWS as somebody else than this user's tools do, or somewhere else."""

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def region(source: Block, scope: Scope) -> str:
    """Return the region of a source, as Packer finds it; an empty string where it cannot be known.

    That is the template's own, one of the environment's, or that of the profile (AWS SDK for Go, "Specifying the AWS
    Region"). Raises ConfigError where there is no such profile.
    """
    try:
        named = str(value_of(source.body.get("region", ""), scope))
        profile = str(value_of(source.body.get("profile", ""), scope))
    except UnknownValueError:
        return ""
    return named or next((os.environ[name] for name in REGIONS if os.environ.get(name)), "") or aws.region(profile)


def copied_to(source: Block, scope: Scope) -> tuple[str, ...]:
    """Return the regions that a source has its AMI copied to, as far as that can be known."""
    try:
        named = value_of(source.body.get("ami_regions", []), scope)
    except UnknownValueError:
        return ()
    return tuple(str(one) for one in named) if isinstance(named, list) else ()


def base(source: Block, scope: Scope, look_up: Callable[[str, dict[str, Any]], tuple[str, str]]) -> str:
    """Return the AMI that a source starts from, with its region, and note why it is not known where it is not.

    `look_up` is given a region and the arguments of DescribeImages; it returns the id of the newest AMI, or an empty
    one and the reason why it cannot be known. An id names one content for ever; a filter is another AMI any day.
    """
    where = region(source, scope)
    try:
        named = str(value_of(source.body.get("source_ami", ""), scope))
        if named:
            return f"{where}:{named}"
        query = _query(source, scope)
        foreign = [name for name in OWN_ACCESS if value_of(source.body.get(name, ""), scope)]
    except UnknownValueError as reason:
        scope.unknown.append(f"the source AMI is {reason}")
        return ""
    found, why = "", ""
    if not where:
        why = "the source AMI is of a region that the template does not name"
    elif foreign:
        why = f"the source AMI is looked for by other means than this user's ({', '.join(foreign)})"
    elif not query:
        why = "the template names no source AMI"
    else:
        found, why = look_up(where, query)
    if why:
        scope.unknown.append(why)
    return f"{where}:{found}" if found else ""


def newest(where: str, query: dict[str, Any]) -> tuple[str, str]:
    """Ask AWS for the newest AMI of a query, as Packer does; a second value says why it cannot be known."""
    most_recent = query.pop("most_recent")
    try:
        asked = aws.client("ec2", where)
        with aws.translated("look for the source AMI"):
            found = asked.describe_images(**query)["Images"]
        asked.close()
    except ImagetestError as error:
        return "", f"AWS does not say which the source AMI is: {error}"
    if not found:
        return "", f"there is no source AMI in {where} now"
    if len(found) > 1 and not most_recent:
        return "", f"{len(found)} AMIs fit the template's filter, which does not say most_recent"
    return str(max(found, key=lambda one: str(one["CreationDate"]))["ImageId"]), ""


def _query(source: Block, scope: Scope) -> dict[str, Any]:
    """Return the arguments of DescribeImages that a source_ami_filter stands for; none where there is no filter."""
    body = source.body.get("source_ami_filter")
    blocks = body if isinstance(body, list) else [body]
    if not blocks or not isinstance(blocks[0], dict):
        return {}
    values = {name.strip('"'): value_of(value, scope) for name, value in blocks[0].items() if name[:2] != "__"}
    named = values.get("filters") or {}
    filters = named[0] if isinstance(named, list) else named
    query: dict[str, Any] = {
        "Filters": [{"Name": name.strip('"'), "Values": [str(value)]} for name, value in sorted(filters.items())],
        "most_recent": str(values.get("most_recent", False)).lower() in {"true", "1"},
    }
    if values.get("owners"):
        query["Owners"] = [str(one) for one in values["owners"]]
    if str(values.get("include_deprecated", False)).lower() == "true":
        query["IncludeDeprecated"] = True
    return query


def chosen(made: str, own_region: str) -> tuple[str, tuple[str, ...]]:
    """Return the AMI of Packer's artifact id (`REGION:AMI,REGION:AMI`) that is tested, and its copies elsewhere.

    It is the one in the template's own region; with none there, the only one; an empty string where it is not known.
    """
    each = tuple(one for one in made.split(",") if one)
    own = next((one for one in each if one.partition(":")[0] == own_region), each[0] if len(each) == 1 else "")
    return own, tuple(one for one in each if one != own)
