"""AMIs promoted, rolled back and revoked, ended before any request: done again, it ends as if nothing had happened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.ec2 import Ec2Driver
from imagetest.execute import aws
from imagetest.model.assessment import Verdict
from imagetest.model.outlet import AmiOutlet, Outlet
from imagetest.pipeline.desk import Desk
from imagetest.pipeline.promote import promote
from imagetest.pipeline.revoke import revoke
from imagetest.pipeline.rollback import rollback
from imagetest.promoters.ami import AmiPromoter
from imagetest.registry.store import SqlStore
from imagetest.testing.aws import AwsWithBodies
from tests.dockyard import Dockyard
from tests.nouns import NOW, found, judged

pytestmark = pytest.mark.docker

HOME, THERE = "eu-west-1", "us-east-1"
ACCOUNT = "999988887777"
LOOKS = re.compile(r"(Describe|Get|List)")
NUMBERS = count()


class Killed(BaseException):
    """Nothing of ours runs after it, as after SIGKILL."""


@dataclass
class Wire:
    """The way to the account, which can be cut once a number of requests have changed something there."""

    left: int = -1
    sent: list[str] = field(default_factory=list)

    def client(self, service: str, region: str = "") -> Any:
        made = aws.client(service, region)
        made.meta.events.register("before-call", self._before)
        made.meta.events.register("after-call", self._after)
        return made

    def _before(self, model: Any, **_: object) -> None:
        if self.left == 0:
            raise Killed(model.name)

    def _after(self, model: Any, **_: object) -> None:
        if not LOOKS.match(model.name):
            self.sent.append(model.name)
            self.left -= 1


class Shop:
    """A channel of an account that held some images, one after another; `new` is not promoted yet."""

    def __init__(self, folder: Path, *held: str, keep: int) -> None:
        self.wire = Wire()
        self._ec2 = {region: aws.client("ec2", region) for region in (HOME, THERE)}
        self._ssm = {region: aws.client("ssm", region) for region in (HOME, THERE)}
        self._driver = Ec2Driver()
        self._parameter = f"/images/web-{next(NUMBERS)}/stable"
        ami = AmiOutlet(
            regions=(HOME, THERE), accounts=(ACCOUNT,), parameter=self._parameter, wait=5, keep=keep, deprecate=30
        )
        promoter = AmiPromoter(client=self.wire.client, poll=0.01, consistent=1.0)
        self._desk = Desk(
            outlet=Outlet(channel="stable", image="web", ami=ami), promoter=promoter,
            store=SqlStore(f"sqlite:///{folder / f'registry-{next(NUMBERS)}.db'}"),
        )  # fmt: skip
        self._images = {name: self._ami(name) for name in (*held, "new")}
        for name in held:
            self.promote(name)
        self.wire.sent.clear()

    def _ami(self, name: str) -> str:
        (debian,) = self._ec2[HOME].describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"]
        made = self._ec2[HOME].copy_image(
            SourceImageId=debian["ImageId"], SourceRegion=HOME, Name=f"{name}-{next(NUMBERS)}"
        )
        return f"{HOME}:{made['ImageId']}"

    def promote(self, name: str) -> None:
        image = self._driver.identify(self._images[name], name="web")
        verdict = Verdict(gate="default", objections=(), decided=NOW)
        assessment = replace(judged(found("a")), image=image, id=f"run-{name}-{next(NUMBERS)}")
        promote(assessment, verdict, desk=self._desk, driver=self._driver, by="maria@desk", now=NOW)

    def rollback(self) -> None:
        rollback(desk=self._desk, driver=self._driver, by="maria@desk", reason="it is slow", now=NOW)

    def revoke(self) -> None:
        revoke(desk=self._desk, by="maria@desk", reason="it is broken", now=NOW)

    def state(self) -> dict[str, object]:
        """Return all that others can see, by names that are the same in every shop."""
        standing = self._desk.standing()
        names = {reference: name for name, reference in self._images.items()}
        seen: dict[str, object] = {"registry": standing and (standing.action, names[standing.reference])}
        for region in (HOME, THERE):
            amis: dict[str, str] = {}
            for said in self._ec2[region].describe_images(Owners=["self"])["Images"]:
                own = {one["Key"]: one["Value"] for one in said.get("Tags", [])}
                name = names.get(f"{region}:{said['ImageId']}") or names.get(own.get("imagetest:source", ""))
                if name is None:
                    continue  # another shop's
                amis[said["ImageId"]] = name
                assert f"{region} {name}" not in seen, "a second copy"
                seen[f"{region} {name}"] = self._looks(region, said, own)
            parameter = self._ssm[region].get_parameters(Names=[self._parameter])["Parameters"]
            seen[f"{region} parameter"] = [(amis[one["Value"]], one["DataType"]) for one in parameter]
        return seen

    def _looks(self, region: str, said: dict[str, Any], own: dict[str, str]) -> object:
        ec2, disks = self._ec2[region], [one["Ebs"]["SnapshotId"] for one in said["BlockDeviceMappings"]]
        shared = ec2.describe_image_attribute(ImageId=said["ImageId"], Attribute="launchPermission")
        snapshots = ec2.describe_snapshots(SnapshotIds=disks)["Snapshots"]
        return {
            "tags": {key.rpartition(":")[0] if ":channel:" in key else key for key in own},
            "tags of its disks": [{one["Key"].partition(":stable:")[0] for one in disk["Tags"]} for disk in snapshots],
            "shared": shared["LaunchPermissions"],
            "deprecated": bool(said.get("DeprecationTime")),
        }


@pytest.fixture(scope="module", autouse=True)
def account(dockyard: Dockyard) -> Iterator[None]:
    with (
        AwsWithBodies(images={"debian": dockyard.plain}, region=HOME) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in made.environ().items():
            patch.setenv(name, value)
        yield


@dataclass(frozen=True)
class Case:
    """What is done, and where it begins."""

    act: Callable[[Shop], None]
    held: tuple[str, ...]
    keep: int


CASES = {
    "promote, and remove what was there": Case(lambda shop: shop.promote("new"), ("one",), keep=0),
    "roll back, and deprecate what was there": Case(Shop.rollback, ("one", "two"), keep=1),
    "revoke": Case(Shop.revoke, ("one",), keep=1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_killed_before_any_request_and_done_again_it_ends_in_the_same_state(case: Case, tmp_path: Path) -> None:
    whole = Shop(tmp_path, *case.held, keep=case.keep)
    case.act(whole)
    expected, sent = whole.state(), tuple(whole.wire.sent)

    assert len(sent) > 3
    for number, request in enumerate(sent):
        shop = Shop(tmp_path, *case.held, keep=case.keep)
        shop.wire.left = number
        with pytest.raises(Killed):
            case.act(shop)
        shop.wire.left = -1
        case.act(shop)
        assert shop.state() == expected, f"killed before {request}, the request {number + 1} of {sent}"
