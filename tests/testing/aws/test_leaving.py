"""Nothing is left, however it ends, and what cannot be started says why in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagetest.errors import ConfigError, UsageError
from imagetest.testing.aws import AwsWithBodies
from tests.testing.aws.account import PLAIN, Account, eventually, machines

pytestmark = pytest.mark.docker

HOLDER = """
import json, os, sys, time
from imagetest.testing.aws import AwsWithBodies
with AwsWithBodies(images=json.loads(sys.argv[1])) as aws:
    ec2 = aws.client("ec2")
    made = ec2.run_instances(ImageId=aws.ami(sys.argv[2]), MinCount=1, MaxCount=1, InstanceType="t3.micro")
    instance = made["Instances"][0]["InstanceId"]
    while ec2.describe_instances()["Reservations"][0]["Instances"][0]["State"]["Name"] != "running":
        time.sleep(0.1)
    ec2.create_image(InstanceId=instance, Name="mine")
    folder = os.path.dirname(aws.environ()["AWS_CA_BUNDLE"])
    print(json.dumps({"server": aws._server.pid, "owner": aws.owner, "folder": folder}), flush=True)
    time.sleep(600)
"""


def hold(published: dict[str, str]) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a process that has an emulation with a machine and an image; return it and what it said of itself."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, json.dumps(published), PLAIN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    return child, json.loads(child.stdout.readline())


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def test_leaving_removes_machines_and_images(images: dict[str, str]) -> None:
    with AwsWithBodies(images=images) as aws:
        owner = aws.owner
        account = Account.of(aws)
        account.ec2.create_image(InstanceId=account.launch(), Name="mine")
        during = machines(owner)
        folder = Path(aws.environ()["AWS_CA_BUNDLE"]).parent

    assert during == (1, 1)
    assert machines(owner) == (0, 0)
    assert not folder.exists()


def test_a_process_that_is_killed_leaves_nothing(images: dict[str, str]) -> None:
    child, said = hold(images)
    during = machines(said["owner"])
    end(child)

    assert during == (1, 1)
    assert eventually(lambda: machines(said["owner"]), lambda found: found == (0, 0)) == (0, 0)
    assert eventually(lambda: Path(said["folder"]).exists(), lambda there: not there) is False


def test_what_a_killed_server_left_the_next_one_removes(images: dict[str, str]) -> None:
    child, said = hold(images)
    during = machines(said["owner"])
    try:
        os.kill(int(said["server"]), signal.SIGKILL)
        eventually(lambda: Path(f"/proc/{said['server']}/exe").exists(), lambda there: not there)
    finally:
        end(child)
    with AwsWithBodies(images=images):
        after = machines(said["owner"])

    assert during == (1, 1)
    assert after == (0, 0)
    assert not Path(said["folder"]).exists()


def test_an_image_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ConfigError, match="there is no container image 'nobody/nothing:1'") as told:
        AwsWithBodies(images={"debian": "nobody/nothing:1"}).__enter__()

    assert "docker images" in told.value.hint


def test_what_is_asked_of_one_that_does_not_run_is_one_line(images: dict[str, str]) -> None:
    aws = AwsWithBodies(images=images)
    with pytest.raises(UsageError, match="not running"):
        aws.environ()
    with aws, pytest.raises(UsageError, match="no image 'nope' is published"):
        aws.ami("nope")


def test_without_moto_it_is_one_line() -> None:
    program = "import sys; sys.modules['moto'] = None\nimport imagetest.testing.aws"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)

    assert done.stderr.splitlines()[-1] == "imagetest.errors.ConfigError: imagetest.testing.aws needs moto"


def test_by_hand_it_prints_an_environment_until_it_is_ended(images: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "imagetest.testing.aws", "--image", f"{PLAIN}={images[PLAIN]}"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    while not lines[-1].startswith("#"):
        lines.append(child.stdout.readline())
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=200)

    assert any(one.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:") for one in lines)
    assert lines[-1].endswith(f"{PLAIN}\n")
    assert child.returncode == 0


def test_by_hand_a_command_runs_in_its_environment_and_its_exit_code_is_the_answer(images: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "imagetest.testing.aws", "--image", f"{PLAIN}={images[PLAIN]}"]
    command = ["sh", "-c", 'echo "$AWS_ENDPOINT_URL --user $0"; exit 7', "--image"]
    done = subprocess.run([*argv, *command], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 7
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stdout.endswith(" --user --image\n")


def test_by_hand_a_wrong_argument_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imagetest.testing.aws", "--image", "debian"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 4
    assert done.stderr.startswith("error: --image 'debian' is not NAME=REFERENCE")
