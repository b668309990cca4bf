"""Channels: every mistake is said when the file is loaded, in one line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagetest.config.settings import load
from imagetest.errors import ConfigError
from imagetest.model.outlet import AmiOutlet, Outlet

IMAGES = '[images.web]\nimage = "docker:web"\n[images.db]\nimage = "docker:db"\n'

WHOLE = """
[channels.stable]
tag = "registry.example:5000/golden/{image}:{channel}"
push = true
disks = "disks"
[channels.stable.ami]
regions = ["eu-central-1", "us-east-1"]
accounts = ["111122223333"]
organisations = [
  "arn:aws:organizations::111122223333:organization/o-abcdef1234",
  "arn:aws:organizations::111122223333:ou/o-abcdef1234/ou-ab12-11111111",
]
kms_key = { us-east-1 = "alias/images" }
parameter = "/images/{image}/{channel}"
deprecate = 30
keep = 3
wait = 60.0
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "imagetest.toml"
    file.write_text(IMAGES + text)
    return file


def test_a_channel_is_filled_in_for_an_image(tmp_path: Path) -> None:
    found = load(written(tmp_path, WHOLE)).outlet("stable", "web")

    assert found == Outlet(
        channel="stable", image="web", tag="registry.example:5000/golden/web:stable", push=True,
        disks=str(tmp_path / "disks"),
        ami=AmiOutlet(
            regions=("eu-central-1", "us-east-1"), accounts=("111122223333",),
            organisations=(
                "arn:aws:organizations::111122223333:organization/o-abcdef1234",
                "arn:aws:organizations::111122223333:ou/o-abcdef1234/ou-ab12-11111111",
            ),
            kms_keys={"us-east-1": "alias/images"}, parameter="/images/web/stable", deprecate=30, keep=3, wait=60.0,
        ),
    )  # fmt: skip
    assert found.ami is not None
    assert (found.ami.key("us-east-1"), found.ami.key("eu-central-1")) == ("alias/images", "")


def test_a_channel_takes_containers_alone_unless_it_says_so(tmp_path: Path) -> None:
    found = load(written(tmp_path, "[channels.beta]\n")).outlet("beta", "web")

    assert found == Outlet(channel="beta", image="web", tag="web:beta")


def test_a_bucket_is_no_folder_of_the_project(tmp_path: Path) -> None:
    found = load(written(tmp_path, '[channels.beta]\ndisks = "s3://images/golden"\n')).outlet("beta", "web")

    assert found.disks == "s3://images/golden"


MISTAKES = {
    "push = true": "push: '{image}:{channel}' names no registry",
    'tag = "golden/{image}:{channel}"\npush = true': "push: 'golden/{image}:{channel}' names no registry",
    'disks = ""': "disks: expected a folder or 's3://BUCKET/PREFIX', got ''",
    'disks = "s3://"': "disks: got 's3://', expected a folder or 's3://BUCKET/PREFIX'",
    'disks = "s3://Bad_Bucket/x"': "disks: got 's3://Bad_Bucket/x'",
    'ami.regions = ["Europe"]': "ami.regions: got 'Europe', expected a region such as 'eu-west-1'",
    'ami.regions = ["eu-west-1", "eu-west-1"]': "ami.regions: 'eu-west-1' stands there twice",
    'ami.accounts = ["12"]': "ami.accounts: got '12', expected an account of twelve digits",
    "ami.accounts = [111122223333]": "ami.accounts",
    'ami.organisations = ["o-abc"]': "ami.organisations: got 'o-abc', expected the ARN of an organisation",
    'ami.kms_key = "my key"': "ami.kms_key: got 'my key', expected a key's id",
    'ami.kms_key = { us-east-1 = "alias/x" }': "ami.kms_key: 'us-east-1' is none of the regions that get a copy",
    'ami.regions = ["eu-west-1", "eu-west-2"]\nami.kms_key = "arn:aws:kms:eu-west-1:111122223333:alias/x"':
        "ami.kms_key: an ARN names a key of one region",
    'ami.parameter = "/images/stable"': "ami.parameter: several images would share one parameter",
    'ami.parameter = "/aws/{image}/{channel}"': "ami.parameter: '/aws/web/stable' is no parameter's name",
    'ami.parameter = "/images/{image}/{other}"': "ami.parameter: got '/images/{image}/{other}', expected a parameter",
    "ami.keep = 0": "ami.keep",
    "ami.deprecate = 0": "ami.deprecate",
    "ami.wait = 0": "ami.wait",
    'ami.region = "eu-west-1"': "unknown setting 'region'; did you mean 'regions'?",
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_said_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, f"[channels.stable]\n{text}\n"))
    said = str(caught.value).splitlines()

    assert said[0].endswith(": 1 mistake")
    assert MISTAKES[text] in said[1]


def test_two_channels_may_not_share_a_parameter(tmp_path: Path) -> None:
    both = "".join(f'[channels.{name}.ami]\nparameter = "/images/{{image}}"\n' for name in ("beta", "stable"))

    with pytest.raises(ConfigError, match="the channels beta, stable would share one parameter: expected"):
        load(written(tmp_path, both))


BY_TAG = """
[images.web-a]
image = "docker:web"
[channels.b]
tag = "{image}-{channel}"
[channels.a-b]
tag = "{image}-{channel}:latest"
"""
BY_PARAMETER = """
[images.ami]
image = "ec2:ami-0abc1234"
[images.ami-a]
image = "ec2:ami-0abc1234"
[channels.b.ami]
parameter = "/{image}-{channel}"
[channels.a-b.ami]
parameter = "/{image}-{channel}"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[channels.stable]\ntag = "{image}:{channel}"\n[channels.beta]\ntag = "docker.io/library/{image}:stable"',
            "'web' in channel 'stable' and 'web' in channel 'beta' would share the tag 'web:stable'",
        ),
        (
            BY_TAG,
            "'web-a' in channel 'b' and 'web' in channel 'a-b' would share the tag 'web-a-b:latest'",
        ),
        (
            BY_PARAMETER,
            "'ami-a' in channel 'b' and 'ami' in channel 'a-b' would share the parameter '/ami-a-b'",
        ),
    ],
    ids=["spelled-otherwise", "made-of-both", "parameter"],
)
def test_what_two_images_would_share_is_said(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)


def test_containers_share_no_parameter(tmp_path: Path) -> None:
    text = '[channels.a.ami]\nparameter = "/{image}/{channel}"\n[channels.b.ami]\nparameter = "/{image}/a"'

    assert sorted(load(written(tmp_path, text)).channels) == ["a", "b"]
