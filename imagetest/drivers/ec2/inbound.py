"""Where SSH is let in from: this machine alone, as the instance will see it."""

from __future__ import annotations

import ipaddress
import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from imagetest.errors import ConfigError, EngineError
from imagetest.execute import aws
from imagetest.model.plan import Cloud

ECHO = "https://checkip.amazonaws.com"
"""AWS's service that answers with the address that it is asked from."""

ECHO_SECONDS = 10.0
LONGEST_ANSWER = 64

NAME_IT = "name the network that SSH comes from: boot.ec2.inbound = ['203.0.113.7/32']"


def networks(ec2: Any, cloud: Cloud) -> tuple[str, ...]:
    """Return the networks to let in (CIDR).

    Those of the configuration, where it names some. An instance that is reached by its private address sees the address
    from which this machine sends there. One that is reached by its public address sees the one that AWS's service sees;
    where the API itself is on this machine, as an emulator's is, so are the instances. Raises EngineError when this
    cannot be found out.
    """
    if cloud.inbound:
        return cloud.inbound
    endpoint = str(urlsplit(str(ec2.meta.endpoint_url)).hostname)
    if _is_here(endpoint):
        return (_only("127.0.0.1"),)
    if cloud.address == "private":
        return (_only(_sender(_inside(ec2, cloud))),)
    return (_only(_seen()),)


def check(inbound: tuple[str, ...]) -> None:
    """Raise ConfigError for what is no network, or is everybody's."""
    for one in inbound:
        try:
            network = ipaddress.ip_network(one)
        except ValueError as error:
            raise ConfigError(f"{one!r} is no network: {error}", hint=NAME_IT) from error
        if not network.prefixlen:
            raise ConfigError(f"{one!r} would let everybody in", hint=NAME_IT)


def rule(network: str) -> dict[str, str]:
    """Return one range of a security group's rule."""
    kind = "CidrIpv6" if ":" in network else "CidrIp"
    return {kind: network, "Description": "SSH from where imagetest runs"}


def _only(address: str) -> str:
    found = ipaddress.ip_address(address)
    return f"{found}/{found.max_prefixlen}"


def _is_here(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(one[4][0]).is_loopback for one in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False


def _inside(ec2: Any, cloud: Cloud) -> str:
    """Return an address in the network that the instance will be in."""
    with aws.translated("find the network of the instance"):
        if cloud.subnets:
            found = ec2.describe_subnets(SubnetIds=[cloud.subnets[0]])["Subnets"]
        else:
            found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise ConfigError("the account has no default VPC in this region", hint="name boot.ec2.subnets")
    return str(ipaddress.ip_network(found[0]["CidrBlock"])[1])


def _sender(address: str) -> str:
    """Return the address that this machine sends to another one from; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise EngineError(f"no way leads from this machine to {address}: {error.strerror}", hint=NAME_IT) from error


def _seen() -> str:
    try:
        with urllib.request.urlopen(ECHO, timeout=ECHO_SECONDS) as answer:
            said = answer.read(LONGEST_ANSWER).decode(errors="replace").strip()
        return str(ipaddress.ip_address(said))
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise EngineError(f"{ECHO} does not tell the address of this machine: {reason}", hint=NAME_IT) from error
