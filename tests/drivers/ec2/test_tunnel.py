"""The way through Session Manager, as far as it can be gone here: with a program on PATH that stands for `aws`.

It leads to the instance's own port as the real one would; what AWS and the agent do between is not tried.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from imagetest.drivers.ec2 import tunnel
from imagetest.errors import BootError, ConfigError, ProcessError
from imagetest.model.plan import Cloud
from imagetest.testing.aws import AwsWithBodies
from imagetest.testing.contracts import ask
from tests.drivers.ec2.conftest import Boot

AWS = """#!{python}
import json, os, socket, sys, threading
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if os.path.exists({broken!r}):
    sys.exit("An error occurred (TargetNotConnected)")
import boto3
target, region = (sys.argv[sys.argv.index(name) + 1] for name in ("--target", "--region"))
found = boto3.client("ec2", region_name=region).describe_instances(InstanceIds=[target])
line = socket.create_connection((found["Reservations"][0]["Instances"][0]["PrivateIpAddress"], 22))
def back():
    while data := line.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    line.sendall(data)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Place the two programs on PATH; what they are called with stands in `log`, and with `broken` they fail."""
    folder = tmp_path / "bin"
    folder.mkdir()
    text = AWS.format(python=sys.executable, log=str(folder / "log"), broken=str(folder / "broken"))
    for name in tunnel.PROGRAMS:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.docker
def test_an_instance_that_lets_nobody_in_is_reached_through_a_session(
    aws: AwsWithBodies, boot: Boot, program: Path, ec2: Any
) -> None:
    with boot("server", ec2=Cloud(reach="session-manager")) as up:
        answer = ask(up, "head -c 300000 /dev/zero; echo through")
        (said,) = [one for row in ec2.describe_instances()["Reservations"] for one in row["Instances"]][-1:]
        (group,) = ec2.describe_security_groups(GroupIds=[said["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
        called = [json.loads(line) for line in (program / "log").read_text().splitlines()]

    assert answer == (0, bytes(300000) + b"through\n", b"")
    assert group["IpPermissions"] == []
    assert up.instance.address.host == "127.0.0.1"
    assert called[0] == [
        "ssm", "start-session", "--target", said["InstanceId"], "--document-name", "AWS-StartSSHSession",
        "--parameters", "portNumber=22", "--region", aws.region,
    ]  # fmt: skip
    assert "ProxyCommand=aws ssm start-session" in up.instance.login


@pytest.mark.docker
def test_an_agent_that_does_not_answer_is_said_in_time(boot: Boot, program: Path) -> None:
    (program / "broken").touch()
    with (
        pytest.raises(BootError, match="no SSH server answered in time"),
        boot("server", timeout=3.0, ec2=Cloud(reach="session-manager")),
    ):
        raise AssertionError
    assert (program / "log").exists()


def test_a_session_ends_with_its_connection_and_the_port_with_the_tunnel(program: Path) -> None:
    (program / "broken").touch()
    line = tunnel.Tunnel("i-1", "eu-west-1", 22)
    with socket.create_connection(("127.0.0.1", line.port)):
        line.close()

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", line.port))


def test_a_program_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ProcessError, match="session-manager-plugin cannot be found") as caught:
        tunnel.check()
    assert "boot.ec2.reach" in caught.value.hint
    assert not isinstance(caught.value, ConfigError)
