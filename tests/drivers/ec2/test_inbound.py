"""Whom a security group lets in: this machine, by the address that the instance will see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.stub import Stubber

from imagetest.drivers.ec2 import inbound
from imagetest.errors import ConfigError, EngineError
from imagetest.model.plan import Cloud


class Echo(BaseHTTPRequestHandler):
    """Answers as checkip.amazonaws.com does, or as a proxy's error page."""

    said = b"198.51.100.7\n"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Echo]]:
    class Own(Echo):
        pass

    server = HTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setattr(inbound, "ECHO", f"http://127.0.0.1:{server.server_port}")
    yield Own
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("said", "found"), [(b"198.51.100.7\n", "198.51.100.7/32"), (b"2001:db8::7", "2001:db8::7/128")]
)
def test_a_public_instance_sees_the_address_that_the_world_sees(
    echo: type[Echo], stubber: Stubber, said: bytes, found: str
) -> None:
    echo.said = said

    assert inbound.networks(stubber.client, Cloud()) == (found,)


@pytest.mark.parametrize("said", [b"<html>proxy</html>", b""])
def test_an_answer_that_is_no_address_is_one_line(echo: type[Echo], stubber: Stubber, said: bytes) -> None:
    echo.said = said

    with pytest.raises(EngineError, match="does not tell the address") as caught:
        inbound.networks(stubber.client, Cloud())
    assert "boot.ec2.inbound" in caught.value.hint


def test_a_private_instance_sees_the_address_that_leads_to_its_subnet(stubber: Stubber) -> None:
    stubber.add_response("describe_subnets", {"Subnets": [{"CidrBlock": "127.0.0.0/24"}]}, {"SubnetIds": ["subnet-1"]})

    found = inbound.networks(stubber.client, Cloud(address="private", subnets=("subnet-1",)))
    assert found == ("127.0.0.1/32",)


def test_without_a_default_network_a_subnet_must_be_named(stubber: Stubber) -> None:
    stubber.add_response("describe_vpcs", {"Vpcs": []})

    with pytest.raises(ConfigError, match="no default VPC"):
        inbound.networks(stubber.client, Cloud(address="private"))


def test_what_is_configured_is_let_in_and_nobody_is_asked() -> None:
    client: Any = None

    assert inbound.networks(client, Cloud(inbound=("192.0.2.0/24",))) == ("192.0.2.0/24",)
