"""What user-data asks for is done as cloud-init does it, before the SSH server starts or at the end of the boot."""

from __future__ import annotations

import gzip
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import paramiko
import pytest
import yaml

from imagetest.execute import keys
from imagetest.testing.aws import AwsWithBodies
from tests.testing.aws.account import PLAIN, SYSTEMD, Account, eventually

pytestmark = pytest.mark.docker

FINISHED = "Cloud-init finished"


def config(**modules: object) -> str:
    return "#cloud-config\n" + yaml.safe_dump(modules)


def finished(account: Account, instance: str) -> str:
    said: str = eventually(lambda: account.console(instance), lambda text: FINISHED in text)
    return said


def test_a_host_key_that_was_put_in_is_the_machines(account: Account) -> None:
    mine = keys.generate()
    instance = account.launch(
        UserData=config(ssh_deletekeys=True, ssh_keys={"ed25519_private": mine.private, "ed25519_public": mine.public})
    )

    assert [one.split()[:2] for one in account.host_keys(instance)] == [mine.public.split()[:2]]
    assert account.ssh(instance, "cat /etc/ssh/ssh_host_ed25519_key.pub")[1] == mine.public
    assert account.ssh(instance, "find /etc/ssh -name 'ssh_host_*_key' -size +0")[1] == "/etc/ssh/ssh_host_ed25519_key"


def test_keys_and_accounts_are_made(account: Account) -> None:
    mine, theirs = keys.generate(), keys.generate()
    instance = account.launch(
        UserData=config(
            ssh_authorized_keys=[mine.public],
            users=[
                "default",
                {"name": "ada", "ssh_authorized_keys": [theirs.public], "sudo": "ALL=(ALL) NOPASSWD:ALL"},
            ],
        ),
    )

    assert account.ssh(instance, "id -un", key=mine.private) == (0, "root")
    assert account.ssh(instance, "id -un; pwd", user="ada", key=theirs.private) == (0, "ada\n/home/ada")
    assert account.ssh(instance, "cat /etc/sudoers.d/90-cloud-init-users")[1] == "ada ALL=(ALL) NOPASSWD:ALL"
    with pytest.raises(paramiko.AuthenticationException):
        account.ssh(instance, "true", user="ada", key=mine.private)


def test_files_are_written_and_commands_run(account: Account) -> None:
    instance = account.launch(
        SYSTEMD,
        UserData=config(
            write_files=[
                {"path": "/etc/mine/a", "content": "text\n", "permissions": "0640", "owner": "root:shadow"},
                {"path": "/etc/mine/b", "content": "AAE=", "encoding": "b64"},
            ],
            runcmd=["echo shell; systemctl is-active ssh", ["echo", "a b", "$HOME"]],
        ),
    )
    said = finished(account, instance)

    assert account.ssh(instance, "cat /etc/mine/a; stat -c '%a %U:%G' /etc/mine/a")[1] == "text\n640 root:shadow"
    assert account.ssh(instance, "od -An -tx1 /etc/mine/b")[1] == "00 01"
    assert said.splitlines()[-4:-1] == ["shell", "active", "a b $HOME"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_script_runs_once(account: Account, packed: bool) -> None:  # noqa: FBT001 - a parameter
    script = b"#!/bin/sh\necho ran >>/root/ran\nexit 7\n"
    instance = account.launch(UserData=gzip.compress(script) if packed else script)
    said = finished(account, instance)
    account.ec2.stop_instances(InstanceIds=[instance])
    account.ec2.start_instances(InstanceIds=[instance])
    account.wait(instance, "running")

    assert "exited with 7" in said
    assert account.ssh(instance, "cat /root/ran")[1] == "ran"


def test_what_is_to_run_at_every_boot_does(account: Account) -> None:
    instance = account.launch(SYSTEMD, UserData=config(bootcmd=["echo booted >>/root/boots"]))
    count = "until grep -c . /root/boots; do sleep 0.1; done"
    first = account.ssh(instance, count)[1]
    account.ec2.reboot_instances(InstanceIds=[instance])

    assert first == "1"
    assert eventually(lambda: account.ssh(instance, count)[1], lambda found: found == "2") == "2"


def test_a_boothook_runs_at_every_boot_by_its_own_interpreter_and_before_bootcmd(account: Account) -> None:
    hook = "#cloud-boothook\n#!/usr/bin/perl\nsystem('echo hooked >>/root/boots');\n"
    whole = MIMEMultipart()
    for kind, text in (("cloud-config", config(bootcmd=["echo booted >>/root/boots"])), ("cloud-boothook", hook)):
        whole.attach(MIMEText(text, kind, "us-ascii"))
    instance = account.launch(SYSTEMD, UserData=whole.as_string())
    lines = "cat /root/boots | tr '\n' ' '"
    first = eventually(lambda: account.ssh(instance, lines)[1], lambda found: "booted" in found)
    account.ec2.reboot_instances(InstanceIds=[instance])
    again = eventually(lambda: account.ssh(instance, lines)[1], lambda found: found.count("booted") == 2)

    assert first.split() == ["hooked", "booted"]
    assert again.split() == ["hooked", "booted"] * 2


def test_what_is_not_followed_is_said(account: Account) -> None:
    instance = account.launch(UserData=config(swap={}, ntp={"enabled": True}))

    said = finished(account, instance)
    assert "not followed here: swap" in said
    assert "not followed here: ntp" in said


def test_a_default_user_is_made_and_root_is_told_to_use_it(images: dict[str, str]) -> None:
    with AwsWithBodies(images=images, user="admin") as aws:
        account = Account.of(aws)
        instance = account.launch(PLAIN)

        assert account.ssh(instance, "id -un", user="admin") == (0, "admin")
        assert account.ssh(instance, "id -un") == (142, 'Please login as the user "admin" rather than the user "root".')
