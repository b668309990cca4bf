"""What is asked for: how to bake an image and how to boot it, as the configuration says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imagetest.model.drift import Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeOrder:
    """A template and everything that the user gives with it."""

    name: str
    """The name under test; an image of one of several sources is called `NAME.SOURCE`."""
    template: Path
    project: Path
    """The folder that Packer runs in, and that relative paths are relative to."""
    sources: tuple[str, ...] = ()
    """Which of the template's sources; none means all of them."""
    excluded: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    var_files: tuple[Path, ...] = ()
    inputs: tuple[str, ...] = ()
    """Patterns of further files that the bake reads, relative to the project."""
    reuse: str = "known"
    """`known`: an earlier bake is taken when nothing changed and everything is known; `always`: when nothing changed
    as far as is known; `never`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a virtual machine is made of; a container has none of it."""

    firmware: Literal["bios", "uefi"] = "bios"
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    """`tcg` is emulation by software; `auto`: KVM where a guest was seen to run on it, else emulation."""
    cpu: str = ""
    """The processor that the guest sees, as QEMU calls it; empty: the host's under KVM, a plain one else."""
    cpus: int = 2
    memory: int = 1024
    """Mebibytes."""
    keys: Literal["auto", "credentials", "cloud-init"] = "auto"
    """How the run's keys get in: by systemd, by cloud-init, or offered both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Where and as what an instance of EC2 runs; nothing else has it."""

    instance_type: str = ""
    """Empty: a small one of the image's architecture."""
    subnets: tuple[str, ...] = ()
    """Tried in their order while there is no capacity; none leaves the choice to AWS, in the default VPC."""
    security_groups: tuple[str, ...] = ()
    """Further ones, besides the instance's own."""
    instance_profile: str = ""
    spot: bool = False
    reach: Literal["direct", "session-manager"] = "direct"
    address: Literal["public", "private"] = "public"
    """Which of its addresses is connected to."""
    inbound: tuple[str, ...] = ()
    """Networks that SSH is let in from (CIDR); none: the address that this machine is seen under."""
    lifetime: float = 120.0
    """Minutes until it ends by itself, whoever is left."""
    timer: Literal["required", "optional"] = "required"
    """Whether an instance in which nothing can be set to end it is a failed boot."""
    volume_size: int | None = None
    """GiB of the root volume; None: as large as the image's."""
    kms_key: str = ""
    """What its volumes are encrypted with; empty: the account's default key."""
    tags: tuple[tuple[str, str], ...] = ()
    """Further ones, on everything that is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    """How an instance is to be booted and when it counts as up."""

    driver: str = "auto"
    """The name of a driver; `auto` is the one that boots what the image is."""
    user: str = "root"
    sudo: bool = False
    """Whether the checks run as root by a sudo that asks for no password, where `user` is another."""
    ssh: str = "auto"
    """`image`: the image's own SSH server; `gateway`: the one that imagetest brings; `auto`: the image's, if any."""
    port: int = 22
    """Where the image's own SSH server listens, inside."""
    init: str = "auto"
    """`systemd`, `command`, or `auto`: what the image's own command says."""
    command: tuple[str, ...] = ()
    """Replaces the image's command; empty boots what ships."""
    environment: tuple[tuple[str, str], ...] = ()
    untouched: bool = False
    """Reach it as root without placing anything of the run in it, where the driver can and `ssh` leaves the choice."""
    network: Literal["default", "none"] = "default"
    """`none`: nothing outside of the instance can be reached, and what it tries to reach is listed where it can be."""
    ready: str = ""
    """A command on the instance that succeeds once it is ready for the checks."""
    timeout: float = 60.0
    """Seconds until a boot that has not come up is given up."""
    budget: float | None = None
    """Seconds in which it must be ready; None when nobody says."""
    command_timeout: float = 120.0
    """Seconds that one command of a check may take."""
    machine: Hardware = Hardware()
    ec2: Cloud = Cloud()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Live hosts that should be alike."""

    name: str
    hosts: tuple[str, ...]
    """As a person writes them after `ssh`: an alias of ssh_config, `USER@HOST` or `HOST:PORT`."""
    image: str = ""
    """The name of the image that they were booted from; empty when the configuration does not say."""
    allowances: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Live hosts by group, such as production's; they are looked at and never changed."""

    name: str
    groups: tuple[Group, ...]
    ssh_config: Path | None = None
    """None for the user's own."""
    sudo: bool = False
    """Whether to look as root, by a sudo that asks for no password."""
    timeout: float = 120.0
    """Seconds that one host may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a snapshot looks at, where that is a choice."""

    roots: tuple[str, ...] = ("/etc", "/usr/local", "/opt", "/srv", "/root", "/boot", "/var/spool/cron")
    """Folders whose files are compared with their content."""
    listed: tuple[str, ...] = ()
    """Folders of whose files only type, mode, owner, size and link target are compared."""
    excluded: tuple[str, ...] = ()
    """Folders within those that nobody looks into."""
    changed_since: float | None = None
    """A POSIX time by the machine's own clock: what changed after it in `listed` is compared with its content."""
    only: tuple[str, ...] = ()
    """The names of the collectors to ask; none means all."""
    brought: tuple[str, ...] = ()
    """Public keys that imagetest itself brought to the machine, `ssh-ed25519 AAAA...`: they are none of its own."""
