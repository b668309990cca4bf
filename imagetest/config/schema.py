"""The shape of imagetest.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""What an image, a gate or a channel may be called: it becomes part of container names, tags and file names."""

Name = Annotated[str, Field(pattern=NAME)]
Scalar = str | bool | int | float


class Strict(BaseModel):
    """A table in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class MachineTable(Strict):
    """`[images.NAME.boot.machine]`: what a virtual machine is made of."""

    firmware: Literal["bios", "uefi"] = "bios"
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    cpu: str = ""
    cpus: Annotated[int, Field(ge=1, le=64)] = 2
    memory: Annotated[int, Field(ge=64)] = 1024
    keys: Literal["auto", "credentials", "cloud-init"] = "auto"


class Ec2Table(Strict):
    """`[images.NAME.boot.ec2]`: where and as what an instance of EC2 runs."""

    region: str = ""
    instance_type: str = ""
    subnets: list[str] = []
    security_groups: list[str] = []
    instance_profile: str = ""
    spot: bool = False
    reach: Literal["direct", "session-manager"] = "direct"
    address: Literal["public", "private"] = "public"
    inbound: list[str] = []
    lifetime: Annotated[float, Field(ge=1, le=1440)] = 120.0
    timer: Literal["required", "optional"] = "required"
    volume_size: Annotated[int, Field(ge=1)] | None = None
    kms_key: str = ""
    tags: dict[str, str] = {}


class BootTable(Strict):
    """`[images.NAME.boot]`: how an instance is booted."""

    driver: str = "auto"
    user: str = "root"
    sudo: bool = False
    ssh: Literal["auto", "image", "gateway"] = "auto"
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    init: Literal["auto", "systemd", "command"] = "auto"
    command: list[str] = []
    environment: dict[str, Scalar] = {}
    ready: str = ""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    command_timeout: Annotated[float, Field(gt=0)] = 120.0
    budget: Annotated[float, Field(gt=0)] | None = None
    machine: MachineTable = MachineTable()
    ec2: Ec2Table = Ec2Table()


Axes = dict[str, Annotated[list[Scalar], Field(min_length=1)]]
"""Settings of `boot` by their paths, such as `machine.firmware`, and the values that each is to have."""


class PlatformTable(Strict):
    """`[images.NAME.on.SOURCE]`: what holds for the image of one of a template's sources only."""

    boot: BootTable = BootTable()
    matrix: Axes = {}


class ImageTable(Strict):
    """`[images.NAME]`: an image under test."""

    template: str | None = None
    image: str | None = None
    only: list[str] = []
    except_: Annotated[list[str], Field(alias="except")] = []
    variables: dict[str, Scalar | list[Scalar] | dict[str, Scalar]] = {}
    var_files: list[str] = []
    inputs: list[str] = []
    reuse: Literal["known", "always", "never"] = "known"
    suites: Annotated[list[str], Field(min_length=1)] = ["baseline"]
    profile: str | None = None
    gate: str = "default"
    allowances: list[str] = []
    boot: BootTable = BootTable()
    on: dict[str, PlatformTable] = {}
    matrix: Axes = {}


class GateTable(Strict):
    """`[gates.NAME]`: what a verdict is decided by."""

    tolerate: list[Literal["unrated", "low", "medium", "high"]] = []
    waivers: list[str] = []
    bake_differences: Annotated[int, Field(ge=0)] = 0
    parity: list[str] = []
    matrix: list[str] = []


class AmiTable(Strict):
    """`[channels.NAME.ami]`: how AMIs are published."""

    regions: list[str] = []
    accounts: list[str] = []
    organisations: list[str] = []
    kms_key: str | dict[str, str] = ""
    parameter: str = ""
    deprecate: Annotated[int, Field(ge=1, le=3650)] | None = None
    keep: Annotated[int, Field(ge=1)] | None = None
    wait: Annotated[float, Field(gt=0)] = 3600.0


class ChannelTable(Strict):
    """`[channels.NAME]`: where promoted images go."""

    gate: str = "default"
    tag: str = "{image}:{channel}"
    push: bool = False
    disks: str | None = None
    ami: AmiTable | None = None


class GroupTable(Strict):
    """`[environments.NAME.groups.NAME]`: hosts that should be alike."""

    hosts: Annotated[list[str], Field(min_length=1)]
    image: str | None = None
    allowances: list[str] = []


class EnvironmentTable(Strict):
    """`[environments.NAME]`: live hosts, which are looked at and never changed."""

    ssh_config: str | None = None
    sudo: bool = False
    timeout: Annotated[float, Field(gt=0)] = 120.0
    allowances: list[str] = []
    groups: Annotated[dict[Name, GroupTable], Field(min_length=1)]


class SnapshotTable(Strict):
    """`[snapshot]`: which files a snapshot looks at."""

    roots: list[str] | None = None
    listed: list[str] = []
    excluded: list[str] = []


class ProjectTable(Strict):
    """`[imagetest]`: the project as a whole."""

    registry: str | None = None
    state: str = ".imagetest"


class File(Strict):
    """The whole file."""

    imagetest: ProjectTable = ProjectTable()
    images: dict[Name, ImageTable] = {}
    gates: dict[Name, GateTable] = {}
    channels: dict[Name, ChannelTable] = {}
    environments: dict[Name, EnvironmentTable] = {}
    snapshot: SnapshotTable = SnapshotTable()
