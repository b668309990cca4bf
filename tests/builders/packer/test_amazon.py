"""Sources that make AMIs: what they start from, what they made, and what they leave when nobody ends them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imagetest.builders.packer import access, amazon, ingredients, template
from imagetest.builders.packer.builder import PackerBuilder
from imagetest.builders.packer.temporary import Temporary
from imagetest.config import wiring
from imagetest.errors import ConfigError
from imagetest.execute import tags
from imagetest.execute.leases import Leases
from imagetest.model.plan import BakeOrder
from imagetest.pipeline.reap import reap
from imagetest.ports import Event
from imagetest.testing.aws import AwsWithBodies
from tests.builders.packer.project import Project
from tests.dockyard import Dockyard

NAME = "debian-12-amd64-20261101"

FILTER: dict[str, Any] = {"filters": {"name": "debian-12-amd64-*"}, "owners": ["136693071363"], "most_recent": True}


def source(**settings: object) -> str:
    """Return a legacy template with one source, as they are written."""
    plain = {
        "type": "amazon-ebs", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "ssh_username": "root",
        "instance_type": "t3.micro", "ami_name": "web {{timestamp}}", "tags": {"Made": "{{isotime}}"},
    }  # fmt: skip
    steps = [{"type": "shell", "inline": ["echo baked >/etc/baked", "sleep ${SLEEP:-0}"]}]
    return json.dumps({"builders": [{**plain, **settings}], "provisioners": steps})


@pytest.fixture
def project(project: Project) -> Project:
    project.template = "web.json"
    return project


def test_an_ami_is_its_own_digest_and_its_name_is_no_input(project: Project) -> None:
    project.file("web.json", source())
    found = project.one()

    assert found.base == "us-east-1:ami-0123456789abcdef0"
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source_ami": ""}, "names no source AMI"),
        ({"source_ami": "", "region": "", "source_ami_filter": FILTER}, "a region that the template does not name"),
        ({"source_ami": "", "access_key": "AKIA", "source_ami_filter": FILTER}, "by other means"),
        ({"user_data": "{{timestamp}}"}, "user_data"),
    ],
)
def test_what_cannot_be_known_of_an_ami_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], said: str
) -> None:
    for name in amazon.REGIONS:
        monkeypatch.delenv(name, raising=False)
    project.file("web.json", source(**settings))

    assert any(said in one for one in project.one().unknown), project.one().unknown


def test_the_template_in_hcl_says_the_same(project: Project) -> None:
    project.template = "web.pkr.hcl"
    project.file(
        "web.pkr.hcl",
        'source "amazon-ebs" "web" {\n region = "eu-west-1"\n source_ami = "ami-1"\n ami_name = "a-${timestamp()}"\n}\n'
        'build {\n sources = ["source.amazon-ebs.web"]\n}\n',
    )

    assert (project.one().base, project.one().unknown) == ("eu-west-1:ami-1", ())


@pytest.mark.parametrize(
    ("made", "own", "copies"),
    [
        ("us-east-1:ami-1", "us-east-1:ami-1", ()),
        ("eu-west-1:ami-2,us-east-1:ami-1", "us-east-1:ami-1", ("eu-west-1:ami-2",)),
        ("eu-west-1:ami-2", "eu-west-1:ami-2", ()),
        ("eu-west-1:ami-2,eu-west-2:ami-3", "", ("eu-west-1:ami-2", "eu-west-2:ami-3")),
    ],
)
def test_the_ami_of_the_templates_own_region_is_tested(made: str, own: str, copies: tuple[str, ...]) -> None:
    assert amazon.chosen(made, "us-east-1") == (own, copies)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*amazon.REGIONS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-north-1\n[profile builds]\nregion = eu-south-1\n[profile bare]\n"
    )
    return tmp_path / "config"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("settings", "region"),
    [({}, "eu-north-1"), ({"profile": "builds"}, "eu-south-1"), ({"region": "eu-west-1"}, "eu-west-1")],
)
def test_the_region_is_where_packer_finds_it(project: Project, settings: dict[str, object], region: str) -> None:
    project.file("web.json", source(**{"region": "", "source_ami": "ami-1", **settings}))

    assert project.one().base == f"{region}:ami-1"


def test_nothing_is_baked_in_a_region_that_nobody_knows(configured: Path, tmp_path: Path) -> None:
    configured.write_text("")
    (tmp_path / "web.json").write_text(source(region="", source_ami="ami-1"))
    order, claimed = BakeOrder(name="web", template=tmp_path / "web.json", project=tmp_path), list[str]()
    with pytest.raises(ConfigError, match=r"source 'amazon-ebs' of .*web\.json is baked in a region that cannot be"):
        PackerBuilder().build(
            order, ["amazon-ebs"], log=tmp_path / "log", secrets=(), progress=lambda _: None,
            claim=lambda kind, name: claimed.append(f"{kind} {name}"),
        )  # fmt: skip

    assert claimed == []


class Heard:
    """What is leased of what one source says."""

    def __init__(self, *copied: str) -> None:
        self.claimed: list[str] = []
        self._temporary = Temporary(
            {"web": "us-east-1"}, copied={"web": copied}, progress=lambda _: None,
            claim=lambda kind, name: self.claimed.append(f"{kind} {name}"),
        )  # fmt: skip

    def say(self, *lines: str) -> list[str]:
        """Say something in one source, and return what is leased for it."""
        before = len(self.claimed)
        for line in lines:
            self._temporary.hear("web", line)
        return self.claimed[before:]

    def close(self) -> None:
        self._temporary.close()


STARTED = "Instance ID: i-0123456789abcdef0"
MAKING = "Creating AMI web from instance i-0123456789abcdef0"


@pytest.fixture
def _unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no credentials, so that nothing can be marked anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("_unasked")
def test_what_a_provisioner_prints_is_not_taken_for_packers_words() -> None:
    with closing(Heard()) as heard:
        heard.say(STARTED)
        printed = heard.say("base AMI: ami-0aaaaaaaaaaaaaaaa", "AMI: ami-0aaaaaaaaaaaaaaaa", "Copying to: eu-west-1")
        made = heard.say(MAKING, "AMI: ami-0bbbbbbbbbbbbbbbb", "Copying to: eu-west-1")

    assert printed == []
    assert made == [
        "image:ec2 us-east-1:made-of:i-0123456789abcdef0", "image:ec2 eu-west-1:copies-of:ami-0bbbbbbbbbbbbbbbb",
    ]  # fmt: skip


@pytest.mark.usefixtures("_unasked")
def test_a_copy_that_the_template_names_is_leased_before_packer_asks_for_it() -> None:
    with closing(Heard("eu-west-1", "eu-west-2")) as heard:
        heard.say(STARTED, MAKING)
        made = heard.say("AMI: ami-0bbbbbbbbbbbbbbbb")
        copied = heard.say("Copying to: eu-west-1", "Copying to: us-east-1")

    assert made == [f"image:ec2 {region}:copies-of:ami-0bbbbbbbbbbbbbbbb" for region in ("eu-west-1", "eu-west-2")]
    assert copied == ["image:ec2 us-east-1:copies-of:ami-0bbbbbbbbbbbbbbbb"]


# -- with this machine's Packer


@pytest.fixture
def aws(dockyard: Dockyard, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={NAME: dockyard.machine}) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def order(tmp_path: Path) -> BakeOrder:
    (tmp_path / "web.json").write_text(source(source_ami="", source_ami_filter=FILTER))
    return BakeOrder(name="web", template=tmp_path / "web.json", project=tmp_path)


@pytest.mark.packer
@pytest.mark.docker
def test_an_ami_is_baked_from_the_newest_that_the_filter_finds(
    aws: AwsWithBodies, order: BakeOrder, tmp_path: Path
) -> None:
    builder, told, claimed = PackerBuilder(), list[Event](), list[tuple[str, str]]()
    found = builder.ingredients(order)[0]
    made = builder.build(
        order, ["amazon-ebs"], log=tmp_path / "log", secrets=(), progress=told.append,
        claim=lambda kind, name: claimed.append((kind, name)),
    )  # fmt: skip
    ec2 = aws.client("ec2")
    mine = ec2.describe_images(Owners=["self"])["Images"]

    assert (found.base, found.unknown) == (f"us-east-1:{aws.ami(NAME)}", ())
    assert [(one.kind, one.reference) for one in made] == [("ec2", f"us-east-1:{mine[0]['ImageId']}")]
    assert [name for kind, name in claimed if kind == "ec2" and re.fullmatch(r"imagetest-packer-\w+@us-east-1", name)]
    assert [one.text for one in told if "not marked" in one.text] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


def bake(order: BakeOrder, folder: Path, **settings: object) -> list[str]:
    """Bake with settings of the template's own, and return what was said, or the mistake that it is."""
    order.template.write_text(source(source_ami="", source_ami_filter=FILTER, **settings))
    told = list[Event]()
    PackerBuilder().build(
        order, ["amazon-ebs"], log=folder / "log", secrets=(), progress=told.append, claim=lambda *_: None
    )  # fmt: skip
    return [one.text for one in told]


@pytest.mark.packer
@pytest.mark.docker
def test_a_template_with_credentials_of_another_account_is_not_baked(
    aws: AwsWithBodies, order: BakeOrder, tmp_path: Path
) -> None:
    role = aws.client("sts").assume_role(RoleArn="arn:aws:iam::111111111111:role/builds", RoleSessionName="tests")
    given = role["Credentials"]
    with pytest.raises(ConfigError, match="bakes in account 111111111111, and imagetest would look") as caught:
        bake(
            order, tmp_path, access_key=given["AccessKeyId"], secret_key=given["SecretAccessKey"],
            token=given["SessionToken"],
        )  # fmt: skip

    assert "access_key, secret_key, token" in caught.value.hint
    assert given["SecretAccessKey"] not in caught.value.explain()
    assert there(aws.client("ec2")) == []


@pytest.mark.packer
@pytest.mark.docker
def test_a_template_with_credentials_of_this_account_is_baked(
    aws: AwsWithBodies, order: BakeOrder, tmp_path: Path
) -> None:
    said = bake(order, tmp_path, access_key="another", secret_key="of-the-same")  # noqa: S106 - nobody's

    assert not [one for one in said if "cannot be told" in one]
    assert there(aws.client("ec2"))


def test_a_template_whose_account_cannot_be_told_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    role = {"assume_role": {"role_arn": "arn:aws:iam::111111111111:role/builds"}}

    assert untold(project, **role) == "it has assume_role"
    assert untold(project, profile="nobody's").startswith("cannot ask sts")
    assert untold(project) == ""


def untold(project: Project, **settings: object) -> str:
    project.file("web.json", source(**settings))
    found = template.read(project.order())
    return access.untold(found.sources[0], ingredients.scope_of(found, project.order()), "us-east-1")


MADE = {"instance", "key-pair", "network-interface", "security-group", "volume"}

BAKE = """
import sys
from pathlib import Path
from imagetest.builders.packer.builder import PackerBuilder
from imagetest.config import wiring
from imagetest.execute.leases import Leases
from imagetest.model.plan import BakeOrder
from imagetest.pipeline.claims import leased
here = Path(sys.argv[1])
order = BakeOrder(name="web", template=here / "web.json", project=here)
with leased(Leases(here / "leases"), wiring.driver, "web", print) as claim:
    PackerBuilder().build(order, ["amazon-ebs"], log=here / "log", secrets=(), progress=lambda event: None, claim=claim)
"""


class Killed:
    """A bake whose every process is killed at a moment, so that nobody is left to clean up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.leases = Leases(folder / "leases")

    def run(self, until: Callable[[], bool]) -> None:
        child = subprocess.Popen([sys.executable, "-c", BAKE, str(self._folder)])
        try:
            eventually(until)
        finally:
            every = map(str, [*descendants(child.pid), child.pid])
            subprocess.run(["kill", f"-{signal.SIGKILL:d}", *every], check=False, capture_output=True)
            child.wait()

    def reap(self) -> None:
        reap(self.leases, wiring.driver, keys=self._folder / "keys")


@pytest.fixture
def killed(order: BakeOrder, tmp_path: Path) -> Killed:
    assert order.template.is_file()
    return Killed(tmp_path)


def there(ec2: Any) -> list[str]:
    """Return, in words, what is in the account that was not when it was opened."""
    rows = ec2.describe_instances()["Reservations"]
    found = [one for row in rows for one in row["Instances"] if one["State"]["Name"] != "terminated"]
    found += ec2.describe_volumes()["Volumes"]
    found += ec2.describe_key_pairs()["KeyPairs"]
    found += [one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    found += ec2.describe_images(Owners=["self"])["Images"]
    disks = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    found += [one for one in disks if "CreateImage(" in one["Description"]]
    return [str(one) for one in found]


@pytest.mark.packer
@pytest.mark.docker
@pytest.mark.parametrize("kind", ["KeyName", "GroupName", "InstanceId", "ImageId"])
def test_what_a_bake_leaves_whose_every_process_was_killed_is_removed_by_its_leases(
    aws: AwsWithBodies, killed: Killed, kind: str
) -> None:
    ec2 = aws.client("ec2")
    killed.run(lambda: any(kind in one for one in there(ec2)))
    left = there(ec2)
    killed.reap()

    assert left
    assert there(ec2) == []
    assert list(killed.leases) == []


@pytest.mark.packer
@pytest.mark.docker
def test_all_that_a_bake_makes_says_whose_it_is_and_until_when(aws: AwsWithBodies, killed: Killed) -> None:
    ec2 = aws.client("ec2")
    killed.run(lambda: set(marked_with(ec2)) >= {*MADE, "image", "snapshot"})
    told = marked_with(ec2)
    killed.reap()

    assert {*MADE, "image", "snapshot"} == set(told)
    for keys in told.values():
        assert keys >= {tags.OWNER, tags.RUN, tags.EXPIRES}
    assert there(ec2) == []


COPIED = "eu-west-1"


@pytest.fixture
def copying(order: BakeOrder) -> BakeOrder:
    order.template.write_text(source(source_ami="", source_ami_filter=FILTER, ami_regions=[COPIED]))
    return order


@pytest.mark.packer
@pytest.mark.docker
def test_copies_that_a_template_makes_say_whose_they_are(
    aws: AwsWithBodies, copying: BakeOrder, tmp_path: Path
) -> None:
    claimed = list[tuple[str, str]]()
    PackerBuilder().build(
        copying, ["amazon-ebs"], log=tmp_path / "log", secrets=(), progress=lambda _: None,
        claim=lambda kind, name: claimed.append((kind, name)),
    )  # fmt: skip
    (copy,) = aws.client("ec2", COPIED).describe_images(Owners=["self"])["Images"]

    assert tags.OWNER in tags.of(copy)
    assert ("image:ec2", f"{COPIED}:copies-of:{copy['SourceImageId']}") in claimed


@pytest.mark.packer
@pytest.mark.docker
@pytest.mark.usefixtures("copying")
def test_a_copy_in_another_region_goes_with_a_bake_that_was_killed(aws: AwsWithBodies, killed: Killed) -> None:
    here, there_ = aws.client("ec2"), aws.client("ec2", COPIED)
    killed.run(lambda: bool(there_.describe_images(Owners=["self"])["Images"]))
    killed.reap()

    assert there(here) == []
    assert there_.describe_images(Owners=["self"])["Images"] == []
    assert list(killed.leases) == []


@pytest.mark.packer
@pytest.mark.docker
def test_a_key_pair_that_was_there_before_is_nobodys_to_remove(
    aws: AwsWithBodies, order: BakeOrder, killed: Killed
) -> None:
    """A template may call its temporary key pair as one is called that somebody uses: Packer fails over it in time."""
    ec2, (kind, named) = aws.client("ec2"), ("KeyName", "ops")
    ec2.create_key_pair(KeyName=named)
    started = ec2.run_instances(ImageId=aws.ami(NAME), MinCount=1, MaxCount=1, KeyName=named)["Instances"][0]
    order.template.write_text(source(source_ami="", source_ami_filter=FILTER, temporary_key_pair_name=named))
    asked = aws.called.count("CreateKeyPair")
    killed.run(lambda: aws.called.count("CreateKeyPair") > asked + 2)  # it was said before the first, and is heard
    leased = [lease.resource for lease in killed.leases]
    killed.reap()
    (pair,) = ec2.describe_key_pairs()["KeyPairs"]
    rows = ec2.describe_instances(InstanceIds=[started["InstanceId"]])["Reservations"]

    assert (pair[kind], pair.get("Tags", [])) == (named, [])
    assert rows[0]["Instances"][0]["State"]["Name"] == "running"
    assert leased
    assert not [one for one in leased if named in one]
    assert list(killed.leases) == []


def marked_with(ec2: Any) -> dict[str, set[str]]:
    """Return, for each kind of thing that says until when it lives, the tags that all of them have."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in ec2.describe_tags()["Tags"]:
        found.setdefault((one["ResourceType"], one["ResourceId"]), set()).add(one["Key"])
    every = [(kind, keys) for (kind, _), keys in found.items() if tags.EXPIRES in keys]
    return {kind: set.intersection(*(keys for other, keys in every if other == kind)) for kind, _ in every}


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout.split()
    parents = dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
