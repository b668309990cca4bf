"""Every promoter keeps the contract of one, wherever it publishes."""

from __future__ import annotations

import functools
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from imagetest.execute import aws
from imagetest.execute.disks import Digests, layers
from imagetest.model.image import Image
from imagetest.model.outlet import AmiOutlet, Outlet
from imagetest.ports import Promoter
from imagetest.promoters.ami import AmiPromoter
from imagetest.promoters.disk import DiskPromoter
from imagetest.promoters.docker import DockerPromoter
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import PromoterContract
from tests.depot import Depot, depot_in
from tests.dockyard import Dockyard
from tests.promoters.breaking import FILES, Countdown, requests_broken

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}


# -- containers


@pytest.mark.docker
class TestDocker(PromoterContract):
    @pytest.fixture
    def promoter(self) -> Promoter:
        return DockerPromoter()

    @pytest.fixture
    def repository(self) -> str:
        return f"imagetest-test/contract-{secrets.token_hex(4)}"

    @pytest.fixture
    def outlet(self, repository: str, dockyard: Dockyard) -> Iterator[Outlet]:
        yield Outlet(channel="stable", image="web", tag=f"{repository}:stable")
        for image in dockyard.engine.images.list(repository):
            dockyard.engine.images.remove(str(image.id), force=True)

    @pytest.fixture
    def fresh(self, dockyard: Dockyard) -> Callable[[], Image]:
        def fresh() -> Image:
            made = dockyard.build("FROM {plain}", f'LABEL promoted="{secrets.token_hex(4)}"')
            return Image(name="web", kind="docker", reference=made, digest=made)

        return fresh

    @pytest.fixture
    def pointed(self, dockyard: Dockyard, outlet: Outlet) -> Callable[[], str]:
        def pointed() -> str:
            try:
                return str(dockyard.engine.images.get(outlet.tag).id)
            except ImageNotFound:
                return ""

        return pointed

    @pytest.fixture
    def held(self, dockyard: Dockyard, outlet: Outlet) -> Callable[[Image], int]:
        lasting = outlet.tag.removesuffix("stable")
        return lambda image: f"{lasting}{image.digest[7:19]}" in dockyard.engine.images.get(image.reference).tags

    @pytest.fixture
    def broken(self) -> Callable[[int], AbstractContextManager[None]]:
        return requests_broken


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    with depot_in(tmp_path_factory.mktemp("depot")) as made:
        yield made


@pytest.mark.registry
class TestRegistry(TestDocker):
    @pytest.fixture
    def outlet(
        self, depot: Depot, repository: str, dockyard: Dockyard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Outlet]:
        monkeypatch.setenv("DOCKER_CONFIG", str(depot.login(tmp_path / "docker")))
        yield Outlet(channel="stable", image="web", tag=f"{depot.host}/{repository}:stable", push=True)
        for image in dockyard.engine.images.list(f"{depot.host}/{repository}"):
            dockyard.engine.images.remove(str(image.id), force=True)

    @pytest.fixture
    def pointed(self, dockyard: Dockyard, depot: Depot, repository: str) -> Callable[[], str]:
        def pointed() -> str:
            if not depot.digest(repository, "stable"):
                return ""
            try:
                return str(dockyard.engine.images.get(depot.config(repository, "stable")).id)
            except ImageNotFound:  # it is the image in which there is nothing, of which the engine keeps none
                return ""

        return pointed

    @pytest.fixture
    def held(self, depot: Depot, repository: str) -> Callable[[Image], int]:
        return lambda image: depot.digest(repository, image.digest[7:19]) != ""


# -- disks


class Disks(PromoterContract):
    @pytest.fixture
    def promoter(self) -> Promoter:
        return DiskPromoter()

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Callable[[], Image]:
        def fresh() -> Image:
            path = tmp_path / f"{secrets.token_hex(4)}.raw"
            path.write_bytes(os.urandom(4096))
            return Image(name="web", kind="qemu", reference=str(path), digest=Digests().of(layers(path)))

        return fresh


class TestFolder(Disks):
    @pytest.fixture
    def outlet(self, tmp_path: Path) -> Outlet:
        return Outlet(channel="stable", image="web", disks=str(tmp_path / "images"))

    @pytest.fixture
    def pointed(self, outlet: Outlet) -> Callable[[], str]:
        def pointed() -> str:
            path = Path(outlet.disks, "web/stable.json")
            return str(json.loads(path.read_text())["digest"]) if path.exists() else ""

        return pointed

    @pytest.fixture
    def held(self, outlet: Outlet) -> Callable[[Image], int]:
        stem = "sha256-{}"
        return lambda image: len(list(Path(outlet.disks, "web").glob(f"*{stem.format(image.digest[7:])}*")))

    @pytest.fixture
    def broken(self, outlet: Outlet) -> Callable[[int], AbstractContextManager[None]]:
        return lambda at: FILES.broken(outlet.disks, at)


@pytest.fixture
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)


def calls_broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """Interrupt a call to AWS, whichever client makes it."""
    countdown, client = Countdown(), aws.client

    @functools.cache  # one is slow to make, and can be asked again after it was closed
    def counting(service: str, region: str = "") -> Any:
        made = client(service, region)
        made.meta.events.register("before-call", lambda **_: countdown.step())
        return made

    @contextmanager
    def broken(at: int) -> Iterator[None]:
        countdown.left = at + 1
        try:
            yield
        finally:
            countdown.left = -1

    monkeypatch.setattr(aws, "client", counting)
    return broken


class TestBucket(Disks):
    @pytest.fixture
    def outlet(self, account: None) -> Iterator[Outlet]:
        del account
        name, s3 = f"images-{secrets.token_hex(4)}", aws.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield Outlet(channel="stable", image="web", disks=f"s3://{name}")
        s3.close()

    @pytest.fixture
    def objects(self, outlet: Outlet) -> Callable[[], dict[str, bytes]]:
        def objects() -> dict[str, bytes]:
            s3, name = aws.client("s3"), outlet.disks.removeprefix("s3://")
            found = [one["Key"] for one in s3.list_objects_v2(Bucket=name).get("Contents", [])]
            return {key: s3.get_object(Bucket=name, Key=key)["Body"].read() for key in found}

        return objects

    @pytest.fixture
    def pointed(self, objects: Callable[[], dict[str, bytes]]) -> Callable[[], str]:
        return lambda: str(json.loads(objects().get("web/stable.json", b'{"digest": ""}'))["digest"])

    @pytest.fixture
    def held(self, objects: Callable[[], dict[str, bytes]]) -> Callable[[Image], int]:
        return lambda image: sum(image.digest[7:] in key for key in objects())

    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
        return calls_broken(monkeypatch)


# -- AMIs

THERE, PARAMETER = "eu-west-1", "/images/web/stable"
PUBLISHED = 60


@pytest.fixture(scope="module")
def cloud(dockyard: Dockyard) -> Iterator[AwsWithBodies]:
    with AwsWithBodies(images={f"web-{number}": dockyard.plain for number in range(PUBLISHED)}) as made:
        yield made


@pytest.mark.docker
class TestAmi(PromoterContract):
    @pytest.fixture
    def promoter(self, cloud: AwsWithBodies, monkeypatch: pytest.MonkeyPatch) -> Promoter:
        for name, value in cloud.environ().items():
            monkeypatch.setenv(name, value)
        return AmiPromoter(client=lambda service, region: aws.client(service, region), poll=0.01)  # noqa: PLW0108 - broken

    @pytest.fixture
    def outlet(self, cloud: AwsWithBodies) -> Iterator[Outlet]:
        ami = AmiOutlet(regions=(THERE,), accounts=("999988887777",), parameter=PARAMETER, wait=20)
        yield Outlet(channel="stable", image="web", ami=ami)
        for region in (cloud.region, THERE):
            cloud.client("ssm", region).delete_parameters(Names=[PARAMETER])

    @pytest.fixture
    def fresh(self, cloud: AwsWithBodies) -> Callable[[], Image]:
        numbers = iter(range(PUBLISHED))

        def fresh() -> Image:
            ami = cloud.ami(f"web-{next(numbers)}")
            return Image(name="web", kind="ec2", reference=f"{cloud.region}:{ami}", digest=f"sha256:{ami[4:]:0<64}")

        return fresh

    @pytest.fixture
    def pointed(self, cloud: AwsWithBodies) -> Callable[[], str]:
        ssm, ec2 = cloud.client("ssm", THERE), cloud.client("ec2", THERE)

        def pointed() -> str:
            if not (found := ssm.get_parameters(Names=[PARAMETER])["Parameters"]):
                return ""
            said = ec2.describe_images(ImageIds=[found[0]["Value"]])["Images"][0]
            return next(str(tag["Value"]) for tag in said["Tags"] if tag["Key"] == "imagetest:digest")

        return pointed

    @pytest.fixture
    def held(self, cloud: AwsWithBodies) -> Callable[[Image], int]:
        clients = [cloud.client("ec2", one) for one in (cloud.region, THERE)]

        def held(image: Image) -> int:
            filters = [{"Name": "tag:imagetest:digest", "Values": [image.digest]}]
            return sum(len(one.describe_images(Filters=filters)["Images"]) for one in clients)

        return held

    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
        return calls_broken(monkeypatch)
